"""What lies beside a trial's scores: its rewards, the diagnosis of its alignment (`ailot_ray.pipeline.diagnose`), its video."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ailot_ray.errors import StoreError
from ailot_ray.files import own_file
from ailot_ray.records import Diagnosis, DrawnTrajectory, Manifest, read_record
from ailot_ray.report.record import Trial
from ailot_ray.store import MANIFEST, file_name_of

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Portrait:
    """The files of one diagnosis."""

    lines: dict[str, DrawnTrajectory]
    """The drawn trajectories, by name."""
    environment: str
    steps: pa.Table
    isometry: pa.Table
    coupling: pa.Table | None
    places: pa.Table | None

    def steps_of(self, name: str) -> Columns:
        """Step, reward and place of one drawn trajectory, (T,) each."""
        return _where(self.steps, "name", name)

    def isometry_of(self, space: str) -> Columns:
        """Horizon, and quartiles of the distance there, of one space."""
        return _where(self.isometry, "space", space)

    def coupling_of(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Middles of the expert's bins (C,) and of the trajectory's (R,), and each row's shares (R, C)."""
        columns = _where(self.coupling, "name", name)
        rows, first = np.unique(columns["row"], return_index=True)
        y = (rows + columns["row_end"][first]) / 2
        across, seen = np.unique(columns["column"], return_index=True)
        x = (across + columns["column_end"][seen]) / 2
        mass = columns["mass"].reshape(len(rows), len(across))
        return x, y, mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-300)

    def label(self, name: str) -> str:
        """A drawn trajectory, its number and its true return where it is known."""
        line = self.lines[name]
        number = "" if line.trajectory is None else f" (trajectory {line.trajectory})"
        return f"{name}{number}" + ("" if line.true_return is None else f", true return {line.true_return:,.0f}")


def rewards_folder(run: Trial) -> Path | None:
    """Where the trial's rewards lie; None where it has none, or they are gone."""
    folder = run.root / "rewards" / run.artefacts.get("rewards", "none")
    return folder if own_file(run.root, folder / MANIFEST) else None


def portrait_of(run: Trial) -> Path | None:
    """The folder of the newest diagnosis of the trial's rewards; None where none was made."""
    rewards = rewards_folder(run)
    if rewards is None:
        return None
    with contextlib.suppress(StoreError, ValueError, KeyError, TypeError):  # of a foreign shape, which is no portrait
        digest = read_record(rewards / MANIFEST, Manifest).digest
        found = (run.root / "diagnostics").glob(f"{file_name_of(run.task)}-*/{MANIFEST}")
        keys = {path.parent: read_record(path, Manifest).key for path in found}
        drawn = [folder for folder, key in keys.items() if key["rewards"] == digest]
        return max(drawn, key=lambda folder: int(keys[folder]["version"]), default=None)
    return None


def load_portrait(run: Trial) -> Portrait | None:
    """The diagnosis of the trial's rewards; None where none was made, or it cannot be read."""
    folder = portrait_of(run)
    with contextlib.suppress(StoreError, OSError, ValueError, KeyError, pa.ArrowException):
        return None if folder is None else _read(folder)
    return None


def load_rewards(run: Trial) -> tuple[NDArray[np.float64], bool] | None:
    """The trial's rewards (N,), as shares of α before the domain's rescaling (True), or the dataset's own rescaled (False)."""
    folder = rewards_folder(run)
    with contextlib.suppress(OSError, pa.ArrowException):
        if folder is not None:
            file = pq.ParquetFile(folder / "rewards.parquet")
            own = "squashed" in file.schema_arrow.names
            values = file.read(columns=["squashed" if own else "reward"]).column(0).to_numpy().astype(np.float64)
            return (values / float(run.config.get("reward.alpha") or 1.0) if own else values), own
    return None


def video_path(store: Path, scores: Path) -> Path:
    """Where the video of a policy is looked for, by the folder of its scores."""
    return store / "videos" / f"{scores.name}.mp4"


def video_of(run: Trial) -> Path | None:
    """The film of the trial's policy, where there is one."""
    return own_file(run.root, video_path(run.root, run.folder)) if run.done else None


def _read(folder: Path) -> Portrait:
    tables = {name: _table(folder / f"{name}.parquet") for name in ("steps", "isometry", "coupling", "places")}
    about = read_record(folder / "diagnostics.json", Diagnosis)
    lines: dict[str, DrawnTrajectory] = {line.name: line for line in about.lines}
    steps, isometry = tables["steps"], tables["isometry"]
    if steps is None or isometry is None:
        raise ValueError(f"{folder} is not whole")
    return Portrait(lines, about.environment, steps, isometry, tables["coupling"], tables["places"])


def _table(path: Path) -> pa.Table | None:
    return pq.ParquetFile(path).read() if path.exists() else None


def _where(table: pa.Table, column: str, name: str) -> Columns:
    wanted = np.array(table[column].to_pylist(), dtype=object) == name
    return {field: table[field].to_numpy()[wanted] for field in table.column_names if field != column}
