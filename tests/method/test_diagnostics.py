import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ailot_ray.method.diagnostics import (
    Coherence,
    collapse_and_saturation,
    look_ahead_distance,
    rank_correlation,
    relabel_correlations,
    temporal_coherence,
    time_isometry,
)
from ailot_ray.method.iql import effective_share


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_rank_correlation_is_scipys_but_for_constants_and_too_few() -> None:
    x, y = generator().normal(size=(2, 9))
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-1.0)
    for few, others in ((np.ones(4), np.arange(4.0)), (np.arange(4.0), np.full(4, 7.0)), (x[:2], y[:2]), (x[:0], y[:0])):
        assert rank_correlation(few, others) is None


def test_shuffled_steps_are_not_isometric() -> None:
    line = np.arange(400.0)[:, None]
    found = time_isometry(generator().permutation(line), np.array([0, 200, 400]), 20, generator())
    assert found is not None and abs(found) < 0.1


def test_a_circle_hides_time_beyond_half_a_turn() -> None:
    angle = np.arange(60) * np.pi / 10  # back after 20 steps: beyond 10, later in time is nearer in space
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    whole = time_isometry(circle, np.array([0, 60]), 19, generator())
    half = time_isometry(circle, np.array([0, 60]), 10, generator())
    assert whole is not None and abs(whole) < 0.2
    assert half == pytest.approx(1.0, abs=0.01)  # rounding unties distances of equal h


def test_no_pair_spans_two_trajectories() -> None:
    """Each trajectory is a line; between trajectories lie jumps that would turn the order upside down."""
    lengths = (7, 30, 2, 1, 45)
    steps = np.concatenate([np.arange(length) for length in lengths]).astype(float)
    jumps = np.repeat([0.0, 1e6, -1e6, 5e5, 2e6], lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    for horizon in (2, 12, 44):
        assert time_isometry((steps + jumps)[:, None], offsets, horizon, generator()) == pytest.approx(1.0)
    assert time_isometry(np.arange(5.0)[:, None], np.arange(6), 3, generator()) is None


def test_collapse_and_saturation() -> None:
    squashed = np.array([0.0, 0.05, 0.2, 2.5, 4.8, 4.95, 5.0, 5.0, 1.0, 0.09])
    assert collapse_and_saturation(squashed, 5.0) == (0.3, 0.3)
    assert collapse_and_saturation(np.zeros(4), 5.0) == (1.0, 0.0)
    assert collapse_and_saturation(np.full(4, 1.0), 1.0) == (0.0, 1.0)
    assert collapse_and_saturation(np.full(4, 1.0), 5.0) == (0.0, 0.0)


def test_relabel_correlations() -> None:
    offsets = np.array([0, 2, 5, 9, 10])
    lengths = np.diff(offsets)
    means = np.array([1.0, 3.0, 0.5, 9.0])
    true_means = np.array([0.1, 0.2, -2.0, 5.0])
    found = relabel_correlations(np.repeat(means, lengths), np.repeat(true_means, lengths), offsets)
    returns, true_returns = means * lengths, true_means * lengths  # 2, 9, 2, 9 and 0.2, 0.6, −8, 5
    assert found["return"] == pytest.approx(spearmanr(returns, true_returns).statistic)
    assert found["mean_reward_per_step"] == pytest.approx(1.0)
    assert found["length_control"] == pytest.approx(spearmanr(lengths, true_returns).statistic)
    assert set(relabel_correlations(np.ones(9), np.arange(9.0), np.array([0, 3, 6, 9])).values()) == {None}


def coherence_of(plan: NDArray[np.float64]) -> Coherence:
    mean = plan @ np.arange(plan.shape[1]) / plan.sum(1)
    return temporal_coherence(mean, plan.argmax(1), plan.shape[1])


def test_coherence_of_extreme_couplings() -> None:
    diagonal = np.eye(9) / 9
    assert coherence_of(diagonal) == Coherence(1.0, 0.0)
    assert coherence_of(diagonal[::-1]) == Coherence(-1.0, 1.0)
    assert coherence_of(np.full((9, 5), 1 / 45)).correlation == pytest.approx(0.0)
    swings = np.zeros((8, 4))
    swings[np.arange(8), [0, 1, 0, 1, 2, 3, 2, 3]] = 1 / 8
    assert coherence_of(swings).backward == pytest.approx(2 / 7)


def test_coherence_is_spearmans_over_the_matches() -> None:
    """The same from a large sample of matches drawn from the coupling, whatever the lengths."""
    rng = generator()
    plan = np.exp(-np.square(np.arange(30)[:, None] / 30 - np.arange(20) / 20) / 0.1) * rng.uniform(0.5, 1.5, (30, 20))
    for _ in range(200):  # uniform marginals
        plan /= 30 * plan.sum(1, keepdims=True)
        plan /= 20 * plan.sum(0)
    i, j = np.unravel_index(rng.choice(plan.size, 200_000, p=plan.ravel() / plan.sum()), plan.shape)
    assert coherence_of(plan).correlation == pytest.approx(spearmanr(i, j).statistic, abs=0.01)


def test_coherence_of_single_steps_is_unknown() -> None:
    single = temporal_coherence(np.zeros(1), np.zeros(1, int), 7)
    assert np.isnan(single.correlation) and np.isnan(single.backward)
    narrow = temporal_coherence(np.zeros(4), np.zeros(4, int), 1)
    assert np.isnan(narrow.correlation) and narrow.backward == 0.0


def test_look_ahead_distance() -> None:
    noise = generator().normal(size=(3000, 4))
    offsets = np.array([0, 1000, 2000, 3000])
    assert look_ahead_distance(noise, offsets, 3, generator()) == pytest.approx(1.0, abs=0.05)
    line = np.tile(np.arange(1000.0), 3)[:, None]
    near, far = (look_ahead_distance(line, offsets, k, generator()) for k in (1, 400))
    assert near == pytest.approx(6 / 1000**2, rel=0.1)  # E (u − t)² = n²/6
    assert far is not None and far > 0.9
    for k in (0, 1000):
        assert look_ahead_distance(line, offsets, k, generator()) is None
    assert look_ahead_distance(np.ones((3000, 2)), offsets, 1, generator()) is None
    assert look_ahead_distance(np.ones((3, 2)), np.arange(4), 1, generator()) is None


def test_effective_share() -> None:
    weights = torch.tensor([[1.0, 1.0, 1.0, 1.0], [5.0, 0.0, 0.0, 0.0], [3.0, 3.0, 0.0, 0.0], [2.0, 1.0, 1.0, 0.0]])
    weights = torch.cat([weights, weights[-1:] * 1e-30, torch.zeros(1, 4)])
    assert effective_share(weights).tolist() == pytest.approx([1.0, 0.25, 0.5, 16 / 24, 16 / 24, 0.0])
