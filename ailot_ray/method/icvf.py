"""Intents: pretraining of an intention-conditioned value function (METHOD section 1; Ghosh, Bhateja, Levine 2023).

    V(s, g, z) = ⟨A(T(z) ∘ φ(s)), B(T(z) ∘ ψ(g))⟩,   z = ψ(goal)

V estimates the discounted time in which a policy that intends z reaches g from s. The intent used by the alignment is ψ(s).
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ailot_ray.config import ICVFConfig
from ailot_ray.method.goals import GoalSampler
from ailot_ray.method.learner import Adam, into_one_buffer, load_members, pack_state, seeded, take_member, unpack_state
from ailot_ray.method.networks import StackedLinear, StackedMLP, initialise
from ailot_ray.method.passes import LinearPass, MLPPass

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


class ValuePass:
    """V(s, g, z) and its gradients for one batch buffer, with ψ(g) and ψ(goal) in one evaluation of ψ."""

    def __init__(self, network: MultilinearValue, state: Tensor, outcome_and_goal: Tensor) -> None:
        """`state` (M, 1, B, o), `outcome_and_goal` (M, 1, 2B, o)."""
        batch = state.shape[-2]
        self.phi, self.psi = MLPPass(network.phi, state), MLPPass(network.psi, outcome_and_goal)
        self.psi_outcome, psi_goal = torch.split(self.psi.y, batch, -2)
        self.psi_outcome_gradient, self.psi_goal_gradient = torch.split(self.psi.y_gradient, batch, -2)
        self.intent = MLPPass(network.intent, psi_goal)
        self.left_in, self.right_in = torch.empty_like(self.phi.y), torch.empty_like(self.phi.y)
        self.left, self.right = LinearPass(network.left, self.left_in), LinearPass(network.right, self.right_in)

    def forward(self) -> Tensor:
        """V, (M, E, B)."""
        phi, _, t = self.phi.forward(), self.psi.forward(), self.intent.forward()
        torch.mul(t, phi, out=self.left_in)
        torch.mul(t, self.psi_outcome, out=self.right_in)
        return (self.left.forward() * self.right.forward()).sum(-1)

    def backward(self, gradient: Tensor) -> None:
        """From ∂L/∂V, (M, E, B), to the gradients of φ, ψ, T, A and B."""
        torch.mul(self.right.y, gradient[..., None], out=self.left.y_gradient)
        torch.mul(self.left.y, gradient[..., None], out=self.right.y_gradient)
        self.left.sum_bias()
        self.right.sum_bias()
        left, right = self.left.backward(), self.right.backward()
        torch.mul(left, self.intent.y, out=self.phi.y_gradient)
        torch.mul(right, self.intent.y, out=self.psi_outcome_gradient)
        torch.mul(left, self.phi.y, out=self.intent.y_gradient)
        self.intent.y_gradient.addcmul_(right, self.psi_outcome)
        self.phi.backward()
        self.psi_goal_gradient.copy_(self.intent.backward(into_input=True))
        self.psi.backward()


class TargetPass:
    """V(s', g, z), V(s', z, z) and V(s, z, z) for one batch buffer, with the networks they share evaluated once."""

    def __init__(self, network: MultilinearValue, successor_and_state: Tensor, outcome_and_goal: Tensor) -> None:
        """Both (M, 1, 2B, o)."""
        self.batch = outcome_and_goal.shape[-2] // 2
        self.phi = MLPPass(network.phi, successor_and_state, learns=False)
        self.psi = MLPPass(network.psi, outcome_and_goal, learns=False)
        self.intent = MLPPass(network.intent, self.psi.y[..., self.batch :, :], learns=False)
        self.left_in, self.right_in = torch.empty_like(self.phi.y), torch.empty_like(self.psi.y)
        self.left = LinearPass(network.left, self.left_in, learns=False)
        self.right = LinearPass(network.right, self.right_in, learns=False)

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        """Each (M, E, B)."""
        phi, psi, t = self.phi.forward(), self.psi.forward(), self.intent.forward()
        for half in (slice(None, self.batch), slice(self.batch, None)):
            torch.mul(t, phi[..., half, :], out=self.left_in[..., half, :])
            torch.mul(t, psi[..., half, :], out=self.right_in[..., half, :])
        left_successor, left_state = torch.split(self.left.forward(), self.batch, -2)
        right_outcome, right_goal = torch.split(self.right.forward(), self.batch, -2)
        return (
            (left_successor * right_outcome).sum(-1),
            (left_successor * right_goal).sum(-1),
            (left_state * right_goal).sum(-1),
        )


class ICVF:
    """The learner: M members (one a seed) of the ICVF on one dataset. See :class:`ailot_ray.method.learner.Learner`.

    q_i = r_g + γ·m_g·V̄_i(s', g, z)                                r = −1 and m = 1, but r = m = 0 where s is g (or z)
    adv = r_z + γ·m_z·min_i V̄_i(s', z, z) − mean_i V̄_i(s, z, z)
    L = E Σ_i |expectile − 1{adv < 0}| · (q_i − V_i(s, g, z))²
    V̄ ← (1 − polyak)·V̄ + polyak·V
    """

    def __init__(self, sampler: GoalSampler, seeds: Sequence[int], config: ICVFConfig) -> None:
        """`sampler` holds the (standardised) states on the device that the learner is to run on."""
        self.config, self.sampler, self.members, self.step = config, sampler, len(seeds), 0
        states = sampler.states
        value = MultilinearValue(self.members, states.shape[-1], config.width, config.layer_norm)
        initialise(value, [seeded(seed, 1) for seed in seeds], "lecun")
        self.value = value.to(states.device, states.dtype)
        self.target = copy.deepcopy(self.value).requires_grad_(False)
        self.target_parameters = into_one_buffer(self.target)
        self.optimiser = Adam(self.value, config.learning_rate)
        self.generators = [seeded(seed, 2) for seed in seeds]
        self.batch = sampler.buffers(self.members, config.batch_size)
        self.value_pass = ValuePass(self.value, self.batch.state[:, None], self.batch.outcome_and_goal[:, None])
        self.target_pass = TargetPass(
            self.target, self.batch.successor_and_state[:, None], self.batch.outcome_and_goal[:, None]
        )

    def advance(self, steps: int) -> dict[str, Tensor]:
        draws = self.sampler.draw(steps, self.config, self.generators)
        for i in range(steps):
            self.sampler.gather(draws[i], self.batch)
            self.update()
        self.step += steps
        return self.metrics()

    @torch.no_grad()
    def update(self) -> None:
        """One gradient step on the batch, then the target follows by the Polyak rate."""
        config, batch = self.config, self.batch
        successor_outcome, successor_goal, state_goal = self.target_pass.forward()
        m_g, m_z = batch.before_outcome, batch.before_goal
        q = torch.addcmul(-m_g[:, None], m_g[:, None], successor_outcome, value=config.discount)
        advantage = torch.addcmul(-m_z, m_z, successor_goal.amin(1), value=config.discount) - state_goal.mean(1)
        self.weight = torch.where(advantage < 0, 1.0 - config.expectile, config.expectile)[:, None]
        self.v = self.value_pass.forward()
        self.td_error = q - self.v
        # ∂L/∂V_i = −2·|expectile − 1{adv < 0}|·(q_i − V_i)/B
        self.value_pass.backward((self.weight * self.td_error).mul_(-2.0 / q.shape[-1]))
        self.optimiser.descend()
        self.target_parameters.lerp_(self.optimiser.parameters, config.polyak)

    def metrics(self) -> dict[str, Tensor]:
        """The loss of the last update and the mean value V(s, g, z), each (M,)."""
        loss = (self.weight * self.td_error.square()).mean(-1).sum(1)
        return {"loss": loss, "value": self.v.mean((1, 2))}

    def state(self) -> dict[str, Tensor]:
        networks: dict[str, nn.Module] = {"value": self.value, "target": self.target}
        return pack_state(self.step, networks, {"value": self.optimiser}, self.generators)

    def restore(self, state: dict[str, Tensor]) -> None:
        networks: dict[str, nn.Module] = {"value": self.value, "target": self.target}
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
