"""From a store's finished score artefacts to one table, a row a trial (a trial: one task, dataset, configuration and seed)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ailot_ray.errors import StoreError
from ailot_ray.files import replacing, sha256_of

_COLUMNS = {
    "task": pa.string(),
    "data": pa.string(),
    "data_digest": pa.string(),
    "substituted": pa.bool_(),
    "normalised": pa.bool_(),
    "dataset_score": pa.float64(),
    "method": pa.string(),
    "seed": pa.int64(),
    "score": pa.float64(),
    "scores": pa.list_(pa.float64()),
    "returns": pa.list_(pa.float64()),
    "steps": pa.int64(),
    "digest": pa.string(),
}
FIXED_COLUMNS: tuple[str, ...] = tuple(_COLUMNS)
"""The columns every results table has; the others are configuration paths such as ``reward.tau``."""


@dataclass(frozen=True)
class Trial:
    """One finished score artefact. N evaluation episodes, those of every snapshot together."""

    folder: Path
    digest: str
    """SHA-256 of what the scores depend on, in hexadecimal."""
    task: str
    data: str
    """Name of the data file, or ``built-in``."""
    data_digest: str
    substituted: bool
    normalised: bool
    """False where the task has no reference returns: then every score is the return itself."""
    dataset_score: float | None
    """Mean normalised score of the dataset's episodes; None where the file has no rewards."""
    method: str
    seed: int
    config: dict[str, Any]
    steps: NDArray[np.int64]
    """Gradient steps of the snapshot behind each episode, (N,)."""
    returns: NDArray[np.float64]
    """Undiscounted return of each episode, (N,)."""
    scores: NDArray[np.float64]
    """Normalised score of each episode, (N,)."""

    @property
    def final(self) -> NDArray[np.bool_]:
        """The episodes of the final policy, (N,)."""
        return np.asarray(self.steps == self.steps.max())

    @property
    def score(self) -> float:
        """The trial's score: the mean over the final policy's episodes."""
        return float(self.scores[self.final].mean())

    def curve(self) -> dict[int, float]:
        """Mean score of each snapshot by its gradient steps, in their order."""
        return {int(step): float(self.scores[self.steps == step].mean()) for step in np.unique(self.steps)}


def load_trials(store: Path) -> list[Trial]:
    """Read every finished score artefact of `store`, sorted by task, data, method and seed.

    A folder without a manifest is not finished and left out; a store that does not exist holds nothing. Raises StoreError for
    a damaged artefact.
    """
    finished = (path.parent for path in (store / "scores").glob("*/manifest.json"))
    # A name with a dot in front is another process's temporary folder.
    trials = [read_trial(folder) for folder in finished if not folder.name.startswith(".")]
    return sorted(trials, key=lambda trial: (trial.task, trial.data, trial.data_digest, trial.method, trial.seed, trial.digest))


def tabulate(trials: Sequence[Trial]) -> pa.Table:
    """Make the results table of `trials`, one row each.

    The columns are FIXED_COLUMNS and then the configuration paths, null where a trial has none. `score` is the mean of
    `scores`, the final policy's episodes. Where trials disagree on a path's type, integers widen to floats and any other
    mixture becomes strings.
    """
    rows = [
        {
            **{name: getattr(trial, name) for name in FIXED_COLUMNS if name not in ("scores", "returns", "steps")},
            "scores": trial.scores[trial.final].tolist(),
            "returns": trial.returns[trial.final].tolist(),
            "steps": int(trial.steps.max()),
        }
        for trial in trials
    ]
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in _COLUMNS.items()}
    # `task`, `data` and `method` are paths as well: the fixed columns already tell them.
    paths = dict.fromkeys(path for trial in trials for path in trial.config if path not in _COLUMNS)
    columns |= {path: _unified([trial.config.get(path) for trial in trials]) for path in paths}
    return pa.table(columns)


def collect(store: Path) -> pa.Table:
    """Make the results table of `store` (see `tabulate`); an empty one where nothing is finished. Raises StoreError."""
    return tabulate(load_trials(store))


def write_results(trials: Sequence[Trial], folder: Path) -> Path:
    """Write the results table to ``<folder>/results.parquet`` and return that path. Raises StoreError."""
    table = tabulate(trials)
    path = folder / "results.parquet"
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
    return path


def _unified(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int}:
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pa.array(texts, pa.string())


def read_trial(folder: Path) -> Trial:
    """Read one finished score artefact. Raises StoreError where it is damaged."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for name, digest in manifest["files"].items():
            if sha256_of(folder / name) != digest:
                raise _damaged(folder, f"{name} is not what was written")
        record = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
        data, score = record["data"], record["data"]["mean_score"]
        run = json.loads((folder / "run.json").read_text()) if (folder / "run.json").exists() else {}
        source = data.get("source") or run.get("sources", {}).get("data") or data["digest"][:8]
        episodes = pq.ParquetFile(folder / "episodes.parquet").read()
        if not len(episodes):
            raise _damaged(folder, "episodes.parquet holds no episode")
        return Trial(
            folder=folder,
            digest=str(manifest["digest"]),
            task=str(record["task"]),
            data=Path(source).name,
            data_digest=str(data["digest"]),
            substituted=bool(data["substituted"]),
            normalised=bool(record.get("normalised", True)),  # absent in stores of before there were such tasks
            dataset_score=None if score is None else float(score),
            method=str(record["method"]),
            seed=int(record["seed"]),
            config=dict(record["config"]),
            steps=episodes.column("step").to_numpy().astype(np.int64),
            returns=episodes.column("return").to_numpy().astype(np.float64),
            scores=episodes.column("score").to_numpy().astype(np.float64),
        )
    except KeyError as error:
        raise _damaged(folder, f"{error.args[0]} is missing") from error
    except OSError as error:
        raise _damaged(folder, f"{Path(error.filename or folder).name}: {error.strerror or 'unreadable'}") from error
    except (ValueError, TypeError, AttributeError, pa.ArrowException) as error:
        raise _damaged(folder, str(error).partition("\n")[0]) from error


def _damaged(folder: Path, cause: str) -> StoreError:
    return StoreError(f"artefact {folder} is damaged ({cause}): delete the folder and run the same command again")
