"""One step of ICVF with its gradients written out; what it computes is `ailot_ray.method.icvf.icvf_loss`."""

import torch
from torch import Tensor

from ailot_ray.method.fast.adam import OneBufferAdam, into_one_buffer
from ailot_ray.method.fast.backprop import LinearPass, MLPPass
from ailot_ray.method.icvf import ICVF, MultilinearValue


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


class FastICVF:
    """The update of :class:`ailot_ray.method.icvf.ICVF`, over the same networks and batch."""

    def __init__(self, learner: ICVF) -> None:
        self.learner, batch = learner, learner.batch
        self.target_parameters = into_one_buffer(learner.target)
        learner.optimiser = self.optimiser = OneBufferAdam(learner.value, learner.config.learning_rate)
        self.value_pass = ValuePass(learner.value, batch.state[:, None], batch.outcome_and_goal[:, None])
        self.target_pass = TargetPass(learner.target, batch.successor_and_state[:, None], batch.outcome_and_goal[:, None])

    @torch.no_grad()
    def update(self) -> None:
        config, batch = self.learner.config, self.learner.batch
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
        loss = (self.weight * self.td_error.square()).mean(-1).sum(1)
        return {"loss": loss, "value": self.v.mean((1, 2))}
