"""Intents: pretraining of an intention-conditioned value function (docs/method.md §1; Ghosh, Bhateja, Levine 2023).

    V(s, g, z) = ⟨A(T(z) ∘ φ(s)), B(T(z) ∘ ψ(g))⟩,   z = ψ(goal)

V estimates the discounted time in which a policy that intends z reaches g from s. The intent used by the alignment is ψ(s).
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ailot_ray.config import ICVFConfig
from ailot_ray.method.acceleration import Update, written_out
from ailot_ray.method.goals import Batch, GoalSampler
from ailot_ray.method.learner import Adam, follow, load_members, pack_state, seeded, take_member, unpack_state
from ailot_ray.method.networks import StackedLinear, StackedMLP, initialise

ENSEMBLE = 2


class MultilinearValue(nn.Module):
    """φ, ψ, T, A and B for M members and an ensemble of E, on standardised states."""

    def __init__(self, members: int, observation_size: int, width: int, layer_norm: bool, ensemble: int = ENSEMBLE) -> None:
        super().__init__()
        shape = {"activate_last": True, "norm": layer_norm}
        self.phi = StackedMLP(members, ensemble, (observation_size, width, width), **shape)
        self.psi = StackedMLP(members, ensemble, (observation_size, width, width), **shape)
        self.intent = StackedMLP(members, ensemble, (width, width, width), **shape)  # T
        self.left = StackedLinear(members, ensemble, width, width)  # A
        self.right = StackedLinear(members, ensemble, width, width)  # B

    def forward(self, state: Tensor, outcome: Tensor, goal: Tensor) -> Tensor:
        """V(s, g, ψ(goal)), (M, E, B), for states (M, B, o)."""
        batch = outcome.shape[-2]
        psi = self.psi(torch.cat([outcome, goal], -2)[:, None])
        psi_outcome, psi_goal = psi[..., :batch, :], psi[..., batch:, :]
        t = self.intent(psi_goal)
        value: Tensor = (self.left(t * self.phi(state[:, None])) * self.right(t * psi_outcome)).sum(-1)
        return value


def icvf_loss(value: MultilinearValue, target: MultilinearValue, batch: Batch, config: ICVFConfig) -> tuple[Tensor, Tensor]:
    """The loss of each member, (M,), and V(s, g, z), (M, E, B), for one batch of (s, s', g, z); m = 0 where s is the goal.

    q_i = r_g + γ·m_g·V̄_i(s', g, z)                                r = −1 and m = 1, but r = m = 0 where s is g (or z)
    adv = r_z + γ·m_z·min_i V̄_i(s', z, z) − mean_i V̄_i(s, z, z)
    L = E Σ_i |expectile − 1{adv < 0}| · (q_i − V_i(s, g, z))²
    """
    s, s_next, g, z = batch.state, batch.successor, batch.outcome, batch.goal
    m_g, m_z = batch.before_outcome, batch.before_goal
    with torch.no_grad():
        # the time to reach g, acting towards z: a step more than from s'
        q = -m_g[:, None] + config.discount * m_g[:, None] * target(s_next, g, z)
        # whether the step from s to s' is one towards z, by the more cautious part of the ensemble
        advantage = -m_z + config.discount * m_z * target(s_next, z, z).amin(1) - target(s, z, z).mean(1)
        # so that V is of those who act towards z: other steps count little
        weight = torch.where(advantage < 0, 1.0 - config.expectile, config.expectile)[:, None]
    v = value(s, g, z)
    return (weight * (q - v).square()).mean(-1).sum(1), v


class ICVF:
    """The learner: M members (one a seed) of the ICVF on one dataset, by :func:`icvf_loss`.

    See :class:`ailot_ray.method.learner.Learner`; V̄ ← (1 − polyak)·V̄ + polyak·V. To try another loss, change it above, or
    override `loss` here: the learner then trains by autograd, and says so.
    """

    loss = staticmethod(icvf_loss)

    def __init__(self, sampler: GoalSampler, seeds: Sequence[int], config: ICVFConfig, fast: bool = True) -> None:
        """`sampler` holds the (standardised) states on the device that the learner is to run on; `fast` as in IQL."""
        self.config, self.sampler, self.members, self.step = config, sampler, len(seeds), 0
        states = sampler.states
        value = MultilinearValue(self.members, states.shape[-1], config.width, config.layer_norm)
        generators = [seeded(seed, 1) for seed in seeds]
        for part in value.children():
            initialise(part, generators, "fan_avg" if isinstance(part, StackedMLP) else "lecun")
        self.value = value.to(states.device, states.dtype)
        self.target = copy.deepcopy(self.value).requires_grad_(False)
        self.optimiser: Any = Adam(self.value, config.learning_rate)
        self.generators = [seeded(seed, 2) for seed in seeds]
        self.batch = sampler.buffers(self.members, config.batch_size)
        self.losses: dict[str, Tensor] = {}
        self.written_out: Update | None = written_out(self) if fast else None

    def advance(self, steps: int) -> dict[str, Tensor]:
        draws = self.sampler.draw(steps, self.config, self.generators)
        for i in range(steps):
            self.sampler.gather(draws[i], self.batch)
            if self.written_out:
                self.written_out.update()
            else:
                self.update()
        self.step += steps
        return self.metrics()

    def update(self) -> None:
        """One gradient step on the batch, then the target follows by the Polyak rate."""
        loss, v = self.loss(self.value, self.target, self.batch, self.config)
        self.optimiser.minimise(loss)
        follow(self.target, self.value, self.config.polyak)
        self.losses = {"loss": loss.detach(), "value": v.detach().mean((1, 2))}

    def metrics(self) -> dict[str, Tensor]:
        """The loss of the last update and the mean value V(s, g, z), each (M,)."""
        return self.written_out.metrics() if self.written_out else self.losses

    def state(self) -> dict[str, Tensor]:
        networks = {"value": self.value, "target": self.target}
        return pack_state(self.step, networks, {"value": self.optimiser}, self.generators)

    def restore(self, state: dict[str, Tensor]) -> None:
        networks = {"value": self.value, "target": self.target}
        self.step = unpack_state(state, networks, {"value": self.optimiser}, self.generators)

    def result(self, member: int) -> dict[str, Tensor]:
        return take_member(self.value, member)


class IntentEncoder:
    """ψ of ensemble part 0 of a trained member: states (n, o) in the data's units to intents (n, width)."""

    def __init__(self, parameters: dict[str, Tensor], mean: Tensor, std: Tensor, device: torch.device) -> None:
        """`parameters` as from `ICVF.result`; `mean`, `std` (o,) standardise the states."""
        psi = {name.removeprefix("psi."): value[:1] for name, value in parameters.items() if name.startswith("psi.")}
        size, width = psi["layers.0.weight"].shape[-2:]
        self.network = StackedMLP(1, 1, (size, width, width), activate_last=True, norm="norms.0.weight" in psi)
        load_members(self.network, [psi])
        self.network.to(device).requires_grad_(False)
        self.mean, self.std, self.device = mean.to(device), std.to(device), device

    @torch.no_grad()
    def __call__(self, states: Tensor) -> Tensor:
        standardised = (states.to(self.device) - self.mean) / self.std
        encoded: Tensor = self.network(standardised[None, None])
        return encoded[0, 0]
