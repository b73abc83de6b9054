"""Policy learning: implicit Q-learning (METHOD section 4; Kostrikov, Nair, Levine 2022) and behaviour cloning.

Members may differ in their seed and in their reward, so that a whole grid of one dataset can train side by side.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ailot_ray.config import IQLConfig
from ailot_ray.method.learner import (
    Adam,
    cosine_decay,
    into_one_buffer,
    load_members,
    pack_state,
    seeded,
    take_member,
    unpack_state,
)
from ailot_ray.method.networks import StackedMLP, initialise
from ailot_ray.method.passes import MLPPass, gradient_of

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
        return log_likelihood(actions, self(observations, dropout_masks), self.log_std)


def log_likelihood(actions: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(a; mean, diag(exp(2·log_std))), (M, B), for `actions` and `mean` (M, B, a), `log_std` (M, 1, a) to be clipped."""
    log_std = log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
    z = (actions - mean) * torch.exp(-log_std)
    likelihood: Tensor = (-0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
    return likelihood


class ActorPass:
    """Descent on −E[w · log π(a|s)] for one buffer of observations (M, 1, B, o) and of actions (M, B, a)."""

    def __init__(self, actor: Actor, observations: Tensor, actions: Tensor) -> None:
        self.mlp, self.actions = MLPPass(actor.mean, observations), actions
        self.parameter, self.log_std_gradient = actor.log_std.detach(), gradient_of(actor.log_std)

    def forward(self, dropout_masks: Sequence[Tensor] = ()) -> None:
        self.mean = torch.tanh(self.mlp.forward(dropout_masks)[:, 0])
        self.log_std = self.parameter.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def backward(self, weights: Tensor | None = None) -> None:
        """Gradients for the weights w (M, B), or 1. With μ = tanh(f), σ = exp(log_std) and z = (a − μ)/σ,

        ∂L/∂f = −w·z/σ·(1 − μ²)/B,      ∂L/∂log_std = −Σ w·(z² − 1)/B within the clip, 0 beyond it.
        """
        precision = torch.exp(-self.log_std)
        z = (self.actions - self.mean).mul_(precision)
        share = -1.0 / z.shape[-2]
        weighted = z * share if weights is None else z * (share * weights[..., None])
        inside = self.parameter == self.log_std
        mean_weight = 1.0 if weights is None else weights.mean(-1)[:, None, None]
        torch.mul(torch.sum(weighted * z, -2, keepdim=True).add_(mean_weight), inside, out=self.log_std_gradient)
        slope = torch.addcmul(precision, precision, self.mean.square(), value=-1.0)  # (1 − μ²)/σ
        torch.mul(weighted, slope, out=self.mlp.y_gradient[:, 0])
        self.mlp.backward()

    def log_likelihood(self) -> Tensor:
        """log π(a|s) as of the last `forward`, (M, B)."""
        return log_likelihood(self.actions, self.mean, self.log_std)


class PolicyLearner:
    """What IQL and behaviour cloning share: the data, the actor, its batches, its dropout and its decaying rate."""

    def __init__(self, data: Transitions, seeds: Sequence[int], config: IQLConfig) -> None:
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
        self.actor_optimiser = Adam(self.actor, config.learning_rate)
        self.policy = ActorPass(self.actor, self.s[:, None], self.a)
        self.generators = [seeded(seed, 12) for seed in seeds]

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

    def decay(self) -> None:
        """Set the actor's rate for the step at hand."""
        self.actor_optimiser.rate = cosine_decay(self.config.learning_rate, self.step, self.config.steps)

    def result(self, member: int) -> dict[str, Tensor]:
        return take_member(self.actor, member)


class BehaviourCloning(PolicyLearner):
    """Maximise log π(a|s) over the dataset: the lower reference."""

    @torch.no_grad()
    def advance(self, steps: int) -> dict[str, Tensor]:
        loss = torch.zeros(self.members)
        for rows in self.draw(steps):
            self.decay()
            self.gather(rows)
            self.policy.forward(self.draw_masks())
            self.policy.backward()
            loss = -self.policy.log_likelihood().mean(-1)
            self.actor_optimiser.descend()
            self.step += 1
        return {"actor_loss": loss}

    def state(self) -> dict[str, Tensor]:
        return pack_state(self.step, {"actor": self.actor}, {"actor": self.actor_optimiser}, self.generators)

    def restore(self, state: dict[str, Tensor]) -> None:
        self.step = unpack_state(state, {"actor": self.actor}, {"actor": self.actor_optimiser}, self.generators)


class IQL(PolicyLearner):
    """The learner of METHOD section 4. One step, in the order of the authors' code:

    L_V = E |expectile − 1{u < 0}| · u²,          u = min_i Q̄_i(s, a) − V(s)
    L_π = −E min(exp(temperature · (min_i Q̄_i(s, a) − V(s))), max_weight) · log π(a|s)       with the new V
    L_Q = E Σ_i (r + γ·(1 − terminal)·V(s') − Q_i(s, a))²                                      with the new V
    Q̄ ← (1 − polyak)·Q̄ + polyak·Q
    """

    def __init__(self, data: Transitions, seeds: Sequence[int], config: IQLConfig) -> None:
        super().__init__(data, seeds, config)
        o, a = self.sizes
        self.critic = self.network(StackedMLP(self.members, 2, (o + a, config.width, config.width, 1)), seeds, 13)
        self.value = self.network(StackedMLP(self.members, 1, (o, config.width, config.width, 1)), seeds, 14)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.target_parameters = into_one_buffer(self.target)
        self.critic_optimiser = Adam(self.critic, config.learning_rate)
        self.value_optimiser = Adam(self.value, config.learning_rate)
        self.rewards = data.rewards
        self.member_index = torch.arange(self.members, device=self.device)[:, None]
        self.value_of_s = MLPPass(self.value, self.s[:, None])
        self.value_of_next = MLPPass(self.value, self.s_next[:, None], learns=False)
        self.critic_of_sa = MLPPass(self.critic, self.sa[:, None])
        self.target_of_sa = MLPPass(self.target, self.sa[:, None], learns=False)

    def advance(self, steps: int) -> dict[str, Tensor]:
        for rows in self.draw(steps):
            self.decay()
            self.update(rows, self.draw_masks())
            self.step += 1
        return self.metrics()

    @torch.no_grad()
    def update(self, rows: Tensor, masks: Sequence[Tensor] = ()) -> None:
        """One gradient step of every member on the transitions `rows` (M, B)."""
        config = self.config
        assert config.expectile is not None and config.temperature is not None
        self.gather(rows)
        r = self.rewards[self.member_index, rows]

        # V: ∂L_V/∂V = −2·|expectile − 1{u < 0}|·u/B
        q = self.target_of_sa.forward()[..., 0].amin(1)
        self.u = q - self.value_of_s.forward()[:, 0, :, 0]
        slope = torch.where(self.u < 0, 1.0 - config.expectile, config.expectile).mul_(self.u)
        torch.mul(slope, -2.0 / rows.shape[-1], out=self.value_of_s.y_gradient[:, 0, :, 0])
        self.value_of_s.backward()
        self.value_optimiser.descend()

        # π, with the new V
        self.v = self.value_of_s.forward()[:, 0, :, 0]
        self.weights = (q - self.v).mul_(config.temperature).exp_().clamp_(max=config.max_weight)
        self.policy.forward(masks)
        self.policy.backward(self.weights)
        self.actor_optimiser.descend()

        # Q, with the new V: ∂L_Q/∂Q_i = −2·(r + γ·continues·V(s') − Q_i)/B
        v_next = self.value_of_next.forward()[:, 0, :, 0]
        target = torch.addcmul(r, self.continues, v_next, value=config.discount)
        self.td_error = target[:, None] - self.critic_of_sa.forward()[..., 0]
        torch.mul(self.td_error, -2.0 / rows.shape[-1], out=self.critic_of_sa.y_gradient[..., 0])
        self.critic_of_sa.backward()
        self.critic_optimiser.descend()
        self.target_parameters.lerp_(self.critic_optimiser.parameters, config.polyak)

    def metrics(self) -> dict[str, Tensor]:
        """The losses of the last update and what explains them, (M,) each."""
        assert self.config.expectile is not None
        return {
            "value_loss": expectile_loss(self.u, self.config.expectile).mean(-1),
            "actor_loss": -(self.weights * self.policy.log_likelihood()).mean(-1),
            "critic_loss": self.td_error.square().mean(-1).sum(1),
            "value": self.v.mean(-1),
            "effective_share": effective_share(self.weights),
        }

    def _networks(self) -> dict[str, nn.Module]:
        return {"actor": self.actor, "critic": self.critic, "value": self.value, "target": self.target}

    def _optimisers(self) -> dict[str, Adam]:
        return {"actor": self.actor_optimiser, "critic": self.critic_optimiser, "value": self.value_optimiser}

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
        self.std: NDArray[np.float32] = self.actor.log_std.clamp(LOG_STD_MIN, LOG_STD_MAX).exp().numpy().ravel()
        """Standard deviation of π(a|s) in each action dimension, (a,)."""

    @torch.no_grad()
    def __call__(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        actions: NDArray[np.float32] = self.actor(torch.from_numpy(observations)[None])[0].numpy()
        return actions
