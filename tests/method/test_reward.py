import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ailot_ray.config import RewardConfig
from ailot_ray.errors import ConfigError
from ailot_ray.method.reward import rescale, rewards_from_costs, shuffle_rewards

CONFIG = RewardConfig(alpha=5.0, tau=0.5, scale="none", rescale=False, shift=0.0)
OFFSETS = np.array([0, 4, 5, 11])
COSTS = np.random.default_rng(0).uniform(0.1, 8.0, (3, 11))


def returns(rewards: np.ndarray, offsets: np.ndarray = OFFSETS) -> np.ndarray:
    return np.array([rewards[a:b].astype(np.float64).sum() for a, b in itertools.pairwise(offsets)])


@pytest.mark.parametrize(("alpha", "tau"), [(5.0, 0.5), (1.0, 1.0), (2.0, 0.0)])
def test_formula_of_one_expert(alpha: float, tau: float) -> None:
    rewards = rewards_from_costs(COSTS[:1], OFFSETS, replace(CONFIG, alpha=alpha, tau=tau))
    expected = [alpha * np.e ** (-tau * cost) for cost in COSTS[0]]
    np.testing.assert_allclose(rewards.squashed, expected, rtol=1e-12)
    np.testing.assert_allclose(rewards.final, expected, rtol=1e-6)
    assert rewards.final.dtype == np.float32 and rewards.scale == 1.0
    assert rewards.chosen.tolist() == [0, 0, 0]


def test_median_scale_is_of_the_whole_dataset() -> None:
    rewards = rewards_from_costs(COSTS, OFFSETS, replace(CONFIG, scale="median"))
    middle = sorted(COSTS.ravel())[16]
    assert rewards.scale == middle
    unscaled = rewards_from_costs(COSTS / middle, OFFSETS, CONFIG)
    np.testing.assert_allclose(rewards.squashed, unscaled.squashed, rtol=1e-12)
    # so the unit of the cost has no say
    np.testing.assert_allclose(rewards_from_costs(1e4 * COSTS, OFFSETS, replace(CONFIG, scale="median")).final, rewards.final)
    nothing = rewards_from_costs(np.zeros((1, 11)), OFFSETS, replace(CONFIG, scale="median"))
    assert (nothing.final == 5.0).all() and nothing.scale == 0.0


def test_each_trajectory_takes_the_expert_that_pays_it_most() -> None:
    costs = np.full((3, 11), 4.0)
    costs[1, 0:4] = 3.0
    costs[2, 0] = 0.5  # one good step in a trajectory is worth more than four middling ones: the return counts, not the cost
    costs[0, 4] = 1.0
    costs[1, 5:11] = 3.9
    rewards = rewards_from_costs(costs, OFFSETS, replace(CONFIG, tau=1.0))
    assert costs[1, :4].sum() < costs[2, :4].sum() and rewards.chosen.tolist() == [2, 0, 1]
    expected = np.concatenate([costs[2, :4], costs[0, 4:5], costs[1, 5:]])
    np.testing.assert_allclose(rewards.squashed, 5 * np.exp(-expected), rtol=1e-12)


def test_true_rewards_are_summed_in_double_precision_and_may_be_shifted_alone() -> None:
    true = np.repeat(np.array([100.1, 100.1001], np.float32), 50_000)
    spread = 50_000 * (float(true[-1]) - float(true[0]))
    final = rescale(true, np.array([0, 50_000, 100_000]), replace(CONFIG, rescale=True))
    np.testing.assert_allclose(final, 1000 / spread * true, rtol=1e-6)
    shifted = rescale(np.array([0, 1, 0], np.float32), np.array([0, 3]), replace(CONFIG, shift=-1.0))  # IQL's rule for AntMaze
    assert shifted.tolist() == [-1.0, 0.0, -1.0] and shifted.dtype == np.float32


@pytest.mark.parametrize("shift", [0.0, -2.0])
def test_rescaled_returns_span_a_thousand_and_the_shift_comes_last(shift: float) -> None:
    config = replace(CONFIG, rescale=True, shift=shift)
    final = rewards_from_costs(COSTS, OFFSETS, config).final
    unshifted = returns(final.astype(np.float64) - shift)
    assert unshifted.max() - unshifted.min() == pytest.approx(1000.0, rel=1e-6)
    plain = rewards_from_costs(COSTS, OFFSETS, CONFIG).squashed
    factor = 1000.0 / (returns(plain).max() - returns(plain).min())
    np.testing.assert_allclose(final, factor * plain + shift, rtol=1e-6)


@pytest.mark.parametrize(
    ("costs", "offsets", "remedy"),
    [
        (np.full((1, 12), 2.0), np.array([0, 4, 8, 12]), "--reward.rescale False"),  # all alike
        (np.full((1, 12), 1e5), np.array([0, 3, 8, 12]), "lower --reward.tau"),  # all collapsed to 0
        (COSTS[:1], np.array([0, 11]), "mark in `timeouts`"),  # but one trajectory
        (
            np.full((1, 12), 0.1) + 1e-14 * np.arange(12),
            np.array([0, 4, 8, 12]),
            "--reward.rescale False",
        ),  # alike but for rounding
    ],
)
def test_equal_returns_cannot_be_rescaled(costs: np.ndarray, offsets: np.ndarray, remedy: str) -> None:
    config = replace(CONFIG, rescale=True)
    with pytest.raises(ConfigError, match=f"--reward.rescale .*{remedy}") as error:
        rewards_from_costs(costs, offsets, config)
    assert "\n" not in str(error.value)
    rewards_from_costs(costs, offsets, replace(config, rescale=False))


def test_rewards_beyond_single_precision_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"beyond float32 .*lower --reward.alpha"):
        rewards_from_costs(COSTS[:1], np.array([0, 5, 11]), replace(CONFIG, alpha=1e39))


@given(
    costs=arrays(np.float64, (2, 9), elements=st.floats(0, 1e4)),
    tau=st.floats(0, 10),
    scale=st.sampled_from(["median", "none"]),
)
def test_a_larger_cost_is_never_a_larger_reward(costs: np.ndarray, tau: float, scale: str) -> None:
    offsets = np.array([0, 2, 3, 9])
    config = RewardConfig(alpha=5.0, tau=tau, scale=scale, rescale=False, shift=-1.0)  # type: ignore[arg-type]
    rewards = rewards_from_costs(costs, offsets, config)
    paid = costs[np.repeat(rewards.chosen, np.diff(offsets)), np.arange(9)]
    order = np.argsort(paid)
    assert (np.diff(rewards.final[order]) <= 0).all()
    assert (rewards.final >= -1).all() and (rewards.final <= 4).all()


def test_shuffled_rewards_are_those_of_another_trajectory_stretched_to_ones_own_length() -> None:
    lengths = (4, 1, 6, 3)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rewards = np.concatenate([10.0 * i + np.arange(length) for i, length in enumerate(lengths)])
    for seed in range(20):
        found = shuffle_rewards(rewards, offsets, np.random.default_rng(seed))
        givers = []
        for mine, (start, stop) in enumerate(itertools.pairwise(offsets)):
            giver, n = int(found[start] // 10), stop - start
            assert found[start:stop].tolist() == [10.0 * giver + i * lengths[giver] // n for i in range(n)]
            assert giver != mine
            givers.append(giver)
        assert sorted(givers) == [0, 1, 2, 3], "each gives once"
    np.testing.assert_array_equal(shuffle_rewards(rewards, np.array([0, 14]), np.random.default_rng(0)), rewards)
