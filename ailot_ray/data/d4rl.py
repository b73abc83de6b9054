"""Read a file in D4RL's HDF5 schema and cut it into trajectories.

Keys, all of N rows: `observations` (N, o), `actions` (N, a) and `terminals` (N,) are required; `rewards`, `timeouts` (N,) and
`next_observations` (N, o) are optional; everything else, `infos/*` and `metadata/*` among it, is ignored, apart from a root
attribute `environment`, which must not name another body than the task's.
"""

import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.cutting import Cut, cut, find_breaks, horizon_ends
from ailot_ray.data.maze_checks import check_maze
from ailot_ray.data.scaling import to_unit
from ailot_ray.data.trajectories import Dataset, LoadReport
from ailot_ray.errors import DataError
from ailot_ray.files import file_state, sha256_of
from ailot_ray.tasks import Task

_REQUIRED = ("observations", "actions", "terminals")
_VECTORS = ("observations", "actions", "next_observations")
_FLAGS = ("terminals", "timeouts")
_KEYS = (*_VECTORS, *_FLAGS, "rewards")


def read_d4rl(path: Path, task: Task, *, substituted: bool, flag: str = "--data") -> Dataset:
    """Read `path` for `task`.

    An episode ends at a terminal, a timeout, a hidden jump ("gap") or the end of the file ("file").

    With `next_observations`, a jump is where a stored successor is not the next row (D4RL's joined files have them), and
    every transition is kept, but for those flagged as a timeout whose successor is the next row: that is the next episode's
    first state (a saved `qlearning_dataset` has it so), which at a terminal leaves the successor unknown. An ant that goes on
    after its flag is told from one that was reset by how far it moved.

    Without, the successor is the next row of the same episode; the last row of an episode that ended in no terminal state is
    dropped, the last row before a terminal is kept with its own observation as successor and `successor_known` False. There a
    jump can be told only in AntMaze: a step of the xy position longer than :data:`ailot_ray.data.cutting.ANT_STEP`, 0.5 m, a
    third above the longest step D4RL's ant made in 160,000 (its -v0 files have timeouts out of step with the real resets, see
    Farama-Foundation/D4RL issue 77). A hidden reset nearer than that goes unseen.

    D4RL's own AntMaze files set `terminals` (as float 0/1) on every row whose successor is within 0.5 m of the target and
    let the ant go on, so a stay at the target becomes trajectories of one step, as it does in the IQL and OTR code.

    Without `timeouts`, episodes of locomotion and AntMaze are cut at the task's horizon, as D4RL's reader cuts them, and
    counted in the notes; elsewhere no horizon is assumed, since Adroit's human demonstrations outlast D4RL's.

    Actions come scaled from the task's bounds to ±1, if it states any. Outside ±1 they are clipped, as D4RL clips Adroit's, and
    counted in the notes. `flag` is the flag that error messages should name.

    Raises DataError, one line, for a file that is missing, truncated, not HDF5, of another task or maze, for missing keys,
    shapes that do not fit, NaN or infinite values, for a file that leaves no transition, and for actions outside ±1 of a custom
    task that states no bounds.
    """
    before = file_state(path)
    arrays = _load(path, task, flag)
    digest = sha256_of(path)
    if file_state(path) != before:
        raise DataError(f"{path} was changed while it was read: leave it alone, and run the same command again")
    _check_task(path, arrays, task, flag)
    observations, actions, terminals = (arrays[key] for key in _REQUIRED)
    timeouts = arrays.get("timeouts", np.zeros(len(terminals), np.bool_))
    successors = arrays.get("next_observations")

    ant = task.domain == "antmaze"
    breaks = find_breaks(observations, successors, terminals | timeouts, ant=ant)
    if ant:
        check_maze(path, observations, breaks.unexplained, task, flag)
    horizons = np.zeros(len(terminals), np.bool_)
    if "timeouts" not in arrays and task.domain in ("locomotion", "antmaze"):
        horizons = horizon_ends(terminals | breaks.jumps, task.horizon)
        horizons[-1] = False
    pieces = cut(terminals, timeouts | horizons, breaks.jumps, breaks.stored)
    if len(pieces.rows) == 0:
        raise DataError(f"{path}: no episode has a transition with a known successor left; check that the file is whole")

    if len(terminals) > 1 and (terminals | timeouts).all():
        raise DataError(f"{path}: every row is flagged as the end of an episode; flag an episode's last row alone")
    rows = pieces.rows
    actions = to_unit(actions, task)
    next_observations, known = _successors(observations, successors, breaks.stored, pieces)
    outside = (np.abs(actions) > 1.0).any(axis=1)
    return Dataset(
        task=task.name,
        source=str(path),
        digest=digest,
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
            horizons=int(horizons.sum()),
            gaps=int((breaks.jumps & ~(terminals | timeouts)).sum()),
        ),
    )


def _successors(
    observations: NDArray[np.float32], successors: NDArray[np.float32] | None, stored: NDArray[np.bool_], pieces: Cut
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The successor of each kept row, and whether the file tells it: the row itself where it does not."""
    known = np.ones(len(pieces.rows), np.bool_)
    last = pieces.offsets[1:] - 1
    known[last] = stored[pieces.rows[last]] | [end != "terminal" for end in pieces.ends]
    if successors is None:
        return observations[pieces.rows + known], known
    return np.where(known[:, None], successors[pieces.rows], observations[pieces.rows]), known


def _load(path: Path, task: Task, flag: str) -> dict[str, NDArray[Any]]:
    """The known keys of a file as checked arrays: float32, flags as booleans, N rows each."""
    if not path.exists():
        raise DataError(f"{path}: no such file; check {flag}")
    if not path.is_file():
        raise DataError(f"{path} is not a file; {flag} takes a file in D4RL's HDF5 schema")
    try:
        with h5py.File(path, "r") as file:
            _check_environment(path, file.attrs.get("environment"), task, flag)
            raw = {key: _read_key(path, file, key) for key in _KEYS if file.get(key, getlink=True) is not None}
    except BlockingIOError as error:
        raise DataError(f"{path} is locked by a program that writes it: wait until that has ended") from error
    except MemoryError as error:
        raise DataError(f"{path} does not fit into this machine's memory: use a larger machine, or a part of it") from error
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
    if isinstance(recorded, bytes):
        recorded = recorded.decode("utf-8", "replace")
    if not isinstance(recorded, str) or not task.environment:
        return
    theirs, ours = (re.sub(r"^.*[:/]|-v\d+$", "", name) for name in (recorded.split(",")[0], task.environment))
    if not (theirs.startswith(ours) or ours.startswith(theirs)):
        raise DataError(
            f"{path} was recorded in {recorded}, but task {task.name} is {task.environment}; check --task and {flag}"
        )


def require_own_data(path: Path, file: h5py.File, key: str) -> None:
    """Raise DataError where `key` leads out of the file: no digest covers what lies elsewhere, which may be any file.

    HDF5 has three ways: a link to another file, a virtual dataset made of others, and raw storage in an external file.
    """
    for depth, _ in enumerate(parts := key.split("/"), start=1):
        link = file.get("/".join(parts[:depth]), getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise DataError(f"{path}: {key} is a link to another file ({link.filename}): copy its data into this file")
    item = file[key]
    if isinstance(item, h5py.Dataset) and (item.is_virtual or item.external):
        where = item.external[0][0] if item.external else item.virtual_sources()[0].file_name
        raise DataError(f"{path}: {key} is stored outside of the file ({where}): copy its data into this file")


def _read_key(path: Path, file: Any, key: str) -> NDArray[Any]:
    require_own_data(path, file, key)
    item = file[key]
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
        raise DataError(f"{path}: {key} is not an array of numbers; the file does not follow D4RL's HDF5 schema")
    shape = item.shape
    if item.size and not item.id.get_storage_size():
        raise DataError(f"{path}: {key} declares {shape[0]:,} rows and holds none of them; write the file again")
    if item.nbytes > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):  # Linux would promise it, and kill the process
        raise MemoryError
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
