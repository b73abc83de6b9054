"""Files of OGBench's: read as its own package reads them, refused in one line, and the experts out of them."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ailot_ray.config import Config
from ailot_ray.data import load_dataset
from ailot_ray.data.experts import choose_experts
from ailot_ray.data.inspection import inspect_dataset
from ailot_ray.data.ogbench_experts import stretches
from ailot_ray.data.ogbench_files import read_ogbench
from ailot_ray.data.trajectories import scores
from ailot_ray.errors import DataError
from ailot_ray.files import sha256_of
from ailot_ray.tasks import get_task

from .ogbench_made import CUBE, LENGTHS, POINT, SCENE, Arrays, made, needs_ogbench, write_npz

FILE = "pointmaze-medium-navigate-v0.npz"


@pytest.fixture
def point(tmp_path: Path) -> Path:
    return write_npz(tmp_path / FILE, made(POINT))


@pytest.mark.parametrize("name", [POINT, SCENE])
def test_read_as_ogbench_reads_it(name: str, tmp_path: Path) -> None:
    needs_ogbench()
    task = get_task(name)
    path = write_npz(tmp_path / str(task.file_name), made(name))
    shutil.copy(path, tmp_path / f"{path.stem}-val.npz")
    theirs = pytest.importorskip("ogbench").make_env_and_datasets(name, dataset_path=str(path))[1]
    data = load_dataset(Config(task=name, data_dir=tmp_path))
    for key in ("observations", "actions", "next_observations", "rewards"):
        assert np.array_equal(theirs[key], getattr(data, key)), key
    assert np.array_equal(theirs["masks"] == 0, data.terminals) and data.terminals.any()
    assert np.array_equal(np.flatnonzero(theirs["terminals"]) + 1, data.offsets[1:])
    assert data.lengths.tolist() == [length - 1 for length in LENGTHS] and data.notes.dropped == 3
    assert (data.digest, data.substituted) == (sha256_of(path), False)
    assert scores(data, task).tolist() == [100.0, 100.0, 0.0]
    assert inspect_dataset(data)["score"]["max"] == 100.0


def test_experts_go_from_the_start_to_the_goal(point: Path, tmp_path: Path) -> None:
    needs_ogbench()
    data = load_dataset(Config(task=POINT, data_dir=tmp_path))
    goal = int(np.argmax(data.terminals))
    first, second = stretches(data)[:2]
    assert (first.number, first.merit[0], first.rows.stop) == (0, False, goal + 1)
    assert 1 <= first.rows.start < 10 and first.merit[1] == goal - first.rows.start
    assert np.linalg.norm(data.observations[first.rows.start] - [8, 16]) < 2.0
    assert (second.number, second.merit[0]) == (1, True)
    (expert,) = choose_experts(Config(task=POINT, data_dir=tmp_path), data)
    assert expert.true_return == -first.merit[1] and expert.origin.endswith(", trajectory 0")
    assert np.array_equal(expert.observations[1:], expert.next_observations[:-1])
    assert np.linalg.norm(expert.observations[-1] - [4, 12]) <= 1.0 < np.linalg.norm(expert.observations[-2] - [4, 12])
    given = choose_experts(Config(task=POINT, data_dir=tmp_path, expert=point), data)
    assert np.array_equal(given[0].observations, expert.observations)


def test_no_way_to_the_goal(tmp_path: Path) -> None:
    needs_ogbench()
    arrays = {key: array[-LENGTHS[2] :] for key, array in made(POINT).items()}
    path = write_npz(tmp_path / FILE, arrays)
    data = load_dataset(Config(task=POINT, data_dir=tmp_path))
    for config in (Config(task=POINT), Config(task=POINT, expert=path)):
        with pytest.raises(DataError, match=r"navigate-v0.npz holds no way to the goal, for task .*--expert FILE"):
            choose_experts(config, data)


def _changed(**arrays: NDArray[Any] | None) -> Callable[[Arrays], Arrays]:
    return lambda whole: {key: array for key, array in (whole | arrays).items() if array is not None}


def _holed(whole: Arrays) -> Arrays:
    whole["qpos"][17] = np.nan
    return whole


def _twice(whole: Arrays) -> Arrays:
    whole["terminals"][LENGTHS[0] - 2] = True
    return whole


BAD: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "of another version": (_changed(qpos=None, qvel=None), "has no key qpos: it is not of OGBench's current files .*fetch it"),
    "no terminals": (_changed(terminals=None), "has no key terminals"),
    "pickled": (_changed(actions=np.array([{}] * 128, object)), "cannot be read as NPZ.*Object arrays cannot be loaded"),
    "another task's sizes": (lambda _: made(CUBE), "observations have size 28, but task .* has 2; check --task and --data"),
    "another body": (_changed(qpos=np.zeros((128, 3))), "qpos have size 3, but task .* has 2"),
    "another maze": (_changed(qpos=np.tile([8.0, 12.0], (128, 1))), "100% of the positions lie in walls .*another maze"),
    "shorter": (_changed(actions=np.zeros((99, 2))), "actions has 99 rows, but terminals has 128"),
    "flat": (_changed(actions=np.zeros(128)), r"actions is of shape \(128,\)"),
    "NaN": (_holed, "qpos has NaN or infinite values, the first in row 17"),
    "half flags": (_changed(terminals=np.full(128, 0.5)), "terminals has values other than 0 and 1"),
    "cut off": (lambda whole: {key: array[:-1] for key, array in whole.items()}, "the last row is no trajectory's end"),
    "compact": (_twice, "ends a trajectory without a step in row 70"),
    "empty": (lambda whole: {key: array[:0] for key, array in whole.items()}, "holds no transition"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_are_refused(name: str, tmp_path: Path) -> None:
    change, words = BAD[name]
    if name in ("another body", "another maze"):
        needs_ogbench()
    path = write_npz(tmp_path / "bad.npz", change(made(POINT)))
    with pytest.raises(DataError, match=words) as caught:
        load_dataset(Config(task=POINT, data=path))
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "an HDF5 file", "missing", "a folder"])
def test_files_that_are_none(damage: str, point: Path) -> None:
    whole = point.read_bytes()
    middle = len(whole) // 3
    damaged = {"truncated": whole[: len(whole) // 2], "flipped": whole[:middle] + b"\0" * 64 + whole[middle + 64 :]}
    point.unlink()
    if damage == "a folder":
        point.mkdir()
    elif damage != "missing":
        point.write_bytes(damaged.get(damage, b"\x89HDF\r\n\x1a\n" + whole))
    words = {"missing": "no such file; check --data", "a folder": "is not a file; --data takes a file of OGBench's"}
    with pytest.raises(DataError, match=words.get(damage, "cannot be read as NPZ, .*fetch it again or check --data")):
        load_dataset(Config(task=POINT, data=point))


def test_a_file_that_changes_and_one_too_large(point: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = sys.modules[read_ogbench.__module__]
    states = iter([(1, 1, 1), (1, 1, 2)])
    monkeypatch.setattr(reader, "file_state", lambda path: next(states))
    with pytest.raises(DataError, match="was changed while it was read"):
        read_ogbench(point, get_task(POINT), substituted=False)
    monkeypatch.setattr(reader, "file_state", lambda path: (1, 1, 1))
    monkeypatch.setattr("os.sysconf", lambda name: 16)
    with pytest.raises(DataError, match="does not fit into this machine's memory"):
        read_ogbench(point, get_task(POINT), substituted=False)


def test_what_is_missing_says_how_to_get_it(point: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=f"scene-play-v0.npz is missing: .*data fetch --task {SCENE}"):
        load_dataset(Config(task=SCENE, data_dir=tmp_path))
    for package in ("ogbench", "dm_control.mjcf"):
        monkeypatch.setitem(sys.modules, package, None)
        if package != "ogbench":
            needs_ogbench()
        with pytest.raises(
            DataError, match=rf"{FILE}: reading it .* \({package} is missing\): run `pip install 'ailot-ray\[ogbench\]'"
        ):
            load_dataset(Config(task=POINT, data_dir=tmp_path))
        monkeypatch.undo()
