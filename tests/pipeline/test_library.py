"""The package as a library: arrays in, policies out, nothing global changed, nothing read twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ailot_ray
from ailot_ray import Config, evaluate, load_policy, relabel, relabel_arrays, train
from ailot_ray.config import ICVFConfig
from ailot_ray.data import d4rl
from ailot_ray.data.trajectories import Dataset
from ailot_ray.errors import AilotError, ConfigError, DataError, StoreError
from ailot_ray.pipeline import load_rewards

from .conftest import TINY, OpenExperiment


@pytest.mark.parametrize("method", ["ailot", "otr", "seabo"])
def test_arrays_are_relabelled_as_a_file_is(method: str, open_experiment: OpenExperiment, tmp_path: Path) -> None:
    experiment = open_experiment(method)
    expected = load_rewards(relabel(experiment, [3])[0])
    data, best = experiment.dataset, experiment.experts[0]
    config = Config(method=method, device="cpu", icvf=TINY["icvf"])
    given = (data.observations, data.lengths, [best.observations], str(tmp_path / "arrays"))
    rewards = relabel_arrays(*given, config, seed=3)
    assert rewards.shape == (len(data),) and rewards.dtype == np.float32
    # the file tells the successor of a last step, and how an episode ended; the states alone do not
    assert np.corrcoef(rewards, expected)[0, 1] > (0.999 if method == "otr" else 0.9)
    assert np.array_equal(relabel_arrays(*given, config, seed=3), rewards)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"lengths": [3, 3]}, DataError, "lengths"),
        ({"lengths": []}, DataError, "lengths"),
        ({"observations": np.zeros(5)}, DataError, "observations"),
        ({"observations": np.full((5, 3), np.nan)}, DataError, "not finite"),
        ({"experts": []}, ConfigError, "experts"),
        ({"experts": [np.zeros((4, 2))]}, ConfigError, "expert 0"),
        ({"config": Config(method="bc")}, ConfigError, "bc"),
        ({"config": Config(method="otr", icvf=ICVFConfig(steps=1)), "experts": [np.zeros((1, 3))] * 0}, ConfigError, "experts"),
    ],
)
def test_arrays_that_do_not_go_together(change: dict[str, Any], error: type[AilotError], says: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"observations": np.zeros((5, 3)), "lengths": [2, 3], "experts": [np.zeros((4, 3))]}
    with pytest.raises(error, match=says):
        relabel_arrays(**(given | {"store": tmp_path / "store", "config": Config(method="otr")} | change))


def test_a_dataset_of_arrays() -> None:
    states = np.arange(10, dtype=np.float64).reshape(5, 2)
    found = Dataset.from_arrays(states, lengths=[2, 3], rewards=np.arange(5.0), terminals=[0, 1, 0, 0, 0])
    assert (found.trajectories, found.lengths.tolist(), found.ends) == (2, [2, 3], ("terminal", "timeout"))
    assert found.next_observations[:, 0].tolist() == [2, 2, 6, 8, 8]
    assert found.successor_known.tolist() == [True, False, True, True, False]
    assert found.returns().tolist() == [1.0, 9.0]
    other = Dataset.from_arrays(states, states + 1, lengths=[2, 3], rewards=np.arange(5.0))
    assert other.next_observations[:, 0].tolist() == [1, 3, 5, 7, 9] and other.successor_known.all()
    assert len({found.digest, other.digest, Dataset.from_arrays(states, lengths=[3, 2]).digest}) == 3


def test_a_policy_acts(open_experiment: OpenExperiment) -> None:
    experiment = open_experiment("bc")
    (artefact,) = train(experiment, [0])
    policy = load_policy(artefact.folder)
    actions = policy(experiment.dataset.observations[:7])
    assert actions.shape == (7, 3) and np.abs(actions).max() <= 1
    assert np.array_equal(actions, load_policy(str(artefact.folder), step=8)(experiment.dataset.observations[:7]))
    assert not np.array_equal(actions, load_policy(artefact.folder, step=4)(experiment.dataset.observations[:7]))
    with pytest.raises(StoreError, match="step 5"):
        load_policy(artefact.folder, step=5)
    with pytest.raises(StoreError, match="holds no policy"):
        load_policy(artefact.folder.parent)


def test_opening_and_running_leave_torch_as_it_was(open_experiment: OpenExperiment) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        experiment = open_experiment("bc")
        assert torch.get_num_threads() == 2
        evaluate(experiment, [0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_file_is_read_once_in_a_process(
    open_experiment: OpenExperiment, hopper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_experiment("otr")
    monkeypatch.setattr("ailot_ray.data.read_d4rl", lambda *_, **__: pytest.fail("read again"))
    assert open_experiment("iql").dataset is first.dataset and first.with_config(first.config).dataset is first.dataset
    monkeypatch.setattr("ailot_ray.data.read_d4rl", d4rl.read_d4rl)
    hopper.touch()
    assert open_experiment("otr").dataset is not first.dataset  # it may have changed


def test_the_public_names_are_there_and_documented() -> None:
    for name in ailot_ray.__all__:
        assert getattr(ailot_ray, name).__doc__, name
