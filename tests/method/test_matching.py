"""Costs without a transport, held to brute force, to the transport's own cost matrix, and to what they are for."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ailot_ray.config import Metric
from ailot_ray.method.matching import WITHOUT_TRANSPORT, Nearest, Segments, pair_features
from ailot_ray.method.transport import look_ahead_cost

Array = NDArray[np.float32]


def trajectory(length: int, seed: int) -> tuple[Array, Array]:
    """States and successors of one trajectory; the last successor is a state of its own."""
    states = np.cumsum(np.random.default_rng(seed).normal(size=(length + 1, 3)), 0).astype(np.float32)
    return states[:-1], states[1:]


@pytest.mark.parametrize(("length", "k"), [(6, 1), (6, 2), (6, 6), (6, 7), (6, 20), (1, 5)])
def test_pairs_are_states_and_those_k_steps_on(length: int, k: int) -> None:
    states, successors = trajectory(length, 0)
    everything = np.concatenate([states, successors[-1:]])
    pairs = pair_features(states, successors, k)
    assert pairs.shape == (length, 6) and pairs.dtype == np.float32
    for i in range(length):
        np.testing.assert_array_equal(pairs[i], np.concatenate([states[i], everything[min(i + k, length)]]))
    np.testing.assert_array_equal(pair_features(states, successors, 0), states)


@pytest.mark.parametrize("k", [0, 1, 4])
def test_distances_are_brute_forces(k: int) -> None:
    pairs = pair_features(*trajectory(50, 0), k)
    experts = [pair_features(*trajectory(length, seed), k) for length, seed in ((30, 1), (8, 2))]
    (found,) = Nearest(experts, "sqeuclidean", 2)(pairs)
    expected = [min(np.sqrt(((p - e).astype(float) ** 2).sum()) for expert in experts for e in expert) for p in pairs]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float64 and found.shape == (50,)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean"])
@pytest.mark.parametrize("k", [0, 2])
@pytest.mark.parametrize(("n", "m"), [(10, 10), (12, 4), (4, 12), (7, 5), (5, 7), (1, 9), (9, 1)])
def test_a_segment_is_the_experts_steps_of_the_same_share_of_time(n: int, m: int, k: int, metric: Metric) -> None:
    """Against the cost matrix of the transport, where step i of n covers the time from i/n to (i + 1)/n."""
    (agent, after), (expert, expert_after) = trajectory(n, 0), trajectory(m, 1)
    other = pair_features(*trajectory(6, 2), k)
    pairs, theirs = pair_features(agent, after, k), pair_features(expert, expert_after, k)
    found = Segments([theirs, other], metric, 1 if k == 0 else 2)(pairs)
    cost = np.zeros((n, m))
    for x, y in zip(np.split(pairs, 1 if k == 0 else 2, 1), np.split(theirs, 1 if k == 0 else 2, 1), strict=True):
        cost += look_ahead_cost(torch.from_numpy(x).double(), torch.from_numpy(y).double(), 0, metric).numpy()
    for i in range(n):
        same_time = [j for j in range(m) if j / m < (i + 1) / n - 1e-9 and (j + 1) / m > i / n + 1e-9]
        assert found[0, i] == pytest.approx(cost[i, same_time].min(), rel=1e-4, abs=1e-6)
    assert found.shape == (2, n) and found.dtype == np.float64


def test_the_expert_itself_costs_nothing_but_the_distilled_error() -> None:
    states, successors = trajectory(40, 0)
    pairs = pair_features(states, successors, 1)
    for solver, kind in WITHOUT_TRANSPORT.items():
        costs = kind([pairs], "sqeuclidean", 2)(pairs)
        assert costs.shape == (1, 40) and (costs.max() < (1e-2 if solver == "rnd" else 1e-9))


def test_distillation_tells_the_experts_neighbourhood_from_the_rest() -> None:
    """The further from the expert's pairs, the larger the error; the same numbers whoever fits it."""
    generator = np.random.default_rng(0)
    expert = generator.normal(size=(300, 6)).astype(np.float32)
    distances = (0.0, 0.5, 1.0, 2.0, 4.0)
    away = [expert + distance * generator.normal(size=expert.shape).astype(np.float32) for distance in distances]
    one, other = (WITHOUT_TRANSPORT["rnd"]([expert[:100], expert[100:]], "sqeuclidean", 2) for _ in range(2))
    errors = [one(pairs).mean() for pairs in away]
    assert errors == sorted(errors) and errors[-1] > 30 * errors[0]
    np.testing.assert_array_equal(one(away[2]), other(away[2]))
    assert one.joint and one(away[0]).shape == (1, 300)
