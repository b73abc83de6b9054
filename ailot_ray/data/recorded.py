"""Single recorded steps of a file in D4RL's schema, with the simulator's state where the file holds it."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.cutting import find_breaks
from ailot_ray.data.d4rl import require_own_data
from ailot_ray.errors import DataError
from ailot_ray.tasks import Task

_STATE = ("infos/qpos", "infos/qvel")


@dataclass(frozen=True)
class Recording:
    """All N rows of a file, as they were recorded."""

    source: str
    observations: NDArray[np.float32]
    actions: NDArray[np.float32]
    """Clipped to ±1, as every reader does."""
    successors: NDArray[np.float32]
    """(N, o): the recorded next observations, else the next row; NaN where neither is this row's (:class:`.cutting.Breaks`)."""
    starts: NDArray[np.bool_]
    """Whether a row begins an episode."""
    state: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    """`infos/qpos` and `infos/qvel`, where the file has both."""


def read_recording(path: Path, task: Task) -> Recording:
    """Read the steps of a file that :func:`ailot_ray.data.load_dataset` has accepted for `task`.

    Without `next_observations`, a row that ends an episode (a terminal, a timeout, in AntMaze a jump) has no successor; with
    them, a flagged row whose stored successor is the next episode's first state has none.
    Raises DataError where `infos/qpos` or `infos/qvel` does not fit the other keys.
    """
    with h5py.File(path, "r") as file:
        observations = np.asarray(file["observations"], np.float32)
        actions = np.clip(np.asarray(file["actions"], np.float32), -1.0, 1.0)
        length = len(observations)
        ended = np.asarray(file["terminals"]).reshape(length) != 0
        if "timeouts" in file:
            ended |= np.asarray(file["timeouts"]).reshape(length) != 0
        stored = np.asarray(file["next_observations"], np.float32) if "next_observations" in file else None
        held = [key for key in _STATE if file.get(key, getlink=True) is not None]
        for key in held:
            require_own_data(path, file, key)
        state = [np.asarray(file[key], np.float64) for key in held]
    for key, array in zip(_STATE, state, strict=False):
        if array.ndim != 2 or len(array) != length:
            raise DataError(f"{path}: {key} has shape {array.shape}, but observations has {length} rows; the file is damaged")
    breaks = find_breaks(observations, stored, ended, ant=task.domain == "antmaze")
    ended |= breaks.jumps
    known = ~ended if stored is None else breaks.stored
    known[-1] &= stored is not None
    following = np.roll(observations, -1, 0) if stored is None else stored
    successors = np.where(known[:, None], following, np.float32(np.nan))
    starts = np.concatenate([[True], ended[:-1]])
    return Recording(str(path), observations, actions, successors, starts, (state[0], state[1]) if len(state) == 2 else None)
