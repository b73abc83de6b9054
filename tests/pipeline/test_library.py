"""The package as a library: arrays in, policies out, nothing global changed, nothing read twice."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ailot_ray
from ailot_ray import Config, evaluate, example_arrays, load_policy, relabel, relabel_arrays, train, train_arrays
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


def test_rewards_of_arrays_are_learned_from_as_they_are(tmp_path: Path) -> None:
    """A two-armed bandit: of actions around ±0.8 the positive ones are rewarded, so the policy goes there; and the reverse."""
    rng = np.random.default_rng(0)
    actions = rng.choice([-0.8, 0.8], (600, 1)) + 0.1 * rng.normal(size=(600, 1)).clip(-1, 1)
    states = rng.normal(size=(600, 2))
    config = Config(device="cpu", iql=replace(TINY["iql"], steps=600, batch_size=64, learning_rate=3e-3))
    for sign in (1, -1):
        rewards = 3.0 * (sign * actions[:, 0] > 0)
        given = (states, actions, [20] * 30, rewards, tmp_path / "store", config)
        policy = train_arrays(*given, terminals=np.ones(600))
        found = policy(states.astype(np.float32))
        assert found.shape == (600, 1) and sign * found.mean() > 0.5, sign
        assert np.array_equal(train_arrays(*given, terminals=np.ones(600))(states.astype(np.float32)), found)
    kept = [json.loads(path.read_text())["key"] for path in (tmp_path / "store" / "policies").glob("*/manifest.json")]
    assert len(kept) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"actions": np.full((5, 2), 1.5)}, "1.5.*±1"),
        ({"actions": np.zeros(5)}, r"\(N, a\)"),
        ({"actions": np.zeros((5, 0))}, r"\(N, a\)"),
        ({"actions": np.zeros((4, 2))}, "actions"),
        ({"rewards": np.zeros(4)}, "rewards"),
        ({"rewards": np.full(5, np.inf)}, "rewards.*not finite"),
        ({"terminals": np.zeros(3)}, "terminals"),
    ],
)
def test_arrays_that_no_policy_can_be_learned_from(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"observations": np.zeros((5, 3)), "lengths": [2, 3], "actions": np.zeros((5, 2))}
    with pytest.raises(DataError, match=says):
        train_arrays(**(given | {"rewards": np.arange(5), "store": tmp_path / "store"} | change))


def test_the_example_is_what_the_two_functions_take() -> None:
    states, actions, lengths, expert = example_arrays()
    assert len(states) == len(actions) == lengths.sum() and states.shape[1] == expert.shape[1] == 11
    assert np.abs(actions).max() <= 1


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
    read = d4rl.read_d4rl
    monkeypatch.setattr(d4rl, "read_d4rl", lambda *_, **__: pytest.fail("read again"))
    assert open_experiment("iql").dataset is first.dataset and first.with_config(first.config).dataset is first.dataset
    monkeypatch.setattr(d4rl, "read_d4rl", read)
    hopper.touch()
    assert open_experiment("otr").dataset is not first.dataset  # it may have changed


def test_the_public_names_are_there_and_documented() -> None:
    for name in ailot_ray.__all__:
        assert getattr(ailot_ray, name).__doc__, name
