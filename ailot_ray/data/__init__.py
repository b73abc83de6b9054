"""Datasets and experts: D4RL's HDF5 files, OGBench's NPZ, Minari's datasets and the built-in set, as trajectories."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ailot_ray.config import MINARI, Config
from ailot_ray.data.builtin import FOLDER, REPLAY_NAME, SOURCE, read_builtin
from ailot_ray.data.digests import check_sidecar
from ailot_ray.data.minari_sets import read_minari
from ailot_ray.data.ogbench_files import read_ogbench
from ailot_ray.data.trajectories import Dataset
from ailot_ray.errors import DataError
from ailot_ray.files import file_state
from ailot_ray.lazy import Lazy
from ailot_ray.tasks import Task, get_task

if TYPE_CHECKING:
    from ailot_ray.data import d4rl as hdf5
else:
    hdf5 = Lazy("ailot_ray.data.d4rl")  # not by its own name, which is that of the module inside this one

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a dataset lies."""

    source: str
    """A file, ``minari:ID``, or ``built-in``."""
    substituted: bool
    """Whether it lies where stand-ins for the task's own file do."""
    flag: str
    """What named it."""
    builtin: bool = False

    @property
    def path(self) -> Path | None:
        """Its file; None of a Minari dataset."""
        if self.builtin:
            return FOLDER / REPLAY_NAME
        return None if self.source.startswith(MINARI) else Path(self.source)


def load_dataset(config: Config) -> Dataset:
    """The dataset a configuration names (:func:`find_dataset`).

    Raises DataError when the file is missing, differs from its ``.sha256`` sidecar, or cannot be used
    (:func:`ailot_ray.data.d4rl.read_d4rl`, :func:`ailot_ray.data.minari_sets.read_minari`).
    """
    task, place = get_task(config.task_name), find_dataset(config)
    if place.builtin:
        return read_builtin(task)
    return read_trajectories(place.source, task, substituted=place.substituted, flag=place.flag)


def find_dataset(config: Config) -> Place:
    """Where the dataset lies: `--data`, else the built-in set, else the task's stand-in in `--data-from`, else its own file in
    `--data-dir`. Opens nothing.

    The file of a task of the table lies in `--data-dir`; a custom task says itself where its data are. Raises ConfigError for
    an unknown task, and DataError where a file of the table is missing.
    """
    task = get_task(config.task_name)
    if config.data is not None:
        return Place(str(config.data), task.domain != "custom", "--data")
    if task.data is not None:
        return Place(task.data, False, f"`data` of task {task.name}")
    if task.domain == "custom":
        raise DataError(f"task {task.name} names no data: add `data` to its table, or give a file with --data FILE")
    if task.file_name is None:
        return Place(SOURCE, False, "--task", builtin=True)
    if config.data_from is not None:
        path = config.data_from / task.stand_in
        if not path.exists():
            raise DataError(f"{path} is missing: --data-from needs a file of that name for --task {task.name}")
        return Place(str(path), True, "--data-from")
    path = config.data_dir / task.file_name
    if not path.exists():
        raise DataError(
            f"{path} is missing: get it with `python -m ailot_ray data fetch --task {task.name}`, "
            f"or use a copy with --data-dir DIR or --data FILE"
        )
    return Place(str(path), False, "--data-dir")


_KEPT = 2
"""Datasets that a process keeps: that of its experiments, and that of their expert."""
_read: dict[tuple[object, ...], Dataset] = {}


def _read_once(path: Path, task: Task, substituted: bool, flag: str) -> Dataset:
    """Read a file in D4RL's or OGBench's schema, or give back what was read of it, if neither it nor the task has changed."""
    key = (str(path), file_state(path), repr(task), substituted)
    if key not in _read:
        check_sidecar(path)
        read = read_ogbench if task.domain == "ogbench" else hdf5.read_d4rl
        dataset = _recognise(read(path, task, substituted=substituted, flag=flag), task)
        while len(_read) >= _KEPT:
            _read.pop(next(iter(_read)))
        _read[key] = dataset
        _warn(dataset)
    return _read[key]


def _recognise(dataset: Dataset, task: Task) -> Dataset:
    """Whether a file is the task's own is told by its digest, where that is known; by the place it lay in, where not."""
    if task.published_file is None:
        return dataset
    genuine = dataset.digest == task.published_file[1]
    if not genuine and not dataset.substituted:
        _LOGGER.warning(
            "%s has the name of the file that D4RL publishes for %s and is another (SHA-256 %s): it counts as a stand-in",
            dataset.source,
            task.name,
            dataset.digest,
        )
    return replace(dataset, substituted=not genuine)


def read_trajectories(source: str, task: Task, *, substituted: bool, flag: str = "--data") -> Dataset:
    """Read a file in D4RL's schema, or ``minari:ID``, for `task`; `flag` is what error messages should name.

    Raises DataError as `load_dataset` does.
    """
    if not source.startswith(MINARI):
        return _read_once(Path(source), task, substituted, flag)
    if task.domain != "custom":
        raise DataError(
            f"{flag} {source} is a Minari dataset, which belongs to no task of D4RL's such as {task.name}: "
            f"say --task {source}, or give a file in D4RL's schema"
        )
    dataset = read_minari(source, task)
    _warn(dataset)
    return dataset


def _warn(dataset: Dataset) -> None:
    for sentence in dataset.notes.warnings():
        _LOGGER.warning("%s: %s", dataset.source, sentence)
