"""Entropic optimal transport by over-relaxed Sinkhorn scaling, in plain torch on any device.

    P = argmin ⟨P, C⟩ − ε·H(P)   with   P·1 = a,  Pᵀ·1 = b;        P_ij = u_i · exp((f_i + g_j − C_ij)/ε) · v_j

Scaling runs in the kernel's domain in the costs' precision; potentials f, g absorb u and v before they leave its range. Each
update is over-relaxed, u ← u·(a/(u·Kv))^ω, with the ω of :mod:`ailot_ray.method.relaxation`. Should the kernel under- or
overflow all the same, the problem is solved again in the log domain in double precision.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.method.relaxation import LOOK_EVERY, OMEGA_MAX, first_omegas, relax_all

ABSORB_ABOVE = 1e12
"""u and v are absorbed into f and g when they leave [1/this, this]; float32 ends at 3e38, products of two must fit."""
SINGLE_PRECISION = 1e-5
"""L1 errors below this may be out of float32's reach."""


@dataclass(frozen=True)
class Couplings:
    """Solutions of B problems: the plans (B, n, m), the L1 error of their marginals (B,), whether it is within the tolerance
    (B,), and the iterations spent on each (B,). Rows sum to a exactly; the error is that of the columns."""

    plan: Tensor
    error: Tensor
    converged: Tensor
    iterations: Tensor

    def single(self, index: int) -> "Coupling":
        """One of the solutions."""
        return Dense(self.plan[index], float(self.error[index]), int(self.iterations[index]))


class Coupling(Protocol):
    """The solution of one problem, P (n, m), however it is held."""

    @property
    def error(self) -> float: ...
    @property
    def iterations(self) -> int: ...
    def plan(self) -> Tensor:
        """P, (n, m)."""

    def row_costs(self, cost: Tensor, first: int = 0) -> NDArray[np.float64]:
        """Σ_{j ≥ first} P_ij·C_ij of each row, (n,)."""

    def matches(self) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
        """Of each row the mean column, Σ_j j·P_ij / Σ_j P_ij, and the column of most mass, (n,) each; and m."""


@dataclass(frozen=True)
class Dense:
    """A coupling held as its matrix."""

    matrix: Tensor
    error: float
    iterations: int

    def plan(self) -> Tensor:
        return self.matrix

    def row_costs(self, cost: Tensor, first: int = 0) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (self.matrix.to(cost.device).double() * cost.double())[:, first:].sum(1).cpu().numpy()
        return found

    def matches(self) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
        plan = self.matrix.double().cpu()
        mean = (plan @ torch.arange(plan.shape[1], dtype=torch.float64) / plan.sum(1)).numpy()
        return mean, plan.argmax(1).numpy(), plan.shape[1]


def sinkhorn(cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, tolerance: float, max_iterations: int) -> Couplings:
    """Solve B problems at once: cost (B, n, m), weights a (B, n) and b (B, m), epsilon (B,) in the unit of the cost.

    Weights may be zero: a padded row or column takes no mass and changes nothing, and problems do not influence each other.
    """
    solved = _solve_scaling(cost, a, b, epsilon, tolerance, max_iterations)
    # a finite error above the tolerance wants more iterations, not another domain, unless single precision is the floor
    again = ~solved.error.isfinite() | (~solved.converged & (tolerance < SINGLE_PRECISION))
    if not again.any():
        return solved
    left = [x[again].double() for x in (cost, a, b, epsilon)]
    retry = _solve_log_domain(left[0], left[1], left[2], left[3], tolerance, max_iterations)
    merged = {}
    for name in ("plan", "error", "converged", "iterations"):
        value = getattr(solved, name).clone()
        value[again] = getattr(retry, name).to(value.dtype)
        merged[name] = value
    return replace(solved, **merged)


def _solve_scaling(cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, tolerance: float, max_iterations: int) -> Couplings:
    rows, columns = a > 0, b > 0
    eps = epsilon[:, None]
    barrier = cost.masked_fill(~(rows[:, :, None] & columns[:, None, :]), torch.inf)
    f, g = _first_potentials(barrier, rows, columns)
    kernel = _kernel(barrier, f, g, epsilon)
    u, v = rows.to(cost), columns.to(cost)
    pace = _Pace(_depth(barrier, f, g, rows, columns) / epsilon)
    kv = _times(kernel, v)
    for iteration in range(1, max_iterations + 1):
        power, live = pace.omega[:, None], pace.active[:, None]
        u = torch.where(live & rows, u * (a / (u * kv)).pow(power), u)
        v = torch.where(live & columns, v * (b / (v * _times(kernel.mT, u))).pow(power), v)
        kv = _times(kernel, v)
        if iteration % LOOK_EVERY and iteration != max_iterations:
            continue
        exact = (a / kv).masked_fill(~rows, 0.0)
        error = (v * _times(kernel.mT, exact) - b).abs().sum(1)
        if not pace.look(iteration, error, tolerance):
            break
        wide = pace.active & (torch.maximum(_spread(u, rows), _spread(v, columns)) > ABSORB_ABOVE)
        if wide.any():  # each problem by itself: its company must not change when
            f[wide] += eps[wide] * torch.where(rows[wide], u[wide], 1.0).log()
            g[wide] += eps[wide] * torch.where(columns[wide], v[wide], 1.0).log()
            kernel[wide] = _kernel(barrier[wide], f[wide], g[wide], epsilon[wide])
            u[wide], v[wide] = rows[wide].to(cost), columns[wide].to(cost)
            kv = _times(kernel, v)
    u = (a / kv).masked_fill(~rows, 0.0)  # rows exact: what is left is the columns' error
    plan = u[:, :, None] * kernel * v[:, None, :]
    error = (plan.sum(1) - b).abs().sum(1)
    return Couplings(plan, error, error <= tolerance, pace.iterations)


class _Pace:
    """Which of B problems still go on, and at which ω each."""

    def __init__(self, depth: Tensor) -> None:
        self.omega = first_omegas(depth)
        self.cap = torch.full_like(depth, OMEGA_MAX)
        self.active = torch.ones_like(depth, dtype=torch.bool)
        self.iterations = torch.zeros_like(depth, dtype=torch.long)
        self._previous = torch.full_like(depth, torch.nan)

    def look(self, iteration: int, error: Tensor, tolerance: float) -> bool:
        """Take note of the error of each problem; False where none has to go on."""
        self.iterations[self.active] = iteration
        self.active = self.active & (error > tolerance)  # a problem that is not finite leaves here as well
        if iteration // LOOK_EVERY % 2 == 0:
            rate = (error / self._previous).pow(1.0 / LOOK_EVERY)
            self.omega, self.cap = relax_all(self.omega, self.cap, rate, error)
        self._previous = error
        return bool(self.active.any())


def _first_potentials(barrier: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Those of a kernel whose every real row and column holds a 1."""
    f = barrier.amin(2).masked_fill(~rows, 0.0)
    return f, (barrier - f[:, :, None]).amin(1).masked_fill(~columns, 0.0)


def _depth(barrier: Tensor, f: Tensor, g: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The mean of C_ij − f_i − g_j of real i and j, (B,)."""
    real = rows[:, :, None] & columns[:, None, :]
    total = (barrier - f[:, :, None] - g[:, None, :]).masked_fill(~real, 0.0).sum((1, 2), dtype=torch.float64)
    return (total / real.sum((1, 2))).to(barrier)


def _kernel(barrier: Tensor, f: Tensor, g: Tensor, epsilon: Tensor) -> Tensor:
    return ((f[:, :, None] + g[:, None, :] - barrier) / epsilon[:, None, None]).exp_()


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    if len(matrix) == 1:
        return torch.mv(matrix[0], vector[0])[None]
    return torch.bmm(matrix, vector[:, :, None])[:, :, 0]


def _spread(scaling: Tensor, real: Tensor) -> Tensor:
    """How far each problem's u or v (B, n) has gone from 1, (B,)."""
    real_ones = torch.where(real & scaling.isfinite(), scaling, 1.0)
    return torch.maximum(real_ones.amax(1), 1.0 / real_ones.amin(1))


def _solve_log_domain(cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, tolerance: float, max_iterations: int) -> Couplings:
    """The same iteration on potentials: slower by the price of its exponentials, and free of under- and overflow."""
    rows, columns = a > 0, b > 0
    scaled = (cost / epsilon[:, None, None]).masked_fill(~(rows[:, :, None] & columns[:, None, :]), torch.inf)
    log_a, log_b = a.log().masked_fill(~rows, 0.0), b.log().masked_fill(~columns, 0.0)
    f, g = _first_potentials(scaled, rows, columns)  # in units of epsilon
    pace = _Pace(_depth(scaled, f, g, rows, columns))

    def row_update(g: Tensor) -> Tensor:
        return (log_a - (g[:, None, :] - scaled).logsumexp(2)).masked_fill(~rows, 0.0)

    def solution() -> tuple[Tensor, Tensor]:
        """The plan whose rows are exact, and the error of its columns."""
        plan = (row_update(g)[:, :, None] + g[:, None, :] - scaled).exp()
        return plan, (plan.sum(1) - b).abs().sum(1)

    for iteration in range(1, max_iterations + 1):
        power, live = pace.omega[:, None], pace.active[:, None]
        f = torch.where(live, f + power * (row_update(g) - f), f)
        column = (log_b - (f[:, :, None] - scaled).logsumexp(1)).masked_fill(~columns, 0.0)
        g = torch.where(live, g + power * (column - g), g)
        if (iteration % LOOK_EVERY == 0 or iteration == max_iterations) and not pace.look(iteration, solution()[1], tolerance):
            break
    plan, error = solution()
    return Couplings(plan, error, error <= tolerance, pace.iterations)
