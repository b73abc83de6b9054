"""Alignment of one agent trajectory with one expert trajectory (METHOD section 2).

    C_ij = ‖x_i − y_j‖² + ‖x_min(i+k, Ta) − y_min(j+k, Te)‖²          x = ψ(agent's states), y = ψ(expert's states)
    P    = argmin ⟨P, C⟩ − ε·H(P),  rows sum to 1/Ta, columns to 1/Te
    c_i  = Ta · Σ_j P_ij C_ij                                          the per-step cost that becomes a reward

Weights are 1/length on real steps only. OTR pads to 1000 steps and weighs by 1/1000, so that its shorter trajectories carry
too little mass to satisfy the expert's marginal; that is not done here, for OTR's own preset either.
"""

import importlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.config import Metric, TransportConfig
from ailot_ray.method import kernel_passes as passes
from ailot_ray.method.diagnostics import Coherence, temporal_coherence
from ailot_ray.method.fused import Scaled, solve_fused
from ailot_ray.method.sinkhorn import SINGLE_PRECISION, Couplings, sinkhorn


@dataclass(frozen=True)
class Alignment:
    """One solved pair."""

    cost: NDArray[np.float64]
    """c, (Ta,)"""
    first: int
    """j1, the expert's state nearest to the agent's first (0 where `start` is none)."""
    error: float
    """L1 error of the marginals."""
    converged: bool
    iterations: int
    solution: Couplings | Scaled

    @property
    def plan(self) -> Tensor:
        """P, (Ta, Te') with Te' = Te − first where the expert is cut. Made when asked for: the costs do not need it."""
        return self.solution.plan() if isinstance(self.solution, Scaled) else self.solution.plan[0]

    def coherence(self) -> Coherence:
        """How well the coupling keeps the order of time."""
        if isinstance(self.solution, Scaled):
            mean, best = self.solution.matches()
        else:
            plan = self.solution.plan[0].double().cpu()
            mean = (plan @ torch.arange(plan.shape[1], dtype=torch.float64) / plan.sum(1)).numpy()
            best = plan.argmax(1).numpy()
        columns = (self.solution.kernel if isinstance(self.solution, Scaled) else self.solution.plan).shape[-1]
        return temporal_coherence(mean, best, columns)


def prepare(features: Tensor, metric: Metric) -> Tensor:
    """Features whose squared Euclidean distance is the metric: 1 − cos(x, y) = ‖x̂ − ŷ‖² / 2 for unit vectors x̂, ŷ.

    The Euclidean distance is no squared one: `look_ahead_cost` takes its root.
    """
    if metric == "cosine":
        unit: Tensor = features / torch.linalg.vector_norm(features, dim=-1, keepdim=True).clamp(min=1e-12)
        features = unit * 0.5**0.5
    return features


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """‖x_i − y_j‖² for x (..., n, d), y (..., m, d), by one matrix product about the mean of y, for precision."""
    centre = y.mean(-2, keepdim=True)
    x, y = x - centre, y - centre
    distances = torch.matmul(x, y.mT).mul_(-2.0)
    distances += x.square().sum(-1)[..., :, None]
    distances += y.square().sum(-1)[..., None, :]
    return distances.clamp_(min=0.0)


def look_ahead_cost(x: Tensor, y: Tensor, k: int, metric: Metric = "sqeuclidean") -> Tensor:
    """C of METHOD section 2 for one pair of prepared features x (Ta, d), y (Te, d): for k > 0 the same distances again, shifted
    and clamped."""
    if x.device.type == "cpu" and x.dtype == y.dtype == torch.float32 and metric != "euclidean":
        return _fused_cost(x, y, k)
    distances = squared_distances(x, y)
    if metric == "euclidean":
        distances = distances.sqrt_()
    if k == 0:
        return distances
    cost, n, m = distances.clone(), max(len(x) - k, 0), max(len(y) - k, 0)
    cost[:n, :m] += distances[k:, k:]
    cost[n:, :m] += distances[-1, k:]
    cost[:n, m:] += distances[k:, -1:]
    cost[n:, m:] += distances[-1, -1]
    return cost


def _fused_cost(x: Tensor, y: Tensor, k: int) -> Tensor:
    """The same in one pass after the matrix product."""
    centre = y.mean(0)
    x, y = x - centre, y - centre
    gram = x @ y.T
    cost = torch.empty_like(gram)
    passes.look_ahead(gram.numpy(), *(torch.linalg.vecdot(z, z).numpy() for z in (x, y)), k, cost.numpy())
    return cost


def align(agent: Tensor, expert: Tensor, config: TransportConfig) -> Alignment:
    """Solve one pair of prepared feature sequences (Ta, d) and (Te, d). `config` must be resolved."""
    assert config.k is not None
    return solve(look_ahead_cost(agent, expert, config.k, config.metric or "sqeuclidean"), config)


def solve(cost: Tensor, config: TransportConfig) -> Alignment:
    """Apply `start`, solve with the configured solver, and read the per-step costs off the plan. cost (Ta, Te)."""
    first = 0 if config.start == "none" else int(cost[0].argmin())
    if config.start == "cut":
        cost = cost[:, first:]
    counted = first if config.start == "mask" else 0
    if config.solver in (None, "sinkhorn") and cost.device.type == "cpu" and cost.dtype == torch.float32:
        scaled = _fused(cost, config)
        if scaled is not None:
            paid = len(cost) * scaled.paid(cost, counted)
            return Alignment(paid, first, scaled.error, scaled.error <= config.tolerance, scaled.iterations, scaled)
    couplings = (_by_pot if config.solver in ("pot", "exact") else _sinkhorn)(cost, config)
    plan = couplings.plan[0].to(cost.device)
    per_step = len(cost) * (plan.double() * cost.double())[:, counted:].sum(1)
    return Alignment(
        cost=per_step.cpu().numpy(),
        first=first,
        error=float(couplings.error[0]),
        converged=bool(couplings.converged[0]),
        iterations=int(couplings.iterations[0]),
        solution=couplings,
    )


def absolute_epsilon(cost: Tensor, config: TransportConfig) -> float:
    """ε in the unit of the cost; relative ε is a multiple of the problem's mean cost."""
    assert config.epsilon is not None
    if config.epsilon_unit == "absolute":
        return config.epsilon
    mean = float(cost.sum(1).mean(dtype=torch.float64)) / cost.shape[1]
    return config.epsilon * mean if mean > 0 else config.epsilon  # all costs zero: any ε gives the product coupling


def _fused(cost: Tensor, config: TransportConfig) -> Scaled | None:
    """The fused solver's solution, None where single precision does not do and `sinkhorn` must take over."""
    n, m = cost.shape
    a, b = cost.new_full((n,), 1.0 / n), cost.new_full((m,), 1.0 / m)
    solved = solve_fused(cost, a, b, absolute_epsilon(cost, config), config.tolerance, config.max_iterations)
    if solved and solved.error > config.tolerance and config.tolerance < SINGLE_PRECISION:
        return None
    return solved


def _sinkhorn(cost: Tensor, config: TransportConfig) -> Couplings:
    n, m = cost.shape
    a, b = cost.new_full((1, n), 1.0 / n), cost.new_full((1, m), 1.0 / m)
    epsilon = cost.new_tensor([absolute_epsilon(cost, config)])
    return sinkhorn(cost[None], a, b, epsilon, config.tolerance, config.max_iterations)


def _by_pot(cost: Tensor, config: TransportConfig) -> Couplings:
    pot = importlib.import_module("ailot_ray.method.pot")  # heavy, and hardly ever asked for
    found: Couplings = (
        pot.exact(cost, config.tolerance)
        if config.solver == "exact"
        else pot.entropic(cost, absolute_epsilon(cost, config), config.tolerance, config.max_iterations)
    )
    return found
