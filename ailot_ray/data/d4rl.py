"""Read a file in D4RL's HDF5 schema and cut it into trajectories.

Keys, all of N rows: `observations` (N, o), `actions` (N, a) and `terminals` (N,) are required; `rewards`, `timeouts` (N,) and
`next_observations` (N, o) are optional; everything else, `infos/*` and `metadata/*` among it, is ignored, apart from a root
attribute `environment`, which must not name another body than the task's.
"""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.cutting import Cut, cut, position_jumps, successor_jumps
from ailot_ray.data.maze_checks import check_maze
from ailot_ray.data.scaling import to_unit
from ailot_ray.data.trajectories import Dataset, LoadReport
from ailot_ray.errors import DataError
from ailot_ray.files import sha256_of
from ailot_ray.tasks import Task

_REQUIRED = ("observations", "actions", "terminals")
_VECTORS = ("observations", "actions", "next_observations")
_FLAGS = ("terminals", "timeouts")
_KEYS = (*_VECTORS, *_FLAGS, "rewards")


def read_d4rl(path: Path, task: Task, *, substituted: bool, flag: str = "--data") -> Dataset:
    """Read `path` for `task`.

    An episode ends at a terminal, a timeout, a hidden jump ("gap") or the end of the file ("file").

    With `next_observations`, a jump is where a stored successor is not the next row (D4RL's joined files have them), and
    every transition is kept. Without, the successor is the next row of the same episode; the last row of an episode that
    ended in no terminal state is dropped, the last row before a terminal is kept with its own observation as successor and
    `successor_known` False. There a jump can be told only in AntMaze: a step of the xy position longer than
    :data:`ailot_ray.data.cutting.ANT_STEP`, 0.5 m, a third above the longest step D4RL's ant made in 160,000 (its -v0 files
    have timeouts out of step with the real resets, see Farama-Foundation/D4RL issue 77). A hidden reset nearer than that
    goes unseen.

    D4RL's own AntMaze files set `terminals` (as float 0/1) on every row whose successor is within 0.5 m of the target and
    let the ant go on, so a stay at the target becomes trajectories of one step, as it does in the IQL and OTR code.

    Without `timeouts` no horizon is assumed: Adroit's human demonstrations outlast D4RL's horizon.

    Actions come scaled from the task's bounds to ±1, if it states any. Outside ±1 they are clipped, as D4RL clips Adroit's, and
    counted in the notes. `flag` is the flag that error messages should name.

    Raises DataError, one line, for a file that is missing, truncated, not HDF5, of another task or maze, for missing keys,
    shapes that do not fit, NaN or infinite values, for a file that leaves no transition, and for actions outside ±1 of a custom
    task that states no bounds.
    """
    arrays = _load(path, task, flag)
    _check_task(path, arrays, task, flag)
    observations, actions, terminals = (arrays[key] for key in _REQUIRED)
    timeouts = arrays.get("timeouts", np.zeros(len(terminals), np.bool_))
    successors = arrays.get("next_observations")

    if successors is not None:
        jumps = successor_jumps(observations, successors)
    elif task.domain == "antmaze":
        jumps = position_jumps(observations)
        check_maze(path, observations, jumps & ~(terminals | timeouts), task, flag)
    else:
        jumps = np.zeros(len(terminals), np.bool_)
    pieces = cut(terminals, timeouts, jumps, successors_stored=successors is not None)
    if len(pieces.rows) == 0:
        raise DataError(f"{path}: no episode has a transition with a known successor left; check that the file is whole")

    rows = pieces.rows
    actions = to_unit(actions, task)
    next_observations, known = _successors(observations, successors, pieces)
    outside = (np.abs(actions) > 1.0).any(axis=1)
    return Dataset(
        task=task.name,
        source=str(path),
        digest=sha256_of(path),
        substituted=substituted,
        observations=observations[rows],
        actions=np.clip(actions[rows], -1.0, 1.0),
        next_observations=next_observations,
        rewards=arrays["rewards"][rows] if "rewards" in arrays else None,
        terminals=terminals[rows],
        successor_known=known,
        offsets=pieces.offsets,
        ends=pieces.ends,
        notes=LoadReport(
            transitions_in_file=len(terminals),
            dropped=len(terminals) - len(rows),
            clipped=int(outside.sum()),
            largest_action=float(np.abs(actions).max()),
            vanished=pieces.vanished,
        ),
    )


def _successors(
    observations: NDArray[np.float32], stored: NDArray[np.float32] | None, pieces: Cut
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The successor of each kept row, and whether the file tells it."""
    known = np.ones(len(pieces.rows), np.bool_)
    if stored is not None:
        return stored[pieces.rows], known
    last = pieces.offsets[1:] - 1
    known[last] = [end != "terminal" for end in pieces.ends]
    return observations[pieces.rows + known], known


def _load(path: Path, task: Task, flag: str) -> dict[str, NDArray[Any]]:
    """The known keys of a file as checked arrays: float32, flags as booleans, N rows each."""
    if not path.exists():
        raise DataError(f"{path}: no such file; check {flag}")
    if not path.is_file():
        raise DataError(f"{path} is not a file; {flag} takes a file in D4RL's HDF5 schema")
    try:
        with h5py.File(path, "r") as file:
            _check_environment(path, file.attrs.get("environment"), task, flag)
            raw = {key: _read_key(path, file, key) for key in _KEYS if key in file}
    except (OSError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path} cannot be read as HDF5, it is truncated or in another format ({reason}); fetch it again or check {flag}"
        ) from error
    missing = [key for key in _REQUIRED if key not in raw]
    if missing:
        raise DataError(f"{path} has no key {' and no key '.join(missing)}; {flag} takes a file in D4RL's HDF5 schema")
    length = len(raw["observations"])
    for key, array in raw.items():
        if len(array) != length:
            raise DataError(f"{path}: {key} has {len(array)} rows, but observations has {length}; the file is damaged")
    if length == 0:
        raise DataError(f"{path} is empty, it holds no transition; check {flag}")
    return {key: _convert(path, key, array) for key, array in raw.items()}


def _check_environment(path: Path, recorded: Any, task: Task, flag: str) -> None:
    """Refuse a file of another body, which may have the same sizes (HalfCheetah and Walker2d do); versions may differ."""
    if not isinstance(recorded, str) or not task.environment:
        return
    theirs, ours = (re.sub(r"^.*[:/]|-v\d+$", "", name) for name in (recorded.split(",")[0], task.environment))
    if not (theirs.startswith(ours) or ours.startswith(theirs)):
        raise DataError(
            f"{path} was recorded in {recorded}, but task {task.name} is {task.environment}; check --task and {flag}"
        )


def _read_key(path: Path, file: Any, key: str) -> NDArray[Any]:
    item = file[key]
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
        raise DataError(f"{path}: {key} is not an array of numbers; the file does not follow D4RL's HDF5 schema")
    shape = item.shape
    if key in _VECTORS:
        if len(shape) != 2:
            raise DataError(f"{path}: {key} has shape {shape}, but it must be (rows, size)")
        return np.asarray(item[()])
    if len(shape) != 1 and (len(shape) != 2 or shape[1] != 1):
        raise DataError(f"{path}: {key} has shape {shape}, but it must be (rows,)")
    return np.asarray(item[()]).reshape(shape[0])


def _convert(path: Path, key: str, raw: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(raw, np.float32)
    bad = ~np.isfinite(array)
    if bad.any():
        first = int(np.flatnonzero(bad.reshape(len(array), -1).any(axis=1))[0])
        raise DataError(
            f"{path}: {key} has {int(bad.sum())} NaN or infinite values, the first in row {first}; remove those episodes"
        )
    if key not in _FLAGS:
        return array
    if not np.isin(array, (0.0, 1.0)).all():
        raise DataError(f"{path}: {key} has values other than 0 and 1, but it must be a flag")
    return array.astype(np.bool_)


def _check_task(path: Path, arrays: dict[str, NDArray[Any]], task: Task, flag: str) -> None:
    expected = {
        "observations": task.observation_size,
        "next_observations": task.observation_size,
        "actions": task.action_size,
    }
    for key, size in expected.items():
        if key in arrays and arrays[key].shape[1] != size:
            raise DataError(
                f"{path}: {key} have size {arrays[key].shape[1]}, but task {task.name} has {size}; check --task and {flag}"
            )
    largest = float(np.abs(arrays["actions"]).max())
    if task.domain == "custom" and task.action_low is None and largest > 1.0:
        raise DataError(
            f"{path}: actions reach {largest:g}, but those of task {task.name} lie in ±1; state its action_low and action_high"
        )
