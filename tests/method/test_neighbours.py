import numpy as np
import pytest
from numpy.typing import NDArray

from ailot_ray.method.neighbours import nearest_distances, pair_features

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
    found = nearest_distances(pairs, experts)
    expected = [min(np.sqrt(((p - e).astype(float) ** 2).sum()) for expert in experts for e in expert) for p in pairs]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float64 and found.shape == (50,)
