"""How far Sinkhorn's updates are over-relaxed, u ← u·(a/(u·Kv))^ω: ω before anything is measured, and from measured rates.

If plain iterations shrink the error by ρ each, ω = 2 / (1 + √(1 − ρ)) is best, and does with √(1 − ρ) of their number
(Thibault et al. 2017). A run at ω whose rate is λ gives ρ by Young's relation (λ + ω − 1)² = λ·ω²·ρ (Lehmann et al. 2020).

Beforehand ρ is taken from the depth of the first kernel, D = mean of (C_ij − f_i − g_j)/ε: 1 − ρ ≈ 1.3 / D. Over 22 pairs of
trajectories (Gym, AntMaze, door; intents, states, cosine) the solver takes 11, 29 and 207 iterations on average for ε at 0.05,
0.01 and 0.001 of the mean cost. With ω from measured rates alone it took 17, 99 and 1797: the first iterations are fast at any
ω and say nothing of the rate to come.

Each rule stands here twice, for one problem in floats and for many in tensors on any device. The tests hold them together.
"""

import math

import torch
from torch import Tensor

LOOK_EVERY = 5
"""Iterations between two looks at the error. Every second one sets ω, by the rate since the one before: the iterations just
after a change of ω do not go at its rate."""
FIRST_MAX = 1.7
"""Of a first ω: the first iterations are not linear yet, and grow where ω is larger."""
OMEGA_MAX = 1.9
PER_DEPTH = 1.3
LOWER = 0.9
"""What is left of ω − 1 after the error has grown."""
MAX_LINEAR_ERROR = 1.0
"""An L1 error, of at most 2, above which convergence has not set in: its rate means nothing, and over-relaxed iterations can go
round in circles, where plain ones always find down."""
STEP = 0.1
"""How far above such a lowered ω it may rise again."""


def first_omega(depth: float) -> float:
    """ω for a kernel of mean depth D ≥ 0."""
    return min(2.0 / (1.0 + math.sqrt(min(PER_DEPTH / depth, 1.0))), FIRST_MAX) if depth > 0 else 1.0


def relax(omega: float, cap: float, rate: float, error: float) -> tuple[float, float]:
    """ω and the most that it may become, after a rate λ has been measured at `omega` down, or up, to an L1 error.

    λ can be below ω − 1 only while the slowest part of the error does not show yet; nothing follows from it then.
    """
    if error > MAX_LINEAR_ERROR:
        return lower(omega, cap)[0], cap
    if rate > 1.0:
        return lower(omega, cap)
    if not rate > omega - 1.0:
        return omega, cap
    plain = (rate + omega - 1.0) ** 2 / (rate * omega * omega)
    return max(min(2.0 / (1.0 + math.sqrt(1.0 - min(plain, 0.9999))), cap), omega), cap


def lower(omega: float, cap: float) -> tuple[float, float]:
    """ω and cap after the error has grown."""
    omega = 1.0 + LOWER * (omega - 1.0)
    return omega, min(cap, omega + STEP)


def first_omegas(depth: Tensor) -> Tensor:
    """`first_omega` of each problem, (B,)."""
    best = 2.0 / (1.0 + (PER_DEPTH / depth).clamp(max=1.0).sqrt())
    return torch.where(depth > 0, best.clamp(max=FIRST_MAX), torch.ones_like(depth))


def relax_all(omega: Tensor, cap: Tensor, rate: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """`relax` of each problem, (B,) each."""
    plain = (rate + omega - 1.0).square() / (rate * omega.square())
    best = 2.0 / (1.0 + (1.0 - plain.clamp(max=0.9999)).sqrt())
    raised = torch.where(rate > omega - 1.0, torch.maximum(torch.minimum(best, cap), omega), omega)
    lowered = 1.0 + LOWER * (omega - 1.0)
    astray, grew = error > MAX_LINEAR_ERROR, rate > 1.0
    cap = torch.where(grew & ~astray, torch.minimum(cap, lowered + STEP), cap)
    return torch.where(astray | grew, lowered, raised), cap
