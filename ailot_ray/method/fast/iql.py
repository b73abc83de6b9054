"""One step of IQL and of behaviour cloning with its gradients written out; what it computes is in `ailot_ray.method.iql`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ailot_ray.method.fast.adam import OneBufferAdam, into_one_buffer
from ailot_ray.method.fast.backprop import MLPPass, gradient_of
from ailot_ray.method.iql import (
    IQL,
    LOG_STD_MAX,
    LOG_STD_MIN,
    Actor,
    BehaviourCloning,
    effective_share,
    log_likelihood,
    value_loss,
)


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


class FastBehaviourCloning:
    """The update of :class:`ailot_ray.method.iql.BehaviourCloning`, over the same networks."""

    def __init__(self, learner: BehaviourCloning) -> None:
        self.learner = learner
        learner.actor_optimiser = self.actor_optimiser = OneBufferAdam(learner.actor, learner.config.learning_rate)
        self.policy = ActorPass(learner.actor, learner.s[:, None], learner.a)

    @torch.no_grad()
    def update(self, rows: Tensor, masks: Sequence[Tensor] = ()) -> None:
        self.learner.gather(rows)
        self.policy.forward(masks)
        self.policy.backward()
        self.loss = -self.policy.log_likelihood().mean(-1)
        self.actor_optimiser.descend()

    def metrics(self) -> dict[str, Tensor]:
        return {"actor_loss": self.loss}


class FastIQL:
    """The update of :class:`ailot_ray.method.iql.IQL`, over the same networks."""

    def __init__(self, learner: IQL) -> None:
        self.learner, rate = learner, learner.config.learning_rate
        learner.actor_optimiser = self.actor_optimiser = OneBufferAdam(learner.actor, rate)
        self.target_parameters = into_one_buffer(learner.target)
        learner.critic_optimiser = self.critic_optimiser = OneBufferAdam(learner.critic, rate)
        learner.value_optimiser = self.value_optimiser = OneBufferAdam(learner.value, rate)
        self.policy = ActorPass(learner.actor, learner.s[:, None], learner.a)
        self.value_of_s = MLPPass(learner.value, learner.s[:, None])
        self.value_of_next = MLPPass(learner.value, learner.s_next[:, None], learns=False)
        self.critic_of_sa = MLPPass(learner.critic, learner.sa[:, None])
        self.target_of_sa = MLPPass(learner.target, learner.sa[:, None], learns=False)

    @torch.no_grad()
    def update(self, rows: Tensor, masks: Sequence[Tensor] = ()) -> None:
        learner, config = self.learner, self.learner.config
        assert config.expectile is not None and config.temperature is not None
        learner.gather(rows)
        r = learner.rewards[learner.member_index, rows]

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
        target = torch.addcmul(r, learner.continues, v_next, value=config.discount)
        self.td_error = target[:, None] - self.critic_of_sa.forward()[..., 0]
        torch.mul(self.td_error, -2.0 / rows.shape[-1], out=self.critic_of_sa.y_gradient[..., 0])
        self.critic_of_sa.backward()
        self.critic_optimiser.descend()
        self.target_parameters.lerp_(self.critic_optimiser.parameters, config.polyak)

    def metrics(self) -> dict[str, Tensor]:
        assert self.learner.config.expectile is not None
        return {
            "value_loss": value_loss(self.u, self.learner.config.expectile),
            "actor_loss": -(self.weights * self.policy.log_likelihood()).mean(-1),
            "critic_loss": self.td_error.square().mean(-1).sum(1),
            "value": self.v.mean(-1),
            "effective_share": effective_share(self.weights),
        }
