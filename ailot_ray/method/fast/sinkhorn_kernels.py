"""Compiled passes over a cost or a kernel in float32, on one thread, for :mod:`ailot_ray.method.fused`. They work in place.

Rows (n, m) are read in order and used while they are in the cache; inner loops are such that LLVM makes SIMD code of them.
Numba compiles a function when it is first called and keeps the result on disk.
"""

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

FAST = {"reassoc", "contract", "arcp", "nsz"}  # what is not a number must stay one
LOWEST = np.float32(-66.0)
"""Kernel entries below exp(this) = 2e-29 are 0. With u and v within 1e9 of 1 no product is subnormal, which would make it 20
times slower, and what is left out of a plan is below 2e-11."""


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, error_model="numpy", fastmath=FAST)(function)


def _inlined(function: Any) -> Any:
    return numba.njit(inline="always", error_model="numpy", fastmath=FAST)(function)


@_inlined
def _exp(x: np.float32) -> np.float32:
    """eˣ = 2ⁿ·2ʳ, n whole and |r| ≤ ½, 2ʳ by its series to r⁶: within 6e-6 of it for x in [-87, 88], which x is clamped to."""
    y = min(max(x * np.float32(1.44269504), np.float32(-126.0)), np.float32(127.0))
    whole = np.rint(y)
    r = y - whole
    p = np.float32(1.5403530e-4)
    p = p * r + np.float32(1.3333558e-3)
    p = p * r + np.float32(9.6181291e-3)
    p = p * r + np.float32(5.5504109e-2)
    p = p * r + np.float32(2.4022651e-1)
    p = p * r + np.float32(6.9314718e-1)
    p = p * r + np.float32(1.0)
    exponent = (np.int32(whole) + np.int32(127)) << np.int32(23)
    return np.float32(p * np.int32(exponent).view(np.float32))


@_compiled
def look_ahead(gram: Floats, x: Floats, y: Floats, k: int, cost: Floats) -> None:
    """C of docs/method.md §2 from gram = x_i·y_j, x = ‖x_i‖², y = ‖y_j‖²."""
    n, m = cost.shape
    inner = max(m - k, 0)
    for i in range(n):
        out, near = cost[i], gram[i]
        for j in range(m):
            out[j] = max(x[i] + y[j] - np.float32(2.0) * near[j], np.float32(0.0))
        if k > 0:
            ahead = min(i + k, n - 1)
            far = gram[ahead]
            for j in range(inner):
                out[j] += max(x[ahead] + y[j + k] - np.float32(2.0) * far[j + k], np.float32(0.0))
            last = max(x[ahead] + y[m - 1] - np.float32(2.0) * far[m - 1], np.float32(0.0))
            for j in range(inner, m):
                out[j] += last


@_compiled
def smallest(cost: Floats, f: Floats, g: Floats) -> float:
    """g_j = min_i (C_ij − f_i), and the sum of all costs."""
    n, m = cost.shape
    g[:] = np.float32(np.inf)
    total = 0.0
    for i in range(n):
        row, low = cost[i], f[i]
        paid = np.float32(0.0)
        for j in range(m):
            g[j] = min(g[j], row[j] - low)
        for j in range(m):
            paid += row[j]
        total += float(paid)
    return total


@_compiled
def build(cost: Floats, f: Doubles, g: Floats, inverse: float, kernel: Floats) -> float:
    """K_ij = exp((f_i + g_j − C_ij)/ε), inverse = 1/ε, and the sum of its entries."""
    n, m = cost.shape
    scale = np.float32(inverse)
    total = 0.0
    for i in range(n):
        row, out, high = cost[i], kernel[i], np.float32(f[i])
        mass = np.float32(0.0)
        for j in range(m):
            x = ((high - row[j]) + g[j]) * scale
            out[j] = _exp(x) if x > LOWEST else np.float32(0.0)
        for j in range(m):
            mass += out[j]
        total += float(mass)
    return total


@_compiled
def exact_rows(cost: Floats, g: Doubles, inverse: float, log_a: Doubles, f: Doubles) -> None:
    """The f that makes all rows exact for g, in the log domain: f_i = ε·log a_i − ε·log Σ_j exp((g_j − C_ij)/ε)."""
    n, m = cost.shape
    for i in range(n):
        row = cost[i]
        top = -np.inf
        for j in range(m):
            top = max(top, g[j] - row[j])
        total = np.float32(0.0)
        for j in range(m):
            total += _exp(np.float32((g[j] - row[j] - top) * inverse))
        f[i] = (log_a[i] - math.log(total)) / inverse - top


@_compiled
def exact_columns(cost: Floats, f: Doubles, inverse: float, log_b: Doubles, g: Doubles) -> None:
    """The g that makes all columns exact for f."""
    n, m = cost.shape
    top, totals = np.full(m, -np.inf), np.zeros(m, np.float32)
    for i in range(n):
        row = cost[i]
        for j in range(m):
            top[j] = max(top[j], f[i] - row[j])
    for i in range(n):
        row = cost[i]
        for j in range(m):
            totals[j] += _exp(np.float32((f[i] - row[j] - top[j]) * inverse))
    for j in range(m):
        g[j] = (log_b[j] - math.log(totals[j])) / inverse - top[j]


@_compiled
def iterate(
    kernel: Floats, u: Floats, v: Floats, a: Floats, b: Floats, omega: float, steps: int, tolerance: float, limit: float
) -> tuple[int, float, float]:
    """Up to `steps` iterations: those taken, the last one's error of rows and columns, the spread of u and v.

    The error of an iteration is that of the rows before its update of u and of the columns before its update of v. It stops
    early where the error is within the tolerance, or u or v leave [1/limit, limit].
    """
    n, m = kernel.shape
    sums = np.empty(m, np.float32)
    power = np.float32(omega)
    error = 0.0
    spread = 1.0
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
        low = high = np.float32(1.0)
        for i in range(n):
            low, high = min(low, u[i]), max(high, u[i])
        for j in range(m):
            low, high = min(low, v[j]), max(high, v[j])
        spread = float(max(high, np.float32(1.0) / low))
        if error <= tolerance or not spread <= limit or not math.isfinite(error):
            break
    return taken, error, spread


@_inlined
def _update(scaling: Floats, weight: Floats, i: int, total: np.float32, power: np.float32) -> np.float32:
    """u·(a/(u·Kv))^ω."""
    ratio = weight[i] / (scaling[i] * total)
    if power == np.float32(1.0):
        return np.float32(scaling[i] * ratio)
    return np.float32(scaling[i] * ratio**power)


@_compiled
def finish(kernel: Floats, u: Floats, v: Floats, a: Floats, b: Floats) -> float:
    """Make the rows exact, u = a/Kv, and return the L1 error of the columns for them."""
    n, m = kernel.shape
    sums = np.zeros(m, np.float32)
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
def paid(kernel: Floats, u: Floats, v: Floats, cost: Floats, first: int, rows: Doubles) -> None:
    """Σ_{j ≥ first} u_i·K_ij·v_j·C_ij of each row."""
    n, m = kernel.shape
    counted = v[first:]
    for i in range(n):
        row, prices = kernel[i, first:], cost[i, first:]
        total = np.float32(0.0)
        for j in range(m - first):
            total += row[j] * counted[j] * prices[j]
        rows[i] = np.float64(u[i]) * np.float64(total)


@_compiled
def matches(kernel: Floats, v: Floats, mean: Doubles, best: NDArray[np.int64]) -> None:
    """Of each row the mean column and the column of most mass."""
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
