"""Policy learning: implicit Q-learning (METHOD section 4; Kostrikov, Nair, Levine 2022) and behaviour cloning.

Members may differ in their seed and in their reward, so that a whole grid of one dataset can train side by side.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ailot_ray.config import IQLConfig
from ailot_ray.method.learner import Adam, cosine_decay, load_members, pack_state, seeded, take_member, unpack_state
from ailot_ray.method.networks import StackedMLP, initialise, polyak_update

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0


@dataclass(frozen=True)
class Transitions:
    """A relabelled dataset on the learner's device: N transitions, rewards of M members."""

    observations: Tensor
    """(N, o)"""
    actions: Tensor
    """(N, a)"""
    next_observations: Tensor
    """(N, o)"""
    continues: Tensor
    """(N,), 0 where the episode terminated and 1 elsewhere."""
    rewards: Tensor
    """(M, N); behaviour cloning does not read it."""


class Actor(nn.Module):
    """π(a|s) = N(tanh(f(s)), diag(exp(2·log_std))), log_std free of the state and clipped to [−5, 2]."""

    def __init__(self, members: int, observation_size: int, action_size: int, width: int) -> None:
        super().__init__()
        self.mean = StackedMLP(members, 1, (observation_size, width, width, action_size))
        self.log_std = nn.Parameter(torch.zeros(members, 1, action_size))

    def forward(self, observations: Tensor, dropout_masks: Sequence[Tensor] = ()) -> Tensor:
        """Mean actions (M, B, a) for observations (M, B, o)."""
        return torch.tanh(self.mean(observations[:, None], dropout_masks)[:, 0])

    def log_likelihood(self, observations: Tensor, actions: Tensor, dropout_masks: Sequence[Tensor] = ()) -> Tensor:
        """log π(a|s), (M, B)."""
        log_std = self.log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
        z = (actions - self(observations, dropout_masks)) * torch.exp(-log_std)
        likelihood: Tensor = (-0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
        return likelihood


class PolicyLearner:
    """What IQL and behaviour cloning share: the actor, its batches, its dropout and its decaying rate."""

    def __init__(self, data: Transitions, seeds: Sequence[int], config: IQLConfig) -> None:
        assert config.dropout is not None
        self.data, self.config, self.members, self.step = data, config, len(seeds), 0
        self.device = data.observations.device
        self.keep = 1.0 - config.dropout
        sizes = data.observations.shape[-1], data.actions.shape[-1]
        self.actor = Actor(self.members, *sizes, config.width)
        initialise(self.actor, [seeded(seed, 11) for seed in seeds], "orthogonal")
        self.actor.to(self.device)
        self.generators = [seeded(seed, 12) for seed in seeds]
        self.member_index = torch.arange(self.members, device=self.device)[:, None]

    def draw(self, steps: int) -> Tensor:
        """Rows of the batches of `steps` steps, (steps, M, B)."""
        shape, n = (steps, self.config.batch_size), len(self.data.observations)
        return torch.stack([torch.randint(n, shape, generator=g) for g in self.generators], 1).to(self.device)

    def draw_masks(self) -> tuple[Tensor, ...]:
        """Dropout masks of the actor's two hidden layers for one step, each (M, 1, B, width); none without dropout."""
        if self.keep == 1.0:
            return ()
        shape = (1, self.config.batch_size, self.config.width)
        return tuple(
            torch.stack([torch.empty(shape).bernoulli_(self.keep, generator=g) for g in self.generators]).to(self.device)
            / self.keep
            for _ in range(2)
        )

    def result(self, member: int) -> dict[str, Tensor]:
        return take_member(self.actor, member)


class BehaviourCloning(PolicyLearner):
    """Maximise log π(a|s) over the dataset: the lower reference."""

    def __init__(self, data: Transitions, seeds: Sequence[int], config: IQLConfig) -> None:
        super().__init__(data, seeds, config)
        self.optimiser = Adam({"actor": self.actor}, config.learning_rate)

    def advance(self, steps: int) -> dict[str, Tensor]:
        loss = torch.zeros(self.members)
        for rows in self.draw(steps):
            self.optimiser.set_rate("actor", cosine_decay(self.config.learning_rate, self.step, self.config.steps))
            likelihood = self.actor.log_likelihood(self.data.observations[rows], self.data.actions[rows], self.draw_masks())
            loss = -likelihood.mean(-1)
            self.optimiser.minimise(loss.sum())
            self.step += 1
        return {"actor_loss": loss.detach()}

    def state(self) -> dict[str, Tensor]:
        return pack_state(self.step, {"actor": self.actor}, {"actor": self.optimiser}, self.generators)

    def restore(self, state: dict[str, Tensor]) -> None:
        self.step = unpack_state(state, {"actor": self.actor}, {"actor": self.optimiser}, self.generators)


class IQL(PolicyLearner):
    """The learner of METHOD section 4. One step, in the order of the authors' code:

    L_V = E |expectile − 1{u < 0}| · u²,          u = min_i Q̄_i(s, a) − V(s)
    L_π = −E min(exp(temperature · (min_i Q̄_i(s, a) − V(s))), max_weight) · log π(a|s)       with the new V
    L_Q = E Σ_i (r + γ·(1 − terminal)·V(s') − Q_i(s, a))²                                      with the new V
    Q̄ ← (1 − polyak)·Q̄ + polyak·Q
    """

    def __init__(self, data: Transitions, seeds: Sequence[int], config: IQLConfig) -> None:
        super().__init__(data, seeds, config)
        o, a = data.observations.shape[-1], data.actions.shape[-1]
        self.critic = StackedMLP(self.members, 2, (o + a, config.width, config.width, 1))
        self.value = StackedMLP(self.members, 1, (o, config.width, config.width, 1))
        initialise(self.critic, [seeded(seed, 13) for seed in seeds], "orthogonal")
        initialise(self.value, [seeded(seed, 14) for seed in seeds], "orthogonal")
        self.critic.to(self.device)
        self.value.to(self.device)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.value_optimiser = Adam({"value": self.value}, config.learning_rate)
        self.optimiser = Adam({"actor": self.actor, "critic": self.critic}, config.learning_rate)

    def advance(self, steps: int) -> dict[str, Tensor]:
        metrics: dict[str, Tensor] = {}
        for rows in self.draw(steps):
            self.optimiser.set_rate("actor", cosine_decay(self.config.learning_rate, self.step, self.config.steps))
            metrics = self.update(rows, self.draw_masks())
            self.step += 1
        return metrics

    def update(self, rows: Tensor, masks: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """One gradient step of every member on the transitions `rows` (M, B); metrics (M,)."""
        config, data = self.config, self.data
        assert config.expectile is not None and config.temperature is not None
        s, a, s_next = data.observations[rows], data.actions[rows], data.next_observations[rows]
        r, continues = data.rewards[self.member_index, rows], data.continues[rows]
        sa = torch.cat([s, a], -1)[:, None]

        with torch.no_grad():
            q = self.target(sa)[..., 0].amin(1)
        v = self.value(s[:, None])[:, 0, :, 0]
        value_loss = expectile_loss(q - v, config.expectile).mean(-1)
        self.value_optimiser.minimise(value_loss.sum())

        with torch.no_grad():
            v_new, v_next = self.value(torch.cat([s, s_next], -2)[:, None])[:, 0, :, 0].chunk(2, -1)
            weights = torch.exp(config.temperature * (q - v_new)).clamp(max=config.max_weight)
            target = r + config.discount * continues * v_next
        actor_loss = -(weights * self.actor.log_likelihood(s, a, masks)).mean(-1)
        critic_loss = (target[:, None] - self.critic(sa)[..., 0]).square().mean(-1).sum(1)
        self.optimiser.minimise((actor_loss + critic_loss).sum())
        polyak_update(self.target, self.critic, config.polyak)
        return {
            "value_loss": value_loss.detach(),
            "actor_loss": actor_loss.detach(),
            "critic_loss": critic_loss.detach(),
            "value": v_new.mean(-1),
            "effective_share": effective_share(weights),
        }

    def _networks(self) -> dict[str, nn.Module]:
        return {"actor": self.actor, "critic": self.critic, "value": self.value, "target": self.target}

    def _optimisers(self) -> dict[str, Adam]:
        return {"value": self.value_optimiser, "policy": self.optimiser}

    def state(self) -> dict[str, Tensor]:
        return pack_state(self.step, self._networks(), self._optimisers(), self.generators)

    def restore(self, state: dict[str, Tensor]) -> None:
        self.step = unpack_state(state, self._networks(), self._optimisers(), self.generators)


def effective_share(weights: Tensor) -> Tensor:
    """(Σw)² / (n·Σw²) over the last axis, 0 where all weights are: the share of a batch that its weights leave.

    Kish's effective sample size over n.
    """
    # over the largest first: the square of a small weight may be no number above 0
    relative = weights / weights.amax(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    return relative.sum(-1).square() / (weights.shape[-1] * relative.square().sum(-1).clamp(min=1.0))


def expectile_loss(u: Tensor, expectile: float) -> Tensor:
    """|expectile − 1{u < 0}| · u², elementwise."""
    return torch.where(u < 0, 1.0 - expectile, expectile) * u.square()


class DeterministicPolicy:
    """The mean action of one trained actor: NumPy observations (B, o) to actions (B, a)."""

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        """`parameters` as from `PolicyLearner.result`."""
        size, width = parameters["mean.layers.0.weight"].shape[-2:]
        self.actor = Actor(1, size, parameters["log_std"].shape[-1], width)
        load_members(self.actor, [parameters])
        self.actor.requires_grad_(False)

    @torch.no_grad()
    def __call__(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        actions: NDArray[np.float32] = self.actor(torch.from_numpy(observations)[None])[0].numpy()
        return actions
