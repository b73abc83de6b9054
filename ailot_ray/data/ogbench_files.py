"""Read a file of OGBench's (NPZ) for one of its single tasks.

Keys, all of N rows, one a state: `observations` (N, o), `actions` (N, a), `terminals` (N,), `qpos` (N, q), and for tasks with
buttons `button_states` (N, b); `qvel` and all else is ignored. `terminals` marks the last state of a trajectory, whose action
leads nowhere, so that T + 1 rows are T transitions. Neither rewards nor the goal are in the file: OGBench's own code finds them
in `qpos`, for the task that is asked for.
"""

import importlib
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.trajectories import Dataset, End, LoadReport
from ailot_ray.errors import DataError
from ailot_ray.files import file_state, sha256_of
from ailot_ray.ogbench_tasks import global_draws, make_original
from ailot_ray.tasks import Task

_STARTS = 16
"""Resets that tell where the episodes of a task start."""
_IN_WALLS = 0.01
"""Share of positions in walls from which a file is of another maze."""
Arrays = dict[str, NDArray[Any]]


def read_ogbench(path: Path, task: Task, *, substituted: bool, flag: str = "--data") -> Dataset:
    """Read `path` for `task`: OGBench's transitions, rewards and masks, whole trajectories, with `terminals` at the goal.

    A trajectory goes on after it has reached the goal, as in OGBench; learners take no value from behind it. `flag` is the
    flag that error messages should name.

    Raises DataError, one line, for a file that is missing, truncated, no NPZ, of pickled objects, of another task, maze or
    version, for missing keys, shapes that do not fit, NaN or infinite values; and where OGBench is not installed.
    """
    before = file_state(path)
    arrays = _load(path, task, flag)
    digest = sha256_of(path)
    if file_state(path) != before:
        raise DataError(f"{path} was changed while it was read: leave it alone, and run the same command again")
    last = np.flatnonzero(arrays["terminals"])
    rows = np.flatnonzero(~arrays["terminals"])
    kept: Arrays = {key: arrays[key][rows] for key in ("qpos", "button_states") if key in arrays}
    rewards, reached, starts = _ask_simulator(path, task, kept, flag)
    actions = arrays["actions"][rows]
    return Dataset(
        task=task.name,
        source=str(path),
        digest=digest,
        substituted=substituted,
        observations=arrays["observations"][rows],
        actions=np.clip(actions, -1.0, 1.0),
        next_observations=arrays["observations"][rows + 1],
        rewards=rewards,
        terminals=reached,
        successor_known=np.ones(len(rows), np.bool_),
        offsets=np.concatenate([[0], last - np.arange(len(last))]).astype(np.int64),
        ends=tuple[End, ...](["timeout"] * len(last)),
        notes=LoadReport(
            transitions_in_file=len(arrays["terminals"]),
            dropped=len(last),
            clipped=int((np.abs(actions) > 1.0).any(axis=1).sum()),
            largest_action=float(np.abs(actions).max()),
        ),
        starts=starts,
    )


def _load(path: Path, task: Task, flag: str) -> Arrays:
    """The known keys of a file as checked arrays, N rows each; `qpos` and `button_states` in the file's own type."""
    if not path.exists():
        raise DataError(f"{path}: no such file; check {flag}")
    if not path.is_file():
        raise DataError(f"{path} is not a file; {flag} takes a file of OGBench's (.npz)")
    required = ["observations", "actions", "terminals", "qpos"]
    required += ["button_states"] if task.environment.startswith(("scene", "puzzle")) else []
    try:
        with zipfile.ZipFile(path) as archive:
            held = {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if sum(held.get(key, 0) for key in required) > memory:
            raise MemoryError
        if missing := [key for key in required if key not in held]:
            raise DataError(
                f"{path} has no key {' and no key '.join(missing)}: it is not of OGBench's current files for {task.name}; "
                f"fetch it again or check {flag}"
            )
        with np.load(path, allow_pickle=False) as file:
            raw = {key: np.asarray(file[key]) for key in required}
    except MemoryError as error:
        raise DataError(f"{path} does not fit into this machine's memory: use a larger machine, or a part of it") from error
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"{path} cannot be read as NPZ, it is truncated or in another format ({reason}); fetch it again or check {flag}"
        ) from error
    _check_shapes(path, raw, task, flag)
    for key, array in raw.items():
        with np.errstate(over="ignore"):
            finite = np.isfinite(array.astype(np.float32)).reshape(len(array), -1).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise DataError(f"{path}: {key} has NaN or infinite values, the first in row {row}; remove those episodes")
    return raw | {
        "observations": np.ascontiguousarray(raw["observations"], np.float32),
        "actions": np.ascontiguousarray(raw["actions"], np.float32),
        "terminals": _flags(path, raw["terminals"]),
    }


def _check_shapes(path: Path, raw: Arrays, task: Task, flag: str) -> None:
    length = raw["terminals"].size
    for key, array in raw.items():
        if array.dtype.kind not in "fiub" or array.ndim != (1 if key == "terminals" else 2):
            raise DataError(f"{path}: {key} is of shape {array.shape} and type {array.dtype}, which OGBench's never are")
        if len(array) != length:
            raise DataError(f"{path}: {key} has {len(array)} rows, but terminals has {length}; the file is damaged")
    for key, size in (("observations", task.observation_size), ("actions", task.action_size)):
        if (found := raw[key].shape[1]) != size:
            raise DataError(f"{path}: {key} have size {found}, but task {task.name} has {size}; check --task and {flag}")
    if not length:
        raise DataError(f"{path} is empty, it holds no transition; check {flag}")


def _flags(path: Path, terminals: NDArray[Any]) -> NDArray[np.bool_]:
    """The flags as booleans, where they mark the last state of each trajectory."""
    if not np.isin(terminals, (0, 1)).all():
        raise DataError(f"{path}: terminals has values other than 0 and 1, but it must be a flag")
    flags = terminals.astype(np.bool_)
    if not flags[-1]:
        raise DataError(f"{path}: the last row is no trajectory's end in terminals: rows are missing, fetch the file again")
    if flags[0] or (flags[1:] & flags[:-1]).any():
        row = int(np.argmax(flags[1:] & flags[:-1])) if not flags[0] else 0
        raise DataError(
            f"{path}: terminals ends a trajectory without a step in row {row + (not flags[0])}: give the file as OGBench "
            "publishes it, not what its reader makes of it"
        )
    return flags


def _ask_simulator(
    path: Path, task: Task, kept: Arrays, flag: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """Rewards (n,) and whether the goal is reached (n,), by OGBench's own code; and states in which episodes start, (R, o)."""
    env = make_original(task.environment, DataError, f"{path}: reading it for task {task.name}")
    draws = np.random.RandomState(0)
    env.unwrapped.action_space.seed(0)
    try:
        with global_draws(draws):
            starts = np.array([env.reset(seed=seed)[0] for seed in range(_STARTS)], np.float32)
            _check_body(path, task, env.unwrapped, kept["qpos"], flag)
            labelled = dict(kept)
            importlib.import_module("ogbench.relabel_utils").relabel_dataset(task.environment, env, labelled)
    finally:
        env.close()
    return labelled["rewards"].astype(np.float32), labelled["masks"] == 0.0, starts


def _check_body(path: Path, task: Task, simulator: Any, qpos: NDArray[Any], flag: str) -> None:
    """Refuse a file of another body or maze, which may have observations of the same size."""
    if qpos.shape[1] != (size := simulator.model.nq):
        raise DataError(f"{path}: qpos have size {qpos.shape[1]}, but task {task.name} has {size}; check --task and {flag}")
    walls = getattr(simulator, "maze_map", None)
    if walls is None:
        return
    unit, offset = simulator._maze_unit, np.array([simulator._offset_x, simulator._offset_y])
    cells = np.floor((qpos[:, :2] + offset) / unit + 0.5).astype(np.int64)
    inside = ((cells >= 0) & (cells < walls.shape[::-1])).all(axis=1)
    cells = np.clip(cells, 0, np.array(walls.shape[::-1]) - 1)
    walled = ~inside | (walls[cells[:, 1], cells[:, 0]] == 1)
    if walled.mean() > _IN_WALLS:
        raise DataError(
            f"{path}: {walled.mean():.0%} of the positions lie in walls of {task.environment}; it is of another maze: check "
            f"--task and {flag}"
        )
