"""Write a relabelled dataset in D4RL's HDF5 schema, for other offline RL code."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.scaling import from_unit
from ailot_ray.data.trajectories import Dataset
from ailot_ray.errors import DataError
from ailot_ray.files import replacing
from ailot_ray.tasks import get_task


def export_d4rl(
    dataset: Dataset, rewards: NDArray[np.float32], path: Path, *, provenance: str = "{}", overwrite: bool = False
) -> None:
    """Write `dataset` with `rewards` (N,) in place of its own.

    Keys: observations, actions (in the environment's own units), rewards, next_observations, terminals, timeouts. `timeouts`
    marks the last row of every trajectory that ended in no terminal state, whatever its reason, so that any reader cuts at the
    same rows. An unknown successor (before a terminal only) is written as the state itself. The root attribute `provenance`
    takes the JSON text given. The file appears complete or not at all.

    Raises DataError where `path` exists (and `overwrite` is not set) and for rewards that are not finite, StoreError where it
    cannot be written, ValueError where the rewards are not (N,).
    """
    if rewards.shape != (len(dataset),):
        raise ValueError(f"rewards have shape {rewards.shape}, but the dataset has {len(dataset)} transitions")
    if not np.isfinite(rewards).all():
        raise DataError(f"{path}: {int((~np.isfinite(rewards)).sum())} rewards are NaN or infinite; not exported")
    require_free(path, overwrite)
    timeouts = np.zeros(len(dataset), np.bool_)
    timeouts[dataset.offsets[1:] - 1] = True
    columns = {
        "observations": dataset.observations,
        "actions": from_unit(dataset.actions, get_task(dataset.task)),
        "rewards": rewards.astype(np.float32),
        "next_observations": dataset.next_observations,
        "terminals": dataset.terminals,
        "timeouts": timeouts & ~dataset.terminals,
    }
    write_d4rl(path, columns, {"task": dataset.task, "provenance": provenance})


def require_free(path: Path, overwrite: bool) -> None:
    """Raise DataError where a file is there that must not be replaced."""
    if path.exists() and not overwrite:
        raise DataError(f"{path} exists already; choose another name or pass --overwrite")


def write_d4rl(path: Path, columns: Mapping[str, NDArray[Any]], attributes: Mapping[str, str]) -> None:
    """Write gzipped columns of N rows and root attributes; the same ones give the same bytes. Raises StoreError.

    The file appears complete or not at all.
    """
    image = io.BytesIO()  # made in memory: a disk that fills up while HDF5 writes to it takes the process down
    with h5py.File(image, "w") as file:
        for key, column in columns.items():
            file.create_dataset(key, data=column, compression="gzip")
        for name, text in attributes.items():
            file.attrs[name] = text
    with replacing(path) as temporary:
        temporary.write_bytes(image.getbuffer())
