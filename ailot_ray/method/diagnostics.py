"""Whether an alignment can be trusted: rank correlations, time-isometry of a space, order of time in couplings, collapse and
saturation of rewards."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

DEGENERATE_MARGIN = 0.02
"""Rewards within this fraction of α of 0, or of α, count as collapsed or saturated."""


def rank_correlation(x: NDArray[np.floating], y: NDArray[np.floating]) -> float | None:
    """Spearman's ρ of two vectors; None where one is constant or shorter than 3."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(spearmanr(x, y).statistic)


def time_isometry(
    features: NDArray[np.floating],
    offsets: NDArray[np.int64],
    horizon: int,
    generator: np.random.Generator,
    pairs: int = 20_000,
) -> float | None:
    """Rank correlation of ‖x_t − x_{t+h}‖ with h over random pairs of steps of one trajectory, h uniform in 1..horizon.

    features (N, d); trajectory e holds rows offsets[e]:offsets[e + 1]. t is uniform over the steps that have t + h in their own
    trajectory. docs/method.md §1: a poor value means that the alignment which follows is meaningless.
    """
    last = np.repeat(offsets[1:] - 1, np.diff(offsets))
    steps = generator.integers(1, horizon + 1, size=pairs)
    rows = generator.integers(0, len(features), size=pairs)
    inside = rows + steps <= last[rows]
    rows, steps = rows[inside], steps[inside]
    distances = np.linalg.norm(features[rows + steps].astype(np.float64) - features[rows], axis=1)
    return rank_correlation(distances, steps.astype(np.float64))


@dataclass(frozen=True)
class Coherence:
    """How well a coupling P (n, m) of two trajectories keeps the order of time."""

    correlation: float
    """Spearman's ρ of agent's step i and expert's step j under P: 1 where later steps meet later ones, 0 where the match says
    nothing of time. NaN where either trajectory has a single step."""
    backward: float
    """Share of the agent's steps whose best match, argmax_j P_ij, lies before that of the last step. NaN for a single step."""


def temporal_coherence(mean: NDArray[np.floating], best: NDArray[np.integer], columns: int) -> Coherence:
    """The coherence of a coupling with uniform marginals, from each row's mean column and its column of most mass, (n,) each.

    As the marginals are uniform, i and j are their own ranks, and the rank correlation over all matches, each weighted by its
    mass, is the covariance (1/n)·Σ_i (i − ī)·(mean_i − j̄) over the deviations √((n² − 1)/12) and √((m² − 1)/12).
    """
    n = len(mean)
    if n < 2 or columns < 2:
        return Coherence(float("nan"), float("nan") if n < 2 else float(np.mean(np.diff(best) < 0)))
    steps = np.arange(n) - (n - 1) / 2
    covariance = float(np.mean(steps * (mean - (columns - 1) / 2)))
    correlation = 12 * covariance / np.sqrt((n**2 - 1.0) * (columns**2 - 1.0))
    return Coherence(float(np.clip(correlation, -1.0, 1.0)), float(np.mean(np.diff(best) < 0)))


def look_ahead_distance(
    features: NDArray[np.floating], offsets: NDArray[np.int64], k: int, generator: np.random.Generator, pairs: int = 20_000
) -> float | None:
    """E ‖x_{t+k} − x_t‖² / E ‖x_u − x_t‖² with u any other step of t's trajectory: how far away a state k steps ahead is, in
    units of any state of the trajectory.

    Near 0 the look-ahead repeats the state; near 1 and above, k is beyond the time in which the trajectory forgets where it
    was, and the second term of the cost compares states that have nothing to do with the first. None for k = 0, where no
    trajectory is longer than k, and where all states are equal.
    """
    lengths = np.diff(offsets)
    first, length = np.repeat(offsets[:-1], lengths), np.repeat(lengths, lengths)
    rows = generator.integers(0, len(features), size=pairs)
    rows = rows[rows + k < first[rows] + length[rows]]
    if k == 0 or not len(rows):
        return None
    # any other step: an offset of 1..length − 1 steps, round the end of the trajectory
    others = first[rows] + (rows - first[rows] + 1 + generator.integers(0, length[rows] - 1)) % length[rows]
    states = features[rows].astype(np.float64)
    ahead = float(np.square(features[rows + k] - states).sum(1).mean())
    any_other = float(np.square(features[others] - states).sum(1).mean())
    return ahead / any_other if any_other > 0 else None


def collapse_and_saturation(squashed: NDArray[np.float64], alpha: float) -> tuple[float, float]:
    """Shares of rewards α·exp(−τ·c/s) that are near 0 and near α."""
    return float(np.mean(squashed < DEGENERATE_MARGIN * alpha)), float(np.mean(squashed > (1 - DEGENERATE_MARGIN) * alpha))


def relabel_correlations(
    rewards: NDArray[np.floating], true_rewards: NDArray[np.floating], offsets: NDArray[np.int64]
) -> dict[str, float | None]:
    """How relabelled rewards rank trajectories beside the true ones: by return, by mean reward a step, and by length alone.

    The last is the control: where it is near 1 already, a sum over steps says little.
    """
    lengths = np.diff(offsets).astype(np.float64)
    returns = np.add.reduceat(rewards.astype(np.float64), offsets[:-1])
    true_returns = np.add.reduceat(true_rewards.astype(np.float64), offsets[:-1])
    return {
        "return": rank_correlation(returns, true_returns),
        "mean_reward_per_step": rank_correlation(returns / lengths, true_returns / lengths),
        "length_control": rank_correlation(lengths, true_returns),
    }
