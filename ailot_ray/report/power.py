"""Can a reward show at all? What IQL makes of true rewards beside shuffled ones, and how many seeds a difference needs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ailot_ray.errors import DataError
from ailot_ray.report.record import Trial
from ailot_ray.report.statistics import mean_interval


@dataclass(frozen=True)
class Separation:
    """True rewards against shuffled ones, paired by seed, at S snapshots."""

    steps: NDArray[np.int64]
    """(S,)"""
    differences: NDArray[np.float64]
    """Score on true rewards less score on shuffled ones, (S, n) for n seeds."""
    intervals: NDArray[np.float64]
    """95 % interval of each snapshot's mean difference, (S, 2)."""

    @property
    def since(self) -> int | None:
        """The gradient steps from which on every interval lies above 0; None where the last does not."""
        above = self.intervals[:, 0] > 0
        if not above[-1]:
            return None
        below = np.flatnonzero(~above)
        return int(self.steps[below[-1] + 1 if len(below) else 0])

    @property
    def deviation(self) -> float:
        """Standard deviation over seeds of the last difference."""
        return float(self.differences[-1].std(ddof=1))


def separation(true: Sequence[Trial], shuffled: Sequence[Trial]) -> Separation:
    """Pair finished trials of one configuration on true and on shuffled rewards by their seeds.

    Raises DataError where fewer than two seeds have both, which leaves no interval.
    """
    ours, theirs = ({trial.seed: trial.curve() for trial in trials} for trials in (true, shuffled))
    seeds = [seed for seed in ours if seed in theirs]
    if len(seeds) < 2:
        raise DataError(f"{len(seeds)} seeds have both true and shuffled rewards: give two or more with --seeds 0 1 2")
    steps = sorted(set.intersection(*({*curves[seed]} for curves in (ours, theirs) for seed in seeds)))
    differences = np.array([[ours[seed][step] - theirs[seed][step] for seed in seeds] for step in steps])
    intervals = [mean_interval([row], np.random.default_rng(0)) for row in differences]
    return Separation(np.array(steps), differences, np.array(intervals))


def seeds_needed(deviation: float, difference: float, power: float = 0.8, confidence: float = 0.95) -> int:
    """The least number of paired seeds at which a two-sided t test finds a true mean `difference` with this `power`.

    `deviation` is that of the paired differences. The test's power is that of the noncentral t distribution.

    >>> seeds_needed(deviation=8.0, difference=5.0)
    23
    """
    for n in range(2, 100_000):
        critical, shift = stats.t.ppf(0.5 + confidence / 2, n - 1), difference / deviation * n**0.5 if deviation else np.inf
        if not np.isfinite(shift) or stats.nct.sf(critical, n - 1, shift) >= power:
            return n
    return 100_000
