"""Minari datasets in both formats, recorded here with Minari's own collector."""

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer
from numpy.typing import NDArray

from ailot_ray.config import Config
from ailot_ray.data import load_dataset
from ailot_ray.data.experts import choose_experts
from ailot_ray.data.minari_sets import read_minari
from ailot_ray.envs.custom import installed_spec, make_custom
from ailot_ray.errors import DataError, SimulatorError
from ailot_ray.tasks import get_task

FORMATS = ("hdf5", "arrow")
LENGTHS = (12, 5, 9)


def record(name: str, kind: str, root: Path) -> str:
    """Random play on Pendulum: two episodes cut at 12 and 9 steps, and one between them broken off after 5."""
    env = minari.DataCollector(gymnasium.make("Pendulum-v1", max_episode_steps=12), data_format=kind)
    env.action_space.seed(0)
    for seed, length in enumerate(LENGTHS):
        env.reset(seed=seed)
        for _ in range(length):
            env.step(env.action_space.sample())
    identity = f"toy/{name}-v0"
    with warnings.catch_warnings():  # of an author, a code link and so on that a public dataset should have
        warnings.simplefilter("ignore")
        env.create_dataset(identity)
    env.close()
    assert (root / identity / "data").is_dir()
    return f"minari:{identity}"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("kind", FORMATS)
def test_every_transition_is_read(kind: str, root: Path) -> None:
    reference = record(kind, kind, root)
    data = load_dataset(Config(data=Path(reference)))
    original = list(minari.load_dataset(reference.removeprefix("minari:")))
    assert (data.task, data.source, data.substituted) == (reference, reference, False)
    assert data.lengths.tolist() == list(LENGTHS)
    assert data.ends == ("timeout", "timeout", "timeout")  # Minari marks what a reset breaks off as truncated
    for rows, episode in zip(data.rows(), original, strict=True):
        assert np.array_equal(data.observations[rows], episode.observations[:-1])
        assert np.array_equal(data.next_observations[rows], episode.observations[1:])
        np.testing.assert_allclose(data.actions[rows], episode.actions / 2.0, atol=1e-6)  # Pendulum's torque is within ±2
        assert data.rewards is not None
        np.testing.assert_allclose(data.rewards[rows], episode.rewards, rtol=1e-6)
    assert data.successor_known.all() and data.notes.clipped == 0
    assert len(choose_experts(Config(task=reference), data)[0].observations) in LENGTHS


def test_the_digest_is_of_the_content_in_either_format(root: Path) -> None:
    sets = [load_dataset(Config(task=record(kind, kind, root))) for kind in FORMATS]
    assert sets[0].digest == sets[1].digest == load_dataset(Config(task=sets[0].task)).digest
    changed = replace(get_task(sets[0].task), name="another")
    assert read_minari(sets[0].source, changed).digest == sets[0].digest


def buffers(rewards: NDArray[np.float64], *, terminal: bool = True) -> list[EpisodeBuffer]:
    steps = len(rewards)
    last = np.arange(steps) == steps - 1
    return [
        EpisodeBuffer(
            observations=np.zeros((steps + 1, 3), np.float32),
            actions=np.full((steps, 1), 2.0, np.float32),
            rewards=rewards,
            terminations=last if terminal else np.zeros(steps, bool),
            truncations=np.zeros(steps, bool),
        )
    ]


def create(identity: str, episodes: list[EpisodeBuffer]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers(identity, episodes, env="Pendulum-v1")
    return f"minari:{identity}"


def test_how_episodes_end(root: Path) -> None:
    ended = load_dataset(Config(task=create("toy/ended-v0", buffers(np.ones(4)))))
    broken = load_dataset(Config(task=create("toy/broken-v0", buffers(np.ones(4), terminal=False))))
    assert (ended.ends, ended.terminals.tolist()) == (("terminal",), [False, False, False, True])
    assert broken.ends == ("file",) and not broken.terminals.any()
    assert ended.digest != broken.digest
    assert ended.actions.tolist() == [[1.0]] * 4


@pytest.mark.parametrize("column", ["observations", "rewards"])
def test_an_episode_whose_columns_do_not_fit_together_is_named(root: Path, column: str) -> None:
    reference = create("toy/short-v0", buffers(np.ones(4)) + buffers(np.ones(4)))
    with h5py.File(root / "toy/short-v0/data/main_data.hdf5", "a") as file:
        shortened = file["episode_1"][column][:-1]
        del file["episode_1"][column]
        file["episode_1"][column] = shortened
    with pytest.raises(DataError, match=rf"toy/short-v0: episode 1 has 4 actions and {len(shortened)} {column}, but needs"):
        load_dataset(Config(task=reference))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"id": "Made-v0", "entry_point": "subprocess:check_call"}, "the environment Made-v0"),
        ({"id": "os:Made-v0"}, "the environment os:Made-v0"),
        ({"additional_wrappers": [{"name": "x", "entry_point": "os:system", "kwargs": {}}]}, "the wrapper os:system"),
    ],
)
def test_a_dataset_may_not_name_code_that_is_not_installed(changed: dict[str, Any], message: str) -> None:
    spec = json.loads(gymnasium.spec("Pendulum-v1").to_json()) | changed
    with pytest.raises(SimulatorError, match=f"its data name {message}, which is not gymnasium's nor registered"):
        make_custom(replace(get_task("hopper-medium-v2"), spec=json.dumps(spec)))


def test_a_datasets_environment_is_made_by_its_registered_entry_point() -> None:
    spec = json.loads(gymnasium.spec("Pendulum-v1").to_json()) | {"entry_point": "subprocess:check_call"}
    assert installed_spec("task x", json.dumps(spec)).entry_point == gymnasium.registry["Pendulum-v1"].entry_point


def test_what_cannot_be_used_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = create("toy/ended-v0", buffers(np.ones(4)))
    with pytest.raises(DataError, match=r"which belongs to no task of D4RL's such as hopper-medium-v2: say --task minari:toy"):
        load_dataset(Config(task="hopper-medium-v2", data=Path(reference)))
    with pytest.raises(DataError, match=r"observations have shape \(3,\), but task minari:toy/ended-v0 has 4; check --task"):
        read_minari(reference, replace(get_task(reference), observation_size=4))
    with pytest.raises(DataError, match="rewards have NaN or infinite values, first in transition 1; filter those episodes"):
        load_dataset(Config(task=create("toy/nan-v0", buffers(np.array([0.0, np.nan, 1.0])))))
    (root / "toy/ended-v0/data/main_data.hdf5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match=r"minari:toy/ended-v0 cannot be read \(.*\): download it again") as caught:
        load_dataset(Config(task=reference))
    assert "\n" not in str(caught.value)
    for name in ("minari", "ailot_ray.data.minari_sets"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(
        DataError, match=r"minari:toy/ended-v0 needs Minari: minari is not installed: run `pip install 'ailot-ray\[minari\]'`"
    ):
        load_dataset(Config(task=reference))
