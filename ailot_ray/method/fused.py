"""The Sinkhorn iteration of :mod:`ailot_ray.method.sinkhorn` for one problem on a CPU, each iteration one pass over the kernel.

A row of the kernel is read once: it gives the row's sum, from that the new u_i, and with it the row's share in all column sums,
while it is still in the cache. The marginals' errors come out of the same sums, so looking at them costs nothing, and ω is
adapted as often as it helps. Potentials and their differences to the costs are in double precision, what they are the exponents
of in single. Where u or v leave single precision all the same, one iteration is made in the log domain: after it every row and
column has a sum that can be divided by, so there is no ε at which the solver cannot go on. The plain torch of `sinkhorn` is
what the tests hold this to.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.method import kernel_passes as passes

LOOK_EVERY = 6
"""Iterations between two adaptations of ω."""
ABSORB_ABOVE = 1e9
"""u and v are absorbed into the potentials when they leave [1/this, this]."""
OMEGA_START = 1.3
"""ω before a rate is known: on trajectories of D4RL it saves a tenth to a quarter of the iterations that 1 takes."""
OMEGA_MAX = 1.98


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

    def paid(self, cost: Tensor, first: int = 0) -> NDArray[np.float64]:
        """Σ_{j ≥ first} P_ij·C_ij of each row, (n,), without the plan."""
        rows = np.empty(len(self.u), np.float64)
        passes.paid(self.kernel.numpy(), self.u.numpy(), self.v.numpy(), cost.numpy(), first, rows)
        return rows

    def matches(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Of each row the mean column, Σ_j j·P_ij / Σ_j P_ij, and the column of most mass, (n,) each, without the plan."""
        mean, best = np.empty(len(self.u), np.float64), np.empty(len(self.u), np.int64)
        passes.matches(self.kernel.numpy(), self.v.numpy(), mean, best)
        return mean, best


def solve_fused(cost: Tensor, a: Tensor, b: Tensor, epsilon: float, tolerance: float, max_iterations: int) -> Scaled | None:
    """Solve one problem: cost (n, m), float32, on the CPU; weights a (n,) and b (m,), all above 0; epsilon in its unit.

    None where the costs are not numbers.
    """
    problem = _Problem(cost, a, b, epsilon)
    if not problem.finite():
        return None
    omega, cap, previous, iteration = OMEGA_START, OMEGA_MAX, math.nan, 0
    while iteration < max_iterations:
        steps = min(LOOK_EVERY, max_iterations - iteration)
        taken, error, spread = passes.iterate(*problem.scaling, omega, steps, tolerance, ABSORB_ABOVE)
        iteration += taken
        if not (math.isfinite(error) and math.isfinite(spread)):  # back to the potentials, and on from there in the log domain
            problem.iterate_exactly()
            omega, cap, previous = 1.0, _lower(cap), math.nan
            continue
        omega, cap = relax(omega, cap, error, previous, taken)
        previous = error
        if spread > ABSORB_ABOVE:
            problem.absorb()
        elif error <= tolerance:
            found = passes.finish(*problem.scaling)
            if found <= tolerance:
                return problem.solution(found, iteration)
    return problem.solution(problem.conclude(), iteration)


class _Problem:
    """The arrays of one problem: K_ij = exp((f_i + g_j − C_ij)/ε) of the potentials f and g, and P = u·K·v."""

    def __init__(self, cost: Tensor, a: Tensor, b: Tensor, epsilon: float) -> None:
        self.cost, self.a, self.b, self.epsilon = cost.contiguous().numpy(), a.numpy(), b.numpy(), epsilon
        self.inverse = 1.0 / epsilon
        self.f, self.g = np.empty(len(a)), np.empty(len(b))
        self.u, self.v = np.ones_like(self.a), np.ones_like(self.b)
        self.kernel = np.empty_like(self.cost)
        self.scaling = self.kernel, self.u, self.v, self.a, self.b
        passes.smallest(self.cost, self.f, self.g)
        if self.finite():
            self._build()

    def finite(self) -> bool:
        return bool(np.isfinite(self.f).all() and np.isfinite(self.g).all())

    def absorb(self) -> None:
        """Make u and v 1, by new potentials."""
        self.f += self.epsilon * np.log(self.u, dtype=np.float64)
        self.g += self.epsilon * np.log(self.v, dtype=np.float64)
        self._build()

    def iterate_exactly(self) -> None:
        """One plain iteration in the log domain from the potentials; u and v are forgotten."""
        passes.exact_rows(self.cost, self.g, self.inverse, np.log(self.a, dtype=np.float64), self.f)
        passes.exact_columns(self.cost, self.f, self.inverse, np.log(self.b, dtype=np.float64), self.g)
        self._build()

    def conclude(self) -> float:
        """Make the rows exact, in the log domain where they cannot be made so here, and return the error of the columns."""
        error: float = passes.finish(*self.scaling)
        if not math.isfinite(error):
            passes.exact_rows(self.cost, self.g, self.inverse, np.log(self.a, dtype=np.float64), self.f)
            self._build()
            error = passes.finish(*self.scaling)
        return error

    def solution(self, error: float, iterations: int) -> Scaled:
        kernel, u, v = (torch.from_numpy(array) for array in (self.kernel, self.u, self.v))
        return Scaled(kernel, u, v, error, iterations)

    def _build(self) -> None:
        passes.build(self.cost, self.f, self.g, self.inverse, self.kernel)
        self.u.fill(1.0)
        self.v.fill(1.0)


def relax(omega: float, cap: float, error: float, previous: float, iterations: int) -> tuple[float, float]:
    """The ω that the measured rate suggests, and the new cap: the rule of `sinkhorn._relax` for one problem."""
    if not (previous > 0 and error > 0 and iterations):
        return omega, cap
    rate = (error / previous) ** (1.0 / iterations)
    if rate > 1.0:
        return 1.0, _lower(cap)
    plain = min(max((rate + omega - 1.0) ** 2 / (rate * omega * omega), 0.0), 0.9999)
    return max(min(2.0 / (1.0 + math.sqrt(1.0 - plain)), cap), omega), cap


def _lower(cap: float) -> float:
    return 1.0 + 0.9 * (cap - 1.0)
