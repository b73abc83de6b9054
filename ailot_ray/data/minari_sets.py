"""Read a Minari dataset, in either of its formats (HDF5, Arrow), with Minari's own reader."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ailot_ray.config import MINARI
from ailot_ray.data.scaling import to_unit
from ailot_ray.data.trajectories import Dataset, End, LoadReport
from ailot_ray.errors import DataError, one_line
from ailot_ray.minari_fetch import dataset_folder, open_dataset, split
from ailot_ray.parts import Parts, from_space, leaves, parts_of
from ailot_ray.tasks import Task

_COLUMNS = ("observations", "next_observations", "actions", "rewards", "terminals", "truncated")


def read_minari(reference: str, task: Task) -> Dataset:
    """The dataset ``minari:ID`` for `task`, its actions scaled from the task's bounds to ±1; downloaded where it is not here.

    Observations that are a Dict become one vector, the parts in the order of their names (:mod:`ailot_ray.parts`).

    An episode holds one observation more than it has actions, so every successor is known. It ends in "terminal" or
    "timeout", or in "file" where it was broken off with neither flag. The digest is SHA-256 over the transitions in float32
    and the lengths of episodes, so that both formats of one recording have the same.

    Raises DataError, one line, for a dataset that is not to be had, damaged, empty or of other sizes than the task's, for an
    episode whose columns do not fit together, and for NaN.
    """
    folder = dataset_folder(reference)
    reference = MINARI + split(reference)[1]
    try:
        dataset = open_dataset(reference, folder)
        space = from_space(dataset.observation_space)
        parts = _parts(reference, space) if isinstance(space, dict) else ()
        episodes = [_columns(reference, episode, parts) for episode in dataset]
    except DataError:
        raise
    except Exception as error:  # whatever Minari, HDF5 or Arrow make of a damaged file
        reason = f"{type(error).__name__}: {one_line(error)[:200]}"
        raise DataError(f"{reference} cannot be read ({reason}): download it again, once {folder} is removed") from error
    episodes = [episode for episode in episodes if len(episode["actions"])]
    if not episodes:
        raise DataError(f"{reference} holds no transition: choose another dataset")
    arrays = {name: np.concatenate([episode[name] for episode in episodes]) for name in _COLUMNS}
    _check(reference, task, arrays)
    lengths = np.array([len(episode["actions"]) for episode in episodes], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    actions = to_unit(arrays["actions"], task)
    return Dataset(
        task=task.name,
        source=reference,
        digest=_digest(arrays, lengths),
        substituted=False,
        observations=arrays["observations"],
        actions=np.clip(actions, -1.0, 1.0),
        next_observations=arrays["next_observations"],
        rewards=arrays["rewards"],
        terminals=arrays["terminals"],
        successor_known=np.ones(len(actions), np.bool_),
        offsets=offsets,
        ends=_ends(arrays, offsets[1:] - 1),
        notes=LoadReport(
            transitions_in_file=len(actions),
            clipped=int((np.abs(actions) > 1.0).any(axis=1).sum()),
            largest_action=float(np.abs(actions).max()),
            parts=parts,
        ),
    )


def _parts(reference: str, space: dict[str, Any]) -> Parts:
    try:
        return parts_of(space)
    except ValueError as error:
        raise DataError(f"{reference}: {error}; record it again without, or choose another dataset") from error


def _states(reference: str, episode: Any, parts: Parts) -> NDArray[np.float32]:
    """Every observation of an episode, (steps + 1, o)."""
    if not parts:
        return np.asarray(episode.observations, np.float32)
    found = {name: np.asarray(values, np.float32) for name, values in leaves(episode.observations)}
    steps = len(episode.actions) + 1
    for name, size in parts:
        if name not in found or found[name].size != steps * size or len(found[name]) != steps:
            what = f"has shape {found[name].shape}" if name in found else "is missing"
            raise DataError(
                f"{reference}: part {name} of the observations {what} in episode {episode.id}, but the dataset's space and "
                f"actions make it ({steps}, {size}): collect or convert it again"
            )
    return np.concatenate([found[name].reshape(steps, size) for name, size in parts], axis=1)


def _columns(reference: str, episode: Any, parts: Parts) -> dict[str, NDArray[Any]]:
    states = _states(reference, episode, parts)
    columns = {
        "observations": states[:-1],
        "next_observations": states[1:],
        "actions": np.asarray(episode.actions, np.float32),
        "rewards": np.asarray(episode.rewards, np.float32),
        "terminals": np.asarray(episode.terminations, np.bool_),
        "truncated": np.asarray(episode.truncations, np.bool_),
    }
    steps = len(columns["actions"])
    for name, column in columns.items():
        if len(column) != steps:
            more, found = (" (one more than actions)", len(states)) if name == "observations" else ("", len(column))
            raise DataError(
                f"{reference}: episode {episode.id} has {steps} actions and {found} {name}, but needs "
                f"{steps + bool(more)}{more}: collect or convert it again"
            )
    return columns


def _check(reference: str, task: Task, arrays: dict[str, NDArray[Any]]) -> None:
    for name, size in (("observations", task.observation_size), ("actions", task.action_size)):
        found = arrays[name].shape[1:]
        if found != (size,):
            raise DataError(f"{reference}: {name} have shape {found}, but task {task.name} has {size}; check --task and --data")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))[0])
            raise DataError(
                f"{reference}: {name} have NaN or infinite values, first in transition {row}; filter those episodes"
            )


def _digest(arrays: dict[str, NDArray[Any]], lengths: NDArray[np.int64]) -> str:
    digest = hashlib.sha256(lengths.tobytes())
    for name in _COLUMNS:
        digest.update(f"{name} {arrays[name].shape} ".encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _ends(arrays: dict[str, NDArray[Any]], last: Sequence[int] | NDArray[np.int64]) -> tuple[End, ...]:
    names: tuple[End, ...] = ("terminal", "timeout", "file")
    kinds = np.select([arrays["terminals"][last], arrays["truncated"][last]], [0, 1], default=2)
    return tuple(names[kind] for kind in kinds)
