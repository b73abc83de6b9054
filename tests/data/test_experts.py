from pathlib import Path

import numpy as np
import pytest
from builtin_files import write_builtin
from numpy.typing import NDArray

from ailot_ray.config import Config
from ailot_ray.data import builtin, experts
from ailot_ray.data.builtin import builtin_expert, read_builtin
from ailot_ray.data.d4rl import read_d4rl
from ailot_ray.data.experts import choose_experts
from ailot_ray.errors import ConfigError, DataError
from ailot_ray.tasks import get_task

from .synthetic import ANTMAZE, HOPPER, Arrays, episodes, shared, write_hdf5


def with_returns(returns: list[float], length: int = 4) -> Arrays:
    arrays = episodes([length] * len(returns), ["terminal"] * len(returns))
    arrays["rewards"] = np.repeat(np.array(returns, np.float32) / length, length)
    return arrays


def config(**settings: object) -> Config:
    return Config(**{"task": HOPPER.name, **settings})  # type: ignore[arg-type]


def test_best_of_the_dataset(tmp_path: Path) -> None:
    arrays = with_returns([1, 5, 5, -2, 3])
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", arrays), HOPPER, substituted=False)
    chosen = choose_experts(config(experts=3), data)
    assert [expert.true_return for expert in chosen] == [5, 5, 3]
    assert [expert.origin for expert in chosen] == [f"{tmp_path / 'a.hdf5'}, trajectory {number}" for number in (1, 2, 4)]
    np.testing.assert_array_equal(chosen[0].observations, arrays["observations"][4:8])
    np.testing.assert_array_equal(chosen[0].next_observations, arrays["next_observations"][4:8])
    with pytest.raises(DataError, match=r"asks for 6 trajectories of .* which has 5"):
        choose_experts(config(experts=6), data)


@pytest.mark.parametrize(("rewards", "told"), [(np.zeros(12), "0"), (np.full(12, -1.5), "-1.5")])
def test_rewards_that_are_all_the_same_choose_no_expert(tmp_path: Path, rewards: NDArray[np.float64], told: str) -> None:
    """Who has no rewards fills in zeros; the first trajectory is no expert for that."""
    arrays = episodes([2, 6, 4], ["terminal"] * 3) | {"rewards": rewards}
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", arrays), HOPPER, substituted=False)
    with pytest.raises(DataError, match=rf"a\.hdf5: every reward is {told}, .*--expert FILE"):
        choose_experts(config(), data)
    best = write_hdf5(tmp_path / "e.hdf5", episodes([5], ["terminal"]) | {"rewards": np.zeros(5)})
    assert len(choose_experts(config(expert=best), data)[0].observations) == 5


def test_antmaze_prefers_a_start_near_the_origin(tmp_path: Path) -> None:
    arrays = episodes([4, 4, 4], ["terminal"] * 3, ANTMAZE)
    for number, start in enumerate([(5.0, 0.0), (0.3, 0.4), (0.0, 0.0)]):
        arrays["observations"][4 * number : 4 * number + 4, :2] = start
    arrays["rewards"] = np.array([0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0], np.float32)
    path = write_hdf5(tmp_path / "a.hdf5", arrays, without=["next_observations"])
    data = read_d4rl(path, ANTMAZE, substituted=False)
    chosen = choose_experts(config(task=ANTMAZE.name, experts=3), data)
    assert [expert.origin.rsplit(" ", 1)[1] for expert in chosen] == ["1", "0", "2"]  # 1/0.5, 2/5, 0


def test_expert_file(tmp_path: Path) -> None:
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", with_returns([9, 9, 9])), HOPPER, substituted=False)
    path = write_hdf5(tmp_path / "e.hdf5", with_returns([1, 4, 2]))
    chosen = choose_experts(config(expert=path, experts=2), data)
    assert [expert.true_return for expert in chosen] == [4, 2] and chosen[0].origin == f"{path}, trajectory 1"
    with pytest.raises(DataError, match=r"asks for 4 trajectories of .*e\.hdf5, which has 3"):
        choose_experts(config(expert=path, experts=4), data)

    plain = write_hdf5(tmp_path / "p.hdf5", with_returns([1, 4, 2]), without=["rewards"])
    chosen = choose_experts(config(expert=plain, experts=2), data)
    assert [expert.origin[-1] for expert in chosen] == ["0", "1"] and chosen[0].true_return is None


def test_experts_of_a_return_level(tmp_path: Path) -> None:
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", with_returns([1, 5, 4, -2, 3])), HOPPER, substituted=False)

    def returns(**settings: object) -> list[float | None]:
        return [expert.true_return for expert in choose_experts(config(**settings), data)]

    assert [returns(expert_quantile=quantile) for quantile in (1.0, 0.75, 0.5, 0.25, 0.0)] == [[5], [4], [3], [1], [-2]]
    assert returns(expert_quantile=0.5, experts=2) == [3, 1]
    assert returns(expert_quantile=0.0, experts=2) == [1, -2]  # as far down as leaves two
    path = write_hdf5(tmp_path / "e.hdf5", with_returns([1, 4, 2]))
    assert returns(expert=path, expert_quantile=0.5) == [2]
    with pytest.raises(ConfigError, match=r"--expert-quantile is 1.5, but it must be between 0 and 1"):
        config(expert_quantile=1.5)


def test_unusable_experts(tmp_path: Path) -> None:
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", with_returns([9]), without=["rewards"]), HOPPER, substituted=False)
    with pytest.raises(DataError, match=r"a\.hdf5 has no rewards to choose an expert by; .*--expert"):
        choose_experts(config(), data)
    other = write_hdf5(tmp_path / "o.hdf5", episodes([4], ["terminal"], get_task("walker2d-medium-v2")))
    with pytest.raises(DataError, match=r"o\.hdf5: observations have size 17.*--expert"):
        choose_experts(config(expert=other), data)
    short = write_hdf5(tmp_path / "s.hdf5", with_returns([1], length=1))
    with pytest.raises(DataError, match=r"s\.hdf5, trajectory 0: the expert trajectory has 1 step"):
        choose_experts(config(expert=short), data)
    with pytest.raises(DataError, match="no such file; check --expert"):
        choose_experts(config(expert=tmp_path / "absent.hdf5"), data)


def test_builtin_expert_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_builtin(with_returns([1, 7, 3]), episodes([9], ["timeout"], seed=1), {}, tmp_path)
    own = builtin_expert(tmp_path)
    monkeypatch.setattr(experts, "builtin_expert", lambda: own)
    data = read_builtin(get_task("hopper-builtin"), tmp_path)
    assert choose_experts(config(task="hopper-builtin"), data) == (own,)
    chosen = choose_experts(config(task="hopper-builtin", experts=3), data)
    assert chosen[0] is own and [expert.origin for expert in chosen[1:]] == [
        f"{builtin.SOURCE}, trajectory 1",
        f"{builtin.SOURCE}, trajectory 2",
    ]
    (median,) = choose_experts(config(task="hopper-builtin", expert_quantile=0.5), data)
    assert median.origin == f"{builtin.SOURCE}, trajectory 2"
    path = write_hdf5(tmp_path / "e.hdf5", with_returns([1, 4]))
    assert choose_experts(config(task="hopper-builtin", expert=path), data)[0].true_return == 4


def test_development_antmaze_expert_starts_at_the_origin() -> None:
    data = read_d4rl(shared("antmaze-umaze"), ANTMAZE, substituted=True)
    (expert,) = choose_experts(config(task=ANTMAZE.name), data)
    assert expert.true_return == 1.0
    assert np.linalg.norm(expert.observations[0, :2]) < 0.2
    assert np.linalg.norm(expert.observations[-1, :2] - [0.0, 8.0]) < 1.0  # the target, one step before it
