"""The Sinkhorn iteration of :mod:`ailot_ray.method.sinkhorn` for one problem on a CPU, each iteration one pass over the kernel.

A row of the kernel is read once: it gives the row's sum, from that the new u_i, and with it the row's share in all column sums,
while it is still in the cache. The marginals' errors come out of the same sums, so looking at them costs nothing, and ω is
adapted as often as it helps. Numba compiles this when it is first used and keeps the result; the plain torch of `sinkhorn` is
what the tests hold it to, and what takes over where single precision does not do.
"""

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float32]

LOOK_EVERY = 6
"""Iterations between two adaptations of ω."""
ABSORB_ABOVE = 1e12
"""u and v are absorbed into the potentials when they leave [1/this, this]."""
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
        _paid(self.kernel.numpy(), self.u.numpy(), self.v.numpy(), cost.numpy(), first, rows)
        return rows

    def matches(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Of each row the mean column, Σ_j j·P_ij / Σ_j P_ij, and the column of most mass, (n,) each, without the plan."""
        mean, best = np.empty(len(self.u), np.float64), np.empty(len(self.u), np.int64)
        _matches(self.kernel.numpy(), self.v.numpy(), mean, best)
        return mean, best


def solve_fused(cost: Tensor, a: Tensor, b: Tensor, epsilon: float, tolerance: float, max_iterations: int) -> Scaled | None:
    """Solve one problem: cost (n, m), float32, on the CPU; weights a (n,) and b (m,), all above 0; epsilon in its unit.

    None where the kernel under- or overflows all the same: the log domain must take over.
    """
    cost = cost.contiguous()
    f = cost.amin(1)
    kernel = cost - f[:, None]
    g = kernel.amin(0)
    kernel.sub_(g).mul_(-1.0 / epsilon).exp_()  # every row and column holds a 1
    u, v = torch.ones_like(a), torch.ones_like(b)
    state = kernel.numpy(), u.numpy(), v.numpy(), a.numpy(), b.numpy(), np.empty(len(b), np.float32)
    omega, cap, previous, iteration = 1.0, OMEGA_MAX, math.nan, 0
    while True:
        steps = min(LOOK_EVERY, max_iterations - iteration)
        taken, error, spread = _iterate(*state, omega, steps, tolerance)
        iteration += taken
        if not math.isfinite(error):
            return None
        if error <= tolerance or iteration >= max_iterations:
            found = _finish(*state)
            if not math.isfinite(found):
                return None
            if found <= tolerance or iteration >= max_iterations:
                return Scaled(kernel, u, v, found, iteration)
        omega, cap = relax(omega, cap, error, previous, taken)
        previous = error
        if spread > ABSORB_ABOVE:
            f += epsilon * u.log()
            g += epsilon * v.log()
            torch.sub(cost, f[:, None], out=kernel)
            kernel.sub_(g).mul_(-1.0 / epsilon).exp_()
            u.fill_(1.0)
            v.fill_(1.0)


def relax(omega: float, cap: float, error: float, previous: float, iterations: int) -> tuple[float, float]:
    """The ω that the measured rate suggests, and the new cap: the rule of `sinkhorn._relax` for one problem."""
    if not (previous > 0 and error > 0 and iterations):
        return omega, cap
    rate = (error / previous) ** (1.0 / iterations)
    if rate > 1.0:
        return 1.0, 1.0 + 0.9 * (cap - 1.0)
    plain = min(max((rate + omega - 1.0) ** 2 / (rate * omega * omega), 0.0), 0.9999)
    return max(min(2.0 / (1.0 + math.sqrt(1.0 - plain)), cap), omega), cap


def _compiled(function: Any) -> Any:
    fast = {"reassoc", "contract", "arcp", "nsz"}  # what is not a number must stay one
    return numba.njit(cache=True, error_model="numpy", fastmath=fast)(function)


@_compiled
def _iterate(
    kernel: Floats, u: Floats, v: Floats, a: Floats, b: Floats, sums: Floats, omega: float, steps: int, tolerance: float
) -> tuple[int, float, float]:
    """Up to `steps` iterations in place: those taken, the last one's error of rows and columns, the spread of u and v.

    The error of an iteration is that of the rows before its update of u and of the columns before its update of v.
    """
    n, m = kernel.shape
    power = np.float32(omega)
    error = 0.0
    taken = 0
    for _ in range(steps):
        taken += 1
        error = 0.0
        sums[:] = np.float32(0.0)
        i = 0
        while i + 4 <= n:  # four rows at a time: v and the column sums are read a quarter as often
            k0, k1, k2, k3 = kernel[i], kernel[i + 1], kernel[i + 2], kernel[i + 3]
            s0 = s1 = s2 = s3 = np.float32(0.0)
            for j in range(m):
                s0 += k0[j] * v[j]
                s1 += k1[j] * v[j]
                s2 += k2[j] * v[j]
                s3 += k3[j] * v[j]
            u0 = _update(u, a, i, s0, power)
            u1 = _update(u, a, i + 1, s1, power)
            u2 = _update(u, a, i + 2, s2, power)
            u3 = _update(u, a, i + 3, s3, power)
            error += abs(u[i] * s0 - a[i]) + abs(u[i + 1] * s1 - a[i + 1])
            error += abs(u[i + 2] * s2 - a[i + 2]) + abs(u[i + 3] * s3 - a[i + 3])
            u[i], u[i + 1], u[i + 2], u[i + 3] = u0, u1, u2, u3
            for j in range(m):
                sums[j] += u0 * k0[j] + u1 * k1[j] + u2 * k2[j] + u3 * k3[j]
            i += 4
        while i < n:
            row = kernel[i]
            s0 = np.float32(0.0)
            for j in range(m):
                s0 += row[j] * v[j]
            u0 = _update(u, a, i, s0, power)
            error += abs(u[i] * s0 - a[i])
            u[i] = u0
            for j in range(m):
                sums[j] += u0 * row[j]
            i += 1
        for j in range(m):
            error += abs(v[j] * sums[j] - b[j])
            v[j] = _update(v, b, j, sums[j], power)
        if error <= tolerance or not math.isfinite(error):
            break
    low = high = np.float32(1.0)
    for i in range(n):
        low, high = min(low, u[i]), max(high, u[i])
    for j in range(m):
        low, high = min(low, v[j]), max(high, v[j])
    return taken, error, float(max(high, np.float32(1.0) / low))


@numba.njit(inline="always", error_model="numpy")
def _update(scaling: Floats, weight: Floats, i: int, total: np.float32, power: np.float32) -> np.float32:
    """u·(a/(u·Kv))^ω."""
    ratio = weight[i] / (scaling[i] * total)
    if power == np.float32(1.0):
        return np.float32(scaling[i] * ratio)
    return np.float32(scaling[i] * ratio**power)


@_compiled
def _finish(kernel: Floats, u: Floats, v: Floats, a: Floats, b: Floats, sums: Floats) -> float:
    """Make the rows exact, u = a/Kv, and return the L1 error of the columns."""
    n, m = kernel.shape
    sums[:] = np.float32(0.0)
    for i in range(n):
        row = kernel[i]
        total = np.float32(0.0)
        for j in range(m):
            total += row[j] * v[j]
        u[i] = a[i] / total
        for j in range(m):
            sums[j] += u[i] * row[j]
    error = 0.0
    for j in range(m):
        error += abs(v[j] * sums[j] - b[j])
    return error


@_compiled
def _paid(kernel: Floats, u: Floats, v: Floats, cost: Floats, first: int, rows: NDArray[np.float64]) -> None:
    n, m = kernel.shape
    for i in range(n):
        row, prices = kernel[i], cost[i]
        total = np.float32(0.0)
        for j in range(first, m):
            total += row[j] * v[j] * prices[j]
        rows[i] = np.float64(u[i]) * np.float64(total)


@_compiled
def _matches(kernel: Floats, v: Floats, mean: NDArray[np.float64], best: NDArray[np.int64]) -> None:
    n, m = kernel.shape
    for i in range(n):
        row = kernel[i]
        total = moment = largest = np.float32(0.0)
        at = 0
        for j in range(m):
            mass = row[j] * v[j]
            total += mass
            moment += mass * np.float32(j)
            if mass > largest:
                largest, at = mass, j
        mean[i] = np.float64(moment) / np.float64(total)
        best[i] = at
