"""Small files in D4RL's schema, made of episodes whose every state is unique, so that a wrong successor shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from ailot_ray.tasks import Task, get_task

HOPPER = get_task("hopper-medium-v2")
ANTMAZE = get_task("antmaze-umaze-v0")
SHARED = (Path(__file__).parents[2] / "../shared/data").resolve()
"""Development data beside the repository; tests that need it skip where it is absent."""

Arrays = dict[str, NDArray[Any]]


def episodes(lengths: Sequence[int], ends: Sequence[str], task: Task = HOPPER, seed: int = 0) -> Arrays:
    """D4RL arrays of episodes that end in "terminal", "timeout" or "none" (no flag)."""
    rng = np.random.default_rng(seed)
    total = sum(lengths)
    walks = [np.cumsum(rng.normal(scale=0.05, size=(length + 1, task.observation_size)), axis=0) for length in lengths]
    last = np.cumsum(lengths) - 1
    flags = {name: np.isin(np.arange(total), last[[end == name for end in ends]]) for name in ("terminal", "timeout")}
    return {
        "observations": np.concatenate([walk[:-1] for walk in walks]).astype(np.float32),
        "next_observations": np.concatenate([walk[1:] for walk in walks]).astype(np.float32),
        "actions": rng.uniform(-1, 1, size=(total, task.action_size)).astype(np.float32),
        "rewards": rng.normal(size=total).astype(np.float32),
        "terminals": flags["terminal"],
        "timeouts": flags["timeout"],
    }


def write_hdf5(path: Path, arrays: Arrays, without: Sequence[str] = (), environment: str | None = None) -> Path:
    with h5py.File(path, "w") as file:
        if environment is not None:
            file.attrs["environment"] = environment
        for key, array in arrays.items():
            if key not in without:
                file.create_dataset(key, data=array)
    return path


def shared(name: str) -> Path:
    """A development file; skips the test where it is absent."""
    path = SHARED / f"{name}.hdf5"
    if not path.exists():
        pytest.skip(f"needs the development file {name}.hdf5")
    return path
