"""Small files as OGBench publishes them: one way to the goal, one from half way, and one trajectory that never gets there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
POINT = "pointmaze-medium-navigate-singletask-task3-v0"
CUBE = "cube-single-play-singletask-task1-v0"
SCENE = "scene-play-singletask-task1-v0"
WAY = np.array([[8, 16], [8, 20], [4, 20], [0, 20], [0, 12], [4, 12]], float)
"""Corners between the start of task 3 and its goal, in metres."""
LENGTHS = (71, 36, 21)
"""States in each trajectory; the first two end in five at the goal."""


def needs_ogbench() -> None:
    """Skip the test where OGBench is not installed."""
    for name in ("ogbench", "dm_control"):
        pytest.importorskip(name, reason="needs OGBench: pip install --no-deps -r requirements-ogbench.txt")


def made(task: str, seed: int = 0) -> Arrays:
    """The arrays of a file for `task`, one of the three above."""
    rng = np.random.default_rng(seed)
    whole, half, never = LENGTHS
    ends = np.cumsum(LENGTHS) - 1
    part = np.concatenate([np.linspace(0, 1, whole), np.linspace(0.5, 1, half), np.zeros(never)])
    part = np.clip(part * 1.08, 0.0, 1.0)  # there before the trajectory ends
    rows = len(part)
    if task == POINT:
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(WAY, axis=0), axis=1))])
        qpos = np.stack([np.interp(part * along[-1], along, axis) for axis in WAY.T], axis=1)
        qpos += rng.uniform(-0.05, 0.05, qpos.shape)
        observations, actions = qpos, rng.uniform(-1, 1, (rows, 2))
    else:
        qpos = np.zeros((rows, 21 if task == CUBE else 25))
        qpos[:, 14:17] = [0.425, 0.1, 0.02] if task == CUBE else [0.35, 0.05, 0.02]
        if task == CUBE:
            qpos[:, 15] -= 0.2 * part
        else:
            qpos[:, 23:] = part[:, None] * [-0.16, 0.2]
        observations = np.concatenate([qpos, rng.normal(0, 0.1, (rows, 7 if task == CUBE else 15))], axis=1)
        actions = rng.uniform(-1, 1, (rows, 5))
    arrays = {"observations": observations, "actions": actions, "qpos": qpos, "qvel": np.zeros_like(qpos)}
    arrays = {key: array.astype(np.float32) for key, array in arrays.items()}
    buttons: Arrays = {"button_states": np.ones((rows, 2), np.int64)} if task == SCENE else {}
    return arrays | buttons | {"terminals": np.isin(np.arange(rows), ends)}


def write_npz(path: Path, arrays: Arrays) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return path
