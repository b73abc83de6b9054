"""Statistics against values worked out by hand, against scipy and against rliable."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rliable import metrics
from scipy import stats

from ailot_ray.report.statistics import (
    aggregate_interquartile_mean,
    bootstrap_interval,
    difference_of_means,
    improvement_interval,
    interquartile_interval,
    interquartile_mean,
    mean,
    mean_interval,
    performance_profile,
    probability_of_improvement,
    std,
    welch_interval,
)

SCORES = st.lists(st.floats(-50, 150), min_size=1, max_size=30)


@pytest.mark.parametrize("function", [mean, std, interquartile_mean])
def test_no_scores_are_refused(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match="one or more scores"):
        function([])
    with pytest.raises(ValueError, match="one dimension"):
        function([[1.0, 2.0]])


@given(SCORES)
def test_agree_with_sums_over_sorted_scores(scores: list[float]) -> None:
    ordered = sorted(scores)
    cut = len(scores) // 4
    middle = ordered[cut : len(scores) - cut]
    assert mean(scores) == pytest.approx(sum(scores) / len(scores), abs=1e-9)
    assert interquartile_mean(scores) == pytest.approx(sum(middle) / len(middle), abs=1e-9)
    if len(scores) == 1:
        assert math.isnan(std(scores))
    else:
        # scipy's tstd warns of scores that are nearly equal; the standard library works in fractions.
        assert std(scores) == pytest.approx(statistics.stdev(scores), abs=1e-9)


def exact_interval(scores: list[float], confidence: float) -> tuple[float, float]:
    """The percentile interval over all nⁿ resamples, without any chance."""
    means = [sum(resample) / len(scores) for resample in itertools.product(scores, repeat=len(scores))]
    low, high = np.quantile(means, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_interval_is_that_of_all_resamples(confidence: float) -> None:
    scores = [10.0, 12.0, 17.0, 30.0, 31.0]
    found = bootstrap_interval([scores], np.random.default_rng(0), confidence)
    assert found == pytest.approx(exact_interval(scores, confidence), abs=0.5)


def test_interval_resamples_within_strata_only() -> None:
    """Two tasks whose scores differ by 100 but not within: pooled resampling would give an interval tens wide."""
    low, high = bootstrap_interval([[0.0, 2.0, 4.0], [100.0, 102.0, 104.0]], np.random.default_rng(0))
    assert 50.0 <= low < 52.0 < high <= 54.0
    uneven = bootstrap_interval([[0.0] * 9, [10.0] * 3], np.random.default_rng(0))
    assert uneven == pytest.approx((5.0, 5.0)), "strata weigh the same whatever their seeds"
    assert all(math.isnan(end) for end in bootstrap_interval([[1.0, 2.0], [7.5]], np.random.default_rng(0)))


@given(st.lists(st.floats(-50, 150), min_size=2, max_size=8), st.integers(0, 99))
def test_interval_lies_within_the_scores_and_repeats_with_its_seed(scores: list[float], seed: int) -> None:
    low, high = bootstrap_interval([scores], np.random.default_rng(seed), resamples=200)
    assert min(scores) - 1e-9 <= low <= high + 1e-9 <= max(scores) + 2e-9
    assert (low, high) == bootstrap_interval([scores], np.random.default_rng(seed), resamples=200)


MATRICES = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)).flatmap(
    lambda sizes: st.tuples(
        *(
            st.lists(st.lists(st.integers(0, 9), min_size=sizes[2], max_size=sizes[2]), min_size=n, max_size=n)
            for n in sizes[:2]
        )
    )
)
"""Scores (runs, tasks) of two methods on the same tasks, with ties."""


@given(MATRICES)
def test_aggregates_are_rliables(matrices: tuple[list[list[int]], list[list[int]]]) -> None:
    x, y = (np.array(matrix, float) for matrix in matrices)
    assert aggregate_interquartile_mean(list(x.T)) == pytest.approx(metrics.aggregate_iqm(x))
    expected = metrics.probability_of_improvement(x, y)
    assert probability_of_improvement(list(x.T), list(y.T)) == pytest.approx(expected)
    assert probability_of_improvement(list(y.T), list(x.T)) == pytest.approx(1 - expected)


def test_improvement_of_unequal_numbers_of_runs() -> None:
    assert probability_of_improvement([[1.0, 2.0]], [[0.0, 1.0, 3.0]]) == pytest.approx((1.5 + 2) / 6)
    with pytest.raises(ValueError, match="same tasks, got 1 and 2"):
        probability_of_improvement([[1.0]], [[1.0], [2.0]])


def test_improvement_interval_is_that_of_all_resamples() -> None:
    x, y = [10.0, 20.0, 30.0], [5.0, 25.0]
    all_x, all_y = itertools.product(x, repeat=3), list(itertools.product(y, repeat=2))
    exact = [np.mean([(a > b) + 0.5 * (a == b) for a in i for b in j]) for i in all_x for j in all_y]
    found = improvement_interval([x], [y], np.random.default_rng(0))
    assert found == pytest.approx(tuple(np.percentile(exact, [2.5, 97.5])), abs=0.02)
    assert all(math.isnan(end) for end in improvement_interval([[1.0]], [[2.0, 3.0]], np.random.default_rng(0)))


RUNS = st.lists(st.integers(-200, 600).map(lambda quarters: quarters / 4), min_size=2, max_size=10)


@pytest.mark.filterwarnings("ignore:Precision loss")
@given(RUNS, RUNS)
def test_of_one_task_the_interval_is_scipys_welch(x: list[float], y: list[float]) -> None:
    low, high = welch_interval([x], [y])
    assert difference_of_means([x], [y]) == pytest.approx(np.mean(x) - np.mean(y)) and low <= high
    if np.var(x) + np.var(y) > 0:
        expected = stats.ttest_ind(x, y, equal_var=False).confidence_interval()
        assert (low, high) == pytest.approx((expected.low, expected.high))


def test_over_tasks_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    rng, held, trials = np.random.default_rng(0), 0, 2_000
    sizes, spreads, centres = ((3, 4), (5, 3)), ((8.0, 2.0), (1.0, 5.0)), ((40.0, 30.0), (70.0, 75.0))
    for _ in range(trials):
        x, y = ([rng.normal(centres[t][side], spreads[t][side], sizes[t][side]) for t in (0, 1)] for side in (0, 1))
        low, high = welch_interval(x, y)
        held += low <= (10.0 - 5.0) / 2 <= high
    assert 0.93 < held / trials < 0.98  # a half-width of 1.96 standard errors would hold it in 0.87


def test_without_spread_or_with_one_run_the_interval_says_so() -> None:
    assert welch_interval([[3.0, 3.0]], [[1.0, 1.0]]) == (2.0, 2.0)
    assert all(math.isnan(end) for end in welch_interval([[3.0]], [[1.0, 2.0]]))
    with pytest.raises(ValueError, match="same tasks, got 1 and 2"):
        difference_of_means([[1.0]], [[1.0], [2.0]])


def test_interquartile_interval_is_that_of_all_resamples() -> None:
    a, b = [0.0, 10.0, 21.0], [50.0, 71.0, 90.0]
    all_a, all_b = (list(itertools.product(scores, repeat=len(scores))) for scores in (a, b))
    exact = [interquartile_mean([*i, *j]) for i in all_a for j in all_b]
    found = interquartile_interval([a, b], np.random.default_rng(0))
    assert found == pytest.approx(tuple(np.percentile(exact, [2.5, 97.5])), abs=1.0)


@given(st.lists(st.lists(st.integers(0, 20), min_size=2, max_size=6), min_size=1, max_size=3))
def test_profile_is_the_share_of_runs_above(strata: list[list[int]]) -> None:
    thresholds = [-1.0, 5.0, 5.5, 20.0]
    share, low, high = performance_profile(strata, thresholds, np.random.default_rng(0), resamples=50)
    runs = [score for stratum in strata for score in stratum]
    assert share.tolist() == pytest.approx([sum(score > level for score in runs) / len(runs) for level in thresholds])
    assert (np.diff(share) <= 0).all() and share[0] == 1 and share[-1] == 0
    assert (low <= high).all() and (low >= 0).all() and (high <= 1).all()


def test_profile_of_single_runs_has_no_band() -> None:
    share, low, high = performance_profile([[3.0], [7.0]], [5.0], np.random.default_rng(0))
    assert share.tolist() == [0.5] and np.isnan(low).all() and np.isnan(high).all()


def test_the_mean_of_few_runs_has_students_interval() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(50, 10, 5)
    low, high = stats.t.interval(0.95, 4, loc=scores.mean(), scale=stats.sem(scores))
    assert mean_interval([scores], rng) == pytest.approx((low, high))
    assert all(math.isnan(end) for end in mean_interval([[1.0, 2.0], [7.5]], rng))
    many = rng.normal(50, 10, 10)
    expected = bootstrap_interval([many], np.random.default_rng(1))
    assert mean_interval([many], np.random.default_rng(1)) == expected


@pytest.mark.parametrize("runs", [3, 5, 9])
def test_an_interval_of_few_runs_covers_the_mean_as_often_as_it_says(runs: int) -> None:
    rng = np.random.default_rng(runs)
    trials, levels = 2000, np.array([20.0, 60.0])
    inside = 0
    for _ in range(trials):
        low, high = mean_interval([rng.normal(level, 10, runs) for level in levels], rng)
        inside += low <= levels.mean() <= high
    assert 0.93 <= inside / trials <= 0.98
