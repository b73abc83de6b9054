"""Policy learning: implicit Q-learning (docs/method.md §4; Kostrikov, Nair, Levine 2022) and behaviour cloning.

Members may differ in their seed and in their reward, so that a whole grid of one dataset can train side by side.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from ailot_ray.config import IQLConfig
from ailot_ray.method.acceleration import Update, written_out
from ailot_ray.method.learner import Adam, cosine_decay, follow, load_members, pack_state, seeded, take_member, unpack_state
from ailot_ray.method.networks import StackedMLP, initialise

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0
Network = TypeVar("Network", bound=nn.Module)


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
    """(M, N); plain behaviour cloning does not read it."""
    offsets: NDArray[np.int64]
    """(E + 1,): trajectory e is rows offsets[e] to offsets[e + 1]."""


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
        return log_likelihood(actions, self(observations, dropout_masks), self.log_std)


def log_likelihood(actions: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(a; mean, diag(exp(2·log_std))), (M, B), for `actions` and `mean` (M, B, a), `log_std` (M, 1, a) to be clipped."""
    log_std = log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
    z = (actions - mean) * torch.exp(-log_std)
    likelihood: Tensor = (-0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
    return likelihood


def value_loss(u: Tensor, expectile: float) -> Tensor:
    """L_V = E |expectile − 1{u < 0}| · u² over the batch, (M,), for u = min_i Q̄_i(s, a) − V(s), (M, B).

    At 0.5 V is the mean over the data's actions, near 1 the best of them (Kostrikov et al. 2022, eq. 5).
    """
    return (torch.where(u < 0, 1.0 - expectile, expectile) * u.square()).mean(-1)


def advantage_weights(advantage: Tensor, temperature: float, max_weight: float) -> Tensor:
    """min(exp(temperature · advantage), max_weight), elementwise."""
    return (advantage * temperature).exp().clamp(max=max_weight)


def actor_loss(weights: Tensor, log_likelihood: Tensor) -> Tensor:
    """L_π = −E w · log π(a|s) over the batch, (M,), both (M, B): advantage-weighted regression (eq. 7)."""
    return -(weights * log_likelihood).mean(-1)


def critic_loss(target: Tensor, q: Tensor) -> Tensor:
    """L_Q = E Σ_i (r + γ·(1 − terminal)·V(s') − Q_i(s, a))², (M,), for targets (M, B) and q (M, 2, B) (eq. 6)."""
    return (target[:, None] - q).square().mean(-1).sum(1)


class PolicyLearner(ABC):
    """What IQL and behaviour cloning share: the data, the actor, its batches, its dropout and its decaying rate."""

    def __init__(self, data: Transitions, seeds: Sequence[int], config: IQLConfig, fast: bool = True) -> None:
        """`fast` uses :mod:`ailot_ray.method.fast` where it has this learner's update; plain autograd otherwise."""
        assert config.dropout is not None
        self.config, self.members, self.step = config, len(seeds), 0
        self.device, self.dtype = data.observations.device, data.observations.dtype
        self.keep = 1.0 - config.dropout
        o, a = self.sizes = data.observations.shape[-1], data.actions.shape[-1]
        # one row holds all of a transition but the members' rewards, so that a batch costs one look-up
        self.table = torch.cat([data.observations, data.actions, data.next_observations, data.continues[:, None]], -1)
        batch = self.table.new_zeros(self.members, config.batch_size, 2 * o + a + 1)
        self.batch, self.flat_batch = batch, batch.view(-1, batch.shape[-1])
        self.s, self.a, self.sa = batch[..., :o], batch[..., o : o + a], batch[..., : o + a]
        self.s_next, self.continues = batch[..., o + a : -1], batch[..., -1]
        self.actor = self.network(Actor(self.members, o, a, config.width), seeds, 11)
        self.actor_optimiser: Any = Adam(self.actor, config.learning_rate)
        self.generators = [seeded(seed, 12) for seed in seeds]
        self.losses: dict[str, Tensor] = {}
        """Metrics of the last update, (M,) each."""
        self.written_out: Update | None = None

    def network(self, network: Network, seeds: Sequence[int], purpose: int) -> Network:
        """`network` with weights drawn, where and of which type the data is."""
        initialise(network, [seeded(seed, purpose) for seed in seeds], "orthogonal")
        return network.to(self.device, self.dtype)

    def draw(self, steps: int) -> Tensor:
        """Rows of the batches of `steps` steps, (steps, M, B)."""
        shape, n = (steps, self.config.batch_size), len(self.table)
        return torch.stack([torch.randint(n, shape, generator=g) for g in self.generators], 1).to(self.device)

    def draw_masks(self) -> tuple[Tensor, ...]:
        """Dropout masks of the actor's two hidden layers for one step, each (M, 1, B, width); none without dropout."""
        if self.keep == 1.0:
            return ()
        shape = (2, 1, self.config.batch_size, self.config.width)
        kept = torch.stack([torch.rand(shape, generator=g) < self.keep for g in self.generators], 1)
        first, second = kept.to(self.device, self.dtype) / self.keep
        return first, second

    def gather(self, rows: Tensor) -> None:
        """Look the transitions `rows` (M, B) up: fills s, a, s' and continues."""
        torch.index_select(self.table, 0, rows.reshape(-1), out=self.flat_batch)

    def advance(self, steps: int) -> dict[str, Tensor]:
        for rows in self.draw(steps):
            self.actor_optimiser.rate = cosine_decay(self.config.learning_rate, self.step, self.config.steps)
            masks = self.draw_masks()
            if self.written_out:
                self.written_out.update(rows, masks)
            else:
                self.update(rows, masks)
            self.step += 1
        return self.metrics()

    @abstractmethod
    def update(self, rows: Tensor, masks: Sequence[Tensor] = ()) -> None:
        """One gradient step of every member on the transitions `rows` (M, B)."""

    def metrics(self) -> dict[str, Tensor]:
        """The losses of the last update and what explains them, (M,) each."""
        return self.written_out.metrics() if self.written_out else self.losses

    def networks(self) -> dict[str, nn.Module]:
        return {"actor": self.actor}

    def optimisers(self) -> dict[str, Any]:
        return {"actor": self.actor_optimiser}

    def state(self) -> dict[str, Tensor]:
        return pack_state(self.step, self.networks(), self.optimisers(), self.generators)

    def restore(self, state: dict[str, Tensor]) -> None:
        self.step = unpack_state(state, self.networks(), self.optimisers(), self.generators)

    def result(self, member: int) -> dict[str, Tensor]:
        return take_member(self.actor, member)


class BehaviourCloning(PolicyLearner):
    """Maximise E log π(a|s) over the dataset: the lower reference."""

    def __init__(self, data: Transitions, seeds: Sequence[int], config: IQLConfig, fast: bool = True) -> None:
        super().__init__(data, seeds, config, fast)
        self.written_out = written_out(self) if fast else None

    def update(self, rows: Tensor, masks: Sequence[Tensor] = ()) -> None:
        self.gather(rows)
        loss = actor_loss(torch.ones_like(self.continues), self.actor.log_likelihood(self.s, self.a, masks))
        self.actor_optimiser.minimise(loss)
        self.losses = {"actor_loss": loss.detach()}


class IQL(PolicyLearner):
    """Implicit Q-learning (docs/method.md §4). One step, in the order of the authors' code:

    L_V = E |expectile − 1{u < 0}| · u²,          u = min_i Q̄_i(s, a) − V(s)
    L_π = −E min(exp(temperature · (min_i Q̄_i(s, a) − V(s))), max_weight) · log π(a|s)       with the new V
    L_Q = E Σ_i (r + γ·(1 − terminal)·V(s') − Q_i(s, a))²                                      with the new V
    Q̄ ← (1 − polyak)·Q̄ + polyak·Q

    To try another loss, change it above, or override it here: the learner then trains by autograd, and says so.

    >>> class Mean(IQL):
    ...     value_loss = staticmethod(lambda u, expectile: u.square().mean(-1))
    """

    value_loss = staticmethod(value_loss)
    advantage_weights = staticmethod(advantage_weights)
    actor_loss = staticmethod(actor_loss)
    critic_loss = staticmethod(critic_loss)

    def __init__(self, data: Transitions, seeds: Sequence[int], config: IQLConfig, fast: bool = True) -> None:
        super().__init__(data, seeds, config, fast)
        o, a = self.sizes
        self.critic = self.network(StackedMLP(self.members, 2, (o + a, config.width, config.width, 1)), seeds, 13)
        self.value = self.network(StackedMLP(self.members, 1, (o, config.width, config.width, 1)), seeds, 14)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.critic_optimiser: Any = Adam(self.critic, config.learning_rate)
        self.value_optimiser: Any = Adam(self.value, config.learning_rate)
        self.rewards = data.rewards
        self.member_index = torch.arange(self.members, device=self.device)[:, None]
        self.written_out = written_out(self) if fast else None

    def update(self, rows: Tensor, masks: Sequence[Tensor] = ()) -> None:
        config = self.config
        assert config.expectile is not None and config.temperature is not None
        self.gather(rows)
        s, a, s_next, sa = self.s, self.a, self.s_next, self.sa
        r = self.rewards[self.member_index, rows]

        # 1. V(s) towards an upper expectile of min_i Q̄_i(s, a)
        with torch.no_grad():
            q = self.target(sa[:, None])[..., 0].amin(1)
        v_loss = self.value_loss(q - self.value(s[:, None])[:, 0, :, 0], config.expectile)
        self.value_optimiser.minimise(v_loss)

        # 2. π towards actions better than V, with the new V
        with torch.no_grad():
            v = self.value(s[:, None])[:, 0, :, 0]
            weights = self.advantage_weights(q - v, config.temperature, config.max_weight)
        pi_loss = self.actor_loss(weights, self.actor.log_likelihood(s, a, masks))
        self.actor_optimiser.minimise(pi_loss)

        # 3. Q(s, a) towards r + γ·V(s'), with the new V
        with torch.no_grad():
            target = r + config.discount * self.continues * self.value(s_next[:, None])[:, 0, :, 0]
        q_loss = self.critic_loss(target, self.critic(sa[:, None])[..., 0])
        self.critic_optimiser.minimise(q_loss)

        # 4. Q̄ follows Q
        follow(self.target, self.critic, config.polyak)
        self.losses = {
            "value_loss": v_loss.detach(),
            "actor_loss": pi_loss.detach(),
            "critic_loss": q_loss.detach(),
            "value": v.mean(-1),
            "effective_share": effective_share(weights),
        }

    @torch.no_grad()
    def weigh(self, rows: Tensor) -> Tensor:
        """The advantage weights of the transitions `rows` (B,), as the networks stand: (M, B)."""
        assert self.config.temperature is not None
        o, a = self.sizes
        sa = self.table[rows][:, : o + a].expand(self.members, 1, -1, -1)
        q, v = self.target(sa)[..., 0].amin(1), self.value(sa[..., :o])[:, 0, :, 0]
        return self.advantage_weights(q - v, self.config.temperature, self.config.max_weight)

    def networks(self) -> dict[str, nn.Module]:
        return {"actor": self.actor, "critic": self.critic, "value": self.value, "target": self.target}

    def optimisers(self) -> dict[str, Any]:
        return {"actor": self.actor_optimiser, "critic": self.critic_optimiser, "value": self.value_optimiser}


def effective_share(weights: Tensor) -> Tensor:
    """(Σw)² / (n·Σw²) over the last axis, 0 where all weights are: the share of a batch that its weights leave.

    Kish's effective sample size over n.
    """
    # over the largest first: the square of a small weight may be no number above 0
    relative = weights / weights.amax(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    return relative.sum(-1).square() / (weights.shape[-1] * relative.square().sum(-1).clamp(min=1.0))


class DeterministicPolicy:
    """The mean action of one trained actor: NumPy observations (B, o) to actions (B, a)."""

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        """`parameters` as from `PolicyLearner.result`."""
        size, width = parameters["mean.layers.0.weight"].shape[-2:]
        self.actor = Actor(1, size, parameters["log_std"].shape[-1], width)
        load_members(self.actor, [parameters])
        self.actor.requires_grad_(False)
        self.std: NDArray[np.float32] = self.actor.log_std.clamp(LOG_STD_MIN, LOG_STD_MAX).exp().numpy().ravel()
        """Standard deviation of π(a|s) in each action dimension, (a,)."""

    @torch.no_grad()
    def __call__(self, observations: ArrayLike) -> NDArray[np.float32]:
        states = torch.from_numpy(np.array(observations, np.float32))  # an environment's own are often float64, or read-only
        actions: NDArray[np.float32] = self.actor(states[None])[0].numpy()
        return actions
