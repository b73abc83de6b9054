"""Alignment of one agent trajectory with one expert trajectory (docs/method.md §2).

    C_ij = ‖x_i − y_j‖² + ‖x_min(i+k, Ta) − y_min(j+k, Te)‖²          x = ψ(agent's states), y = ψ(expert's states)
    P    = argmin ⟨P, C⟩ − ε·H(P),  rows sum to 1/Ta, columns to 1/Te
    c_i  = Ta · Σ_j P_ij C_ij                                          the per-step cost that becomes a reward

Weights are 1/length on real steps only. OTR pads to 1000 steps and weighs by 1/1000, so that its shorter trajectories carry
too little mass to satisfy the expert's marginal; that is not done here, for OTR's own preset either.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.config import Metric, TransportConfig
from ailot_ray.lazy import require
from ailot_ray.method.acceleration import fast
from ailot_ray.method.diagnostics import Coherence, temporal_coherence
from ailot_ray.method.sinkhorn import SINGLE_PRECISION, Coupling, Couplings, sinkhorn

OUTLYING = 10.0
"""Times the median: a state of a larger mean cost counts as much in ε's scale, and no more. One bad state would else make ε so
large that every other one is coupled with the whole expert."""


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
    solution: Coupling

    @property
    def plan(self) -> Tensor:
        """P, (Ta, Te') with Te' = Te − first where the expert is cut. Made when asked for: the costs do not need it."""
        return self.solution.plan()

    def coherence(self) -> Coherence:
        """How well the coupling keeps the order of time."""
        mean, best, columns = self.solution.matches()
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
    """C, (Ta, Te), of one pair of prepared features x (Ta, d) and y (Te, d).

    For k > 0 the same distances are added again, k steps on, clamped to the last step (docs/method.md §2).
    """
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


def align(agent: Tensor, expert: Tensor, config: TransportConfig) -> Alignment:
    """Solve one pair of prepared feature sequences (Ta, d) and (Te, d). `config` must be resolved."""
    assert config.k is not None
    door, metric = fast(), config.metric or "sqeuclidean"
    quick = door.look_ahead_cost(agent, expert, config.k, metric) if door else None
    return solve(look_ahead_cost(agent, expert, config.k, metric) if quick is None else quick, config)


def solve(cost: Tensor, config: TransportConfig) -> Alignment:
    """Apply `start`, solve with the configured solver, and read the per-step costs off the plan. cost (Ta, Te)."""
    first = 0 if config.start == "none" else int(cost[0].argmin())
    if config.start == "cut":
        cost = cost[:, first:]
    counted = first if config.start == "mask" else 0
    solution = _solution(cost, config)
    per_step = len(cost) * solution.row_costs(cost, counted)
    return Alignment(per_step, first, solution.error, solution.error <= config.tolerance, solution.iterations, solution)


def _solution(cost: Tensor, config: TransportConfig) -> Coupling:
    """The coupling of one problem, by the configured solver."""
    epsilon = absolute_epsilon(cost, config)
    if config.solver in ("pot", "exact"):
        pot = require("ailot_ray.method.pot")  # heavy, and hardly ever asked for
        exact: Couplings = (
            pot.exact(cost, config.tolerance)
            if config.solver == "exact"
            else pot.entropic(cost, epsilon, config.tolerance, config.max_iterations)
        )
        return exact.single(0)
    door = fast()
    quick: Coupling | None = door.sinkhorn(cost, epsilon, config.tolerance, config.max_iterations) if door else None
    if quick and (quick.error <= config.tolerance or config.tolerance >= SINGLE_PRECISION):
        return quick
    n, m = cost.shape
    a, b = cost.new_full((1, n), 1.0 / n), cost.new_full((1, m), 1.0 / m)
    return sinkhorn(cost[None], a, b, cost.new_tensor([epsilon]), config.tolerance, config.max_iterations).single(0)


def absolute_epsilon(cost: Tensor, config: TransportConfig) -> float:
    """ε in the unit of the cost C (Ta, Te); relative ε is a multiple of the problem's typical cost."""
    assert config.epsilon is not None
    if config.epsilon_unit == "absolute":
        return config.epsilon
    scale = float(typical_cost(cost.sum(1), cost.sum(0)))
    return config.epsilon * scale if scale > 0 else config.epsilon  # all costs zero: any ε gives the product coupling


def typical_cost(row_sums: Tensor, column_sums: Tensor) -> Tensor:
    """The mean cost of each problem, (...,), in which a state counts :data:`OUTLYING` times the median one at most.

    Given are the sums of C's rows (..., n) and of its columns (..., m), NaN where they are padding. A far state of the expert
    raises all rows alike: where there is one, the columns' mean holds if it is the smaller.
    """
    means, counts = [], [(~sums.isnan()).sum(-1) for sums in (row_sums, column_sums)]
    for sums in (row_sums, column_sums):
        most = OUTLYING * sums.nanmedian(-1, keepdim=True).values
        means.append(sums.minimum(most).nansum(-1, dtype=torch.float64) / counts[0] / counts[1])
    far = (column_sums > most).any(-1)
    return torch.where(far, torch.minimum(*means), means[0])
