"""Statistics of scores over seeds. A score here is one seed's mean over its evaluation episodes.

Definitions follow Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (rliable). Where
several tasks are meant, `strata` holds the scores of each, (n_s,) apiece; all intervals resample within strata only.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ailot_ray.lazy import Lazy

stats: Any = Lazy("scipy.stats")  # a second to import, and only the bootstrap needs it


def _scores(scores: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"expected one or more scores in one dimension, got shape {array.shape}")
    return array


def mean(scores: ArrayLike) -> float:
    """Mean of `scores`, (n,). Raises ValueError where there is none, as all functions here do."""
    return float(_scores(scores).mean())


def std(scores: ArrayLike) -> float:
    """Sample standard deviation (n − 1 in the denominator) of `scores`, (n,); NaN for a single one, whose spread is unknown."""
    array = _scores(scores)
    return float(array.std(ddof=1)) if array.size > 1 else math.nan


def interquartile_mean(scores: ArrayLike) -> float:
    """Mean of the middle half of `scores`, (n,): ⌊n/4⌋ of the lowest and as many of the highest are left out."""
    array = np.sort(_scores(scores))
    cut = array.size // 4
    return float(array[cut : array.size - cut].mean())


def bootstrap_interval(
    strata: Sequence[ArrayLike], rng: np.random.Generator, confidence: float = 0.95, resamples: int = 10_000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean score over strata, resampling seeds within each stratum only.

    A stratum holds the scores of one task, (n_s,) each; tasks weigh the same whatever their number of seeds. With one
    stratum it is the plain bootstrap over seeds. (NaN, NaN) where a stratum has a single seed: there is nothing to resample.
    """

    def mean_of_means(samples: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.asarray(np.mean([sample.mean(axis=-1) for sample in samples], axis=0))

    low, high = _interval(_strata(strata), mean_of_means, rng, confidence, resamples)
    return float(low), float(high)


FEW_RUNS = 10
"""Below which a bootstrap of the mean is too narrow: its nominal 95 % cover 75 % at 3 normal scores, 86 % at 5, 91 % at 10."""


def mean_interval(
    strata: Sequence[ArrayLike], rng: np.random.Generator, confidence: float = 0.95, resamples: int = 10_000
) -> tuple[float, float]:
    """Interval of the mean score over strata: `bootstrap_interval`, or Student's t where a stratum has few runs.

    With fewer than `FEW_RUNS` runs in a stratum the variance of the mean over S strata is Σ s²/(S²·n), with Welch's and
    Satterthwaite's degrees of freedom. (NaN, NaN) where a stratum has a single run.

    >>> low, high = mean_interval([[1.0, 2.0, 3.0]], np.random.default_rng(0))
    >>> round(low, 2), round(high, 2)
    (-0.48, 4.48)
    """
    samples = _strata(strata)
    if min(sample.size for sample in samples) >= FEW_RUNS:
        return bootstrap_interval(strata, rng, confidence, resamples)
    centre = float(np.mean([sample.mean() for sample in samples]))
    return _student_interval(centre, samples, len(samples), confidence)


def _student_interval(
    centre: float, samples: Sequence[NDArray[np.float64]], tasks: float, confidence: float
) -> tuple[float, float]:
    """Of a sum of the samples' means, each divided by `tasks`."""
    if min(sample.size for sample in samples) < 2:
        return math.nan, math.nan
    sizes = np.array([sample.size for sample in samples])
    parts = np.array([sample.var(ddof=1) for sample in samples]) / (sizes * tasks**2)
    variance = float(parts.sum())
    freedom = 1 / float(((parts / variance) ** 2 / (sizes - 1)).sum()) if variance else 1.0
    half = math.sqrt(variance) * float(special.stdtrit(freedom, 0.5 + confidence / 2))
    return centre - half, centre + half


def aggregate_interquartile_mean(strata: Sequence[ArrayLike]) -> float:
    """Interquartile mean over the runs of all tasks, pooled (rliable's; there all tasks have as many runs)."""
    return interquartile_mean(np.concatenate(_strata(strata)))


def interquartile_interval(
    strata: Sequence[ArrayLike], rng: np.random.Generator, confidence: float = 0.95, resamples: int = 10_000
) -> tuple[float, float]:
    """Stratified bootstrap interval of `aggregate_interquartile_mean`. (NaN, NaN) where a stratum has a single run."""

    def pooled(samples: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.asarray(stats.trim_mean(np.concatenate(list(samples), axis=-1), 0.25, axis=-1))

    low, high = _interval(_strata(strata), pooled, rng, confidence, resamples)
    return float(low), float(high)


def probability_of_improvement(x: Sequence[ArrayLike], y: Sequence[ArrayLike]) -> float:
    """P(X > Y) + P(X = Y) / 2 for a run of X and a run of Y on the same task, averaged over tasks.

    x, y: the scores of both by task, in the same order; the numbers of runs may differ.
    """
    first, second = _pairs(x, y)
    return float(_improvement([*first, *second]))


def improvement_interval(
    x: Sequence[ArrayLike], y: Sequence[ArrayLike], rng: np.random.Generator, confidence: float = 0.95, resamples: int = 2_000
) -> tuple[float, float]:
    """Stratified bootstrap interval of `probability_of_improvement`, X and Y resampled independently.

    (NaN, NaN) where a stratum has a single run. With few runs it is too narrow: runs that are all above the other's give
    [1, 1], however few they are.
    """
    low, high = _interval([*_strata(x), *_strata(y)], _improvement, rng, confidence, resamples)
    return float(low), float(high)


def difference_of_means(x: Sequence[ArrayLike], y: Sequence[ArrayLike]) -> float:
    """Mean of X minus mean of Y on the same task, averaged over tasks. x, y: the scores of both by task, in the same order."""
    first, second = _pairs(x, y)
    return float(np.mean([a.mean() - b.mean() for a, b in zip(first, second, strict=True)]))


def welch_interval(x: Sequence[ArrayLike], y: Sequence[ArrayLike], confidence: float = 0.95) -> tuple[float, float]:
    """Interval of `difference_of_means` by Student's t with Welch's and Satterthwaite's degrees of freedom.

    The variance of the difference is the sum over tasks and both sides of s²/(m²·n), m tasks and n runs. Unlike the bootstrap
    it is honest about few runs, at the price of taking scores for normal. (NaN, NaN) where a stratum has a single run.
    """
    samples = [sample for side in _pairs(x, y) for sample in side]
    return _student_interval(difference_of_means(x, y), samples, len(samples) / 2, confidence)


def performance_profile(
    strata: Sequence[ArrayLike],
    thresholds: ArrayLike,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 2_000,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Share of all runs whose score is above each of `thresholds` (T,), with the ends of its pointwise interval, (T,) each.

    The ends are NaN where a stratum has a single run.
    """
    levels = np.asarray(thresholds, np.float64)
    samples = _strata(strata)

    def above(resampled: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        pooled = np.sort(np.concatenate(list(resampled), axis=-1), axis=-1)
        flat = pooled.reshape(-1, pooled.shape[-1])
        counts = [pooled.shape[-1] - np.searchsorted(line, levels, side="right") for line in flat]
        return np.moveaxis(np.reshape(counts, (*pooled.shape[:-1], len(levels))) / pooled.shape[-1], -1, 0)

    low, high = _interval(samples, above, rng, confidence, resamples)
    share = above(samples)
    return share, np.broadcast_to(low, share.shape), np.broadcast_to(high, share.shape)


def _strata(strata: Sequence[ArrayLike]) -> list[NDArray[np.float64]]:
    if not len(strata):
        raise ValueError("expected one stratum or more")
    return [_scores(stratum) for stratum in strata]


def _pairs(x: Sequence[ArrayLike], y: Sequence[ArrayLike]) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    first, second = _strata(x), _strata(y)
    if len(first) != len(second):
        raise ValueError(f"expected scores on the same tasks, got {len(first)} and {len(second)}")
    return first, second


def _improvement(samples: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Of the strata of X and then those of Y, (..., n_s) each: the probability, (...)."""
    half = len(samples) // 2
    by_task = []
    for x, y in zip(samples[:half], samples[half:], strict=True):
        above, equal = x[..., :, None] > y[..., None, :], x[..., :, None] == y[..., None, :]
        by_task.append((above + 0.5 * equal).mean(axis=(-2, -1)))
    return np.asarray(np.mean(by_task, axis=0))


def _interval(
    samples: Sequence[NDArray[np.float64]],
    statistic: Callable[[Sequence[NDArray[np.float64]]], NDArray[np.float64]],
    rng: np.random.Generator,
    confidence: float,
    resamples: int,
) -> tuple[Any, Any]:
    """Percentile interval of `statistic`, which takes samples (..., n_s) and gives (...), or (T, ...)."""
    if min(sample.size for sample in samples) < 2:
        return math.nan, math.nan
    # A batch axis over resamples is reduced stratum by stratum, so that strata of different sizes are fine.
    result = stats.bootstrap(
        samples,
        lambda *resampled, axis=-1: statistic(resampled),
        n_resamples=resamples,
        vectorized=True,
        confidence_level=confidence,
        method="percentile",
        rng=rng,
        batch=1_000,
    )
    return result.confidence_interval.low, result.confidence_interval.high
