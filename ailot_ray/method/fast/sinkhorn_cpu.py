"""The Sinkhorn iteration of :mod:`ailot_ray.method.sinkhorn` for one problem on a CPU, each iteration one pass over the kernel.

A row of the kernel is read once: it gives the row's sum, from that the new u_i, and with it the row's share in all column sums,
while it is still in the cache. The marginals' errors come out of the same sums, so looking at them costs nothing. Where u or v
leave single precision all the same, one iteration is made in the log domain, from potentials in double precision: after it each
row and column has a sum that can be divided by, so there is no ε at which the solver cannot go on. The tests hold it to the
plain torch of `sinkhorn`.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.method.fast import sinkhorn_kernels as kernels
from ailot_ray.method.relaxation import LOOK_EVERY, OMEGA_MAX, first_omega, lower, relax

ABSORB_ABOVE = 1e9
"""u and v are absorbed into the potentials when they leave [1/this, this]."""
COLUMN_ERROR_FACTOR = 8.0
"""An iteration's error, of rows and columns and over-relaxed, is so many times that of the columns once the rows are exact: the
latter, which a pass tells, is looked at from there. On trajectories of D4RL 5 to 20."""


@dataclass(frozen=True)
class Scaled:
    """A solution as it was found: P_ij = u_i·K_ij·v_j. Rows sum to a exactly; `error` is the L1 error of the columns."""

    kernel: Tensor
    """(n, m)"""
    u: Tensor
    """(n,)"""
    v: Tensor
    """(m,)"""
    error: float
    iterations: int

    def plan(self) -> Tensor:
        """P, (n, m)."""
        return self.u[:, None] * self.kernel * self.v

    def row_costs(self, cost: Tensor, first: int = 0) -> NDArray[np.float64]:
        """Σ_{j ≥ first} P_ij·C_ij of each row, (n,), without the plan."""
        rows = np.empty(len(self.u), np.float64)
        kernels.paid(self.kernel.numpy(), self.u.numpy(), self.v.numpy(), cost.numpy(), first, rows)
        return rows

    def matches(self) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
        """Of each row the mean column, Σ_j j·P_ij / Σ_j P_ij, and the column of most mass, (n,) each; and m."""
        mean, best = np.empty(len(self.u), np.float64), np.empty(len(self.u), np.int64)
        kernels.matches(self.kernel.numpy(), self.v.numpy(), mean, best)
        return mean, best, self.kernel.shape[1]


def solve_fused(cost: Tensor, a: Tensor, b: Tensor, epsilon: float, tolerance: float, max_iterations: int) -> Scaled | None:
    """Solve one problem: cost (n, m), float32, on the CPU; weights a (n,) and b (m,), all above 0; epsilon in its unit.

    None where the costs are not numbers.
    """
    problem = _Problem(cost, a, b, epsilon)
    if not problem.finite():
        return None
    omega, cap, previous, enough, iteration = (
        first_omega(problem.depth()),
        OMEGA_MAX,
        math.nan,
        COLUMN_ERROR_FACTOR * tolerance,
        0,
    )
    while iteration < max_iterations:
        steps = min(LOOK_EVERY, max_iterations - iteration)
        taken, error, spread = kernels.iterate(*problem.scaling, omega, steps, enough, ABSORB_ABOVE)
        iteration += taken
        if not (math.isfinite(error) and math.isfinite(spread)):  # back to the potentials, and on from there in the log domain
            problem.iterate_exactly()
            (omega, cap), previous = lower(omega, cap), math.nan
            continue
        if spread > ABSORB_ABOVE:
            problem.absorb()
        if error <= enough:
            left = problem.error_of_exact_rows()
            if left <= tolerance:
                return problem.solution(left, iteration)
            enough = max(min(enough, 0.9 * error * tolerance / left), tolerance)
        if not previous > 0:
            previous = error
        else:
            omega, cap = relax(omega, cap, (error / previous) ** (1.0 / taken), error)
            previous = math.nan
    return problem.solution(problem.conclude(), iteration)


class _Problem:
    """The arrays of one problem: K_ij = exp((f_i + g_j − C_ij)/ε) of the potentials f and g, and P = u·K·v."""

    def __init__(self, cost: Tensor, a: Tensor, b: Tensor, epsilon: float) -> None:
        cost = cost.contiguous()
        self.cost, self.a, self.b, self.epsilon = cost.numpy(), a.numpy(), b.numpy(), epsilon
        self.inverse = 1.0 / epsilon
        # potentials of a kernel whose every row and column holds a 1
        lowest = cost.amin(1).numpy()  # not a number where one of the row's costs is not
        above = np.empty_like(self.b)
        self.total = kernels.smallest(self.cost, lowest, above)
        self.f, self.g = lowest.astype(np.float64), above.astype(np.float64)
        self.u, self.v, self.exact = np.empty_like(self.a), np.empty_like(self.b), np.empty_like(self.a)
        self.kernel = np.empty_like(self.cost)
        self.scaling = self.kernel, self.u, self.v, self.a, self.b
        if self.finite():
            self._build()

    def finite(self) -> bool:
        return bool(np.isfinite(self.f).all() and np.isfinite(self.g).all())

    def depth(self) -> float:
        """The mean of (C_ij − f_i − g_j)/ε."""
        return float((self.total / self.cost.size - self.f.mean() - self.g.mean()) * self.inverse)

    def absorb(self) -> None:
        """Make u and v even, by new potentials."""
        self.f += self.epsilon * np.log(self.u, dtype=np.float64)
        self.g += self.epsilon * np.log(self.v, dtype=np.float64)
        self._build()

    def iterate_exactly(self) -> None:
        """One plain iteration in the log domain from the potentials; u and v are forgotten."""
        kernels.exact_rows(self.cost, self.g, self.inverse, np.log(self.a, dtype=np.float64), self.f)
        kernels.exact_columns(self.cost, self.f, self.inverse, np.log(self.b, dtype=np.float64), self.g)
        self._build()

    def error_of_exact_rows(self) -> float:
        """The L1 error of the columns for the u that makes the rows exact, which `exact` holds then."""
        error: float = kernels.finish(self.kernel, self.exact, self.v, self.a, self.b)
        return error

    def conclude(self) -> float:
        """The same, in the log domain where the rows cannot be made exact here."""
        error = self.error_of_exact_rows()
        if not math.isfinite(error):
            kernels.exact_rows(self.cost, self.g, self.inverse, np.log(self.a, dtype=np.float64), self.f)
            self._build()
            error = self.error_of_exact_rows()
        return error

    def solution(self, error: float, iterations: int) -> Scaled:
        kernel, u, v = (torch.from_numpy(array) for array in (self.kernel, self.exact, self.v))
        return Scaled(kernel, u, v, error, iterations)

    def _build(self) -> None:
        centre = self.g.mean()  # what goes from g to f changes no plan; small numbers are rounded less
        self.f += centre
        self.g -= centre
        total = kernels.build(self.cost, self.f, self.g.astype(np.float32), self.inverse, self.kernel)
        even = 1.0 / math.sqrt(total) if total > 0 else 1.0
        self.u.fill(even)
        self.v.fill(even)


def look_ahead_cost(x: Tensor, y: Tensor, k: int, metric: str) -> Tensor | None:
    """`transport.look_ahead_cost` in one pass after the matrix product; None where it has no such pass."""
    if x.device.type != "cpu" or not x.dtype == y.dtype == torch.float32 or metric == "euclidean":
        return None
    centre = y.mean(0)
    x, y = x - centre, y - centre
    gram = x @ y.T
    cost = torch.empty_like(gram)
    kernels.look_ahead(gram.numpy(), *(torch.linalg.vecdot(z, z).numpy() for z in (x, y)), k, cost.numpy())
    return cost


def sinkhorn(cost: Tensor, epsilon: float, tolerance: float, max_iterations: int) -> Scaled | None:
    """The coupling of uniform weights for one cost (n, m); None where it is not float32 on a CPU, or out of its range."""
    if cost.device.type != "cpu" or cost.dtype != torch.float32:
        return None
    n, m = cost.shape
    return solve_fused(cost, cost.new_full((n,), 1.0 / n), cost.new_full((m,), 1.0 / m), epsilon, tolerance, max_iterations)
