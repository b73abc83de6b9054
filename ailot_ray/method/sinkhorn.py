"""Entropic optimal transport by over-relaxed Sinkhorn scaling, in plain torch on any device.

    P = argmin ⟨P, C⟩ − ε·H(P)   with   P·1 = a,  Pᵀ·1 = b;        P_ij = u_i · exp((f_i + g_j − C_ij)/ε) · v_j

Scaling runs in the kernel's domain in the costs' precision; potentials f, g absorb u and v before they leave its range. Each
update is over-relaxed, u ← u^(1−ω)·(a/Kv)^ω (Thibault et al. 2017), with ω taken from the measured rate of convergence by
Young's relation for successive over-relaxation (Lehmann et al. 2020). Should the kernel under- or overflow all the same, the
problem is solved again in the log domain in double precision.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

CHECK_EVERY = 10
"""Iterations between two looks at the error, and so at ω."""
ABSORB_ABOVE = 1e12
"""u and v are absorbed into f and g when they leave [1/this, this]; float32 ends at 3e38, products of two must fit."""
OMEGA_MAX = 1.98
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
    # start with a kernel whose every real row and column holds a 1
    f = barrier.amin(2).masked_fill(~rows, 0.0)
    g = (barrier - f[:, :, None]).amin(1).masked_fill(~columns, 0.0)
    kernel = _kernel(barrier, f, g, epsilon)
    u, v = rows.to(cost), columns.to(cost)
    omega = torch.ones_like(epsilon)
    omega_cap = torch.full_like(epsilon, OMEGA_MAX)
    active = torch.ones_like(epsilon, dtype=torch.bool)
    iterations = torch.zeros_like(epsilon, dtype=torch.long)
    previous = torch.full_like(epsilon, torch.nan)
    kv = _times(kernel, v)
    for iteration in range(1, max_iterations + 1):
        power = omega[:, None]
        u = torch.where(active[:, None] & rows, u * (a / (u * kv)).pow(power), u)
        ku = _times(kernel.mT, u)
        v = torch.where(active[:, None] & columns, v * (b / (v * ku)).pow(power), v)
        kv = _times(kernel, v)
        if iteration % CHECK_EVERY and iteration != max_iterations:
            continue
        error = (u * kv - a).abs().sum(1) + (v * ku - b).abs().sum(1)
        iterations[active] = iteration
        active = active & (error > tolerance)  # a problem that is not finite leaves here as well
        if not active.any():
            break
        omega, omega_cap = _relax(omega, omega_cap, error, previous)
        previous = error
        wide = active & (torch.maximum(_spread(u, rows), _spread(v, columns)) > ABSORB_ABOVE)
        if wide.any():  # each problem by itself: its company must not change when
            f[wide] += eps[wide] * torch.where(rows[wide], u[wide], 1.0).log()
            g[wide] += eps[wide] * torch.where(columns[wide], v[wide], 1.0).log()
            kernel[wide] = _kernel(barrier[wide], f[wide], g[wide], epsilon[wide])
            u[wide], v[wide] = rows[wide].to(cost), columns[wide].to(cost)
            kv = _times(kernel, v)
    u = (a / kv).masked_fill(~rows, 0.0)  # rows exact: what is left is the columns' error
    plan = u[:, :, None] * kernel * v[:, None, :]
    error = (plan.sum(1) - b).abs().sum(1)
    return Couplings(plan, error, error <= tolerance, iterations)


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


def _relax(omega: Tensor, cap: Tensor, error: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
    """The ω that the measured rate suggests, problem by problem.

    With rate λ an iteration at relaxation ω, Young's relation (λ + ω − 1)² = λ·ω²·ρ gives the rate ρ of plain Sinkhorn, and
    ω = 2 / (1 + √(1 − ρ)) is best for it. Where the error grew, start over from ω = 1 and stay further below the maximum.
    """
    rate = (error / previous).pow(1.0 / CHECK_EVERY)
    plain = ((rate + omega - 1.0).square() / (rate * omega.square())).clamp(0.0, 0.9999)
    best = torch.minimum(2.0 / (1.0 + (1.0 - plain).sqrt()), cap)
    grew = rate > 1.0
    cap = torch.where(grew, 1.0 + 0.9 * (cap - 1.0), cap)
    chosen = torch.where(grew, torch.ones_like(omega), torch.maximum(best, omega))
    return torch.where(rate.isfinite(), chosen, omega), cap


def _solve_log_domain(cost: Tensor, a: Tensor, b: Tensor, epsilon: Tensor, tolerance: float, max_iterations: int) -> Couplings:
    """The same iteration on potentials: slower by the price of its exponentials, and free of under- and overflow."""
    rows, columns = a > 0, b > 0
    scaled = (cost / epsilon[:, None, None]).masked_fill(~(rows[:, :, None] & columns[:, None, :]), torch.inf)
    log_a, log_b = a.log().masked_fill(~rows, 0.0), b.log().masked_fill(~columns, 0.0)
    f, g = torch.zeros_like(a), torch.zeros_like(b)  # in units of epsilon
    omega = torch.ones_like(epsilon)
    cap = torch.full_like(epsilon, OMEGA_MAX)
    active = torch.ones_like(epsilon, dtype=torch.bool)
    iterations = torch.zeros_like(epsilon, dtype=torch.long)
    previous = torch.full_like(epsilon, torch.nan)

    def row_update(g: Tensor) -> Tensor:
        return (log_a - (g[:, None, :] - scaled).logsumexp(2)).masked_fill(~rows, 0.0)

    for iteration in range(1, max_iterations + 1):
        power, live = omega[:, None], active[:, None]
        f = torch.where(live, f + power * (row_update(g) - f), f)
        column = (log_b - (f[:, :, None] - scaled).logsumexp(1)).masked_fill(~columns, 0.0)
        g = torch.where(live, g + power * (column - g), g)
        if iteration % CHECK_EVERY and iteration != max_iterations:
            continue
        plan = (f[:, :, None] + g[:, None, :] - scaled).exp()
        error = (plan.sum(2) - a).abs().sum(1) + (plan.sum(1) - b).abs().sum(1)
        iterations[active] = iteration
        active = active & (error > tolerance)
        if not active.any():
            break
        omega, cap = _relax(omega, cap, error, previous)
        previous = error
    f = row_update(g)
    plan = (f[:, :, None] + g[:, None, :] - scaled).exp()
    error = (plan.sum(1) - b).abs().sum(1)
    return Couplings(plan, error, error <= tolerance, iterations)
