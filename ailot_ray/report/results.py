"""A store's finished trials as one Parquet table, a row a trial: for notebooks and other programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ailot_ray.files import replacing
from ailot_ray.report.record import Trial, load_trials

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
    "version": pa.string(),
    "commit": pa.string(),
    "dirty": pa.bool_(),
}
FIXED_COLUMNS: tuple[str, ...] = tuple(_COLUMNS)
"""The columns every results table has; the others are configuration paths such as ``reward.tau``."""


def tabulate(trials: Sequence[Trial]) -> pa.Table:
    """Make the results table of finished `trials`, one row each.

    The columns are FIXED_COLUMNS and then the configuration paths, null where a trial has none. `score` is the mean of
    `scores`, the final policy's episodes; `version`, `commit` and `dirty` tell which code made it. Where trials disagree on a
    path's type, integers widen to floats and any other mixture becomes strings.
    """
    rows = [
        {
            **{name: getattr(trial, name, None) for name in FIXED_COLUMNS},
            "scores": trial.scores[trial.final].tolist(),
            "returns": trial.returns[trial.final].tolist(),
            "steps": trial.trained,
            **{name: getattr(trial.code, name, None) for name in ("version", "commit", "dirty")},
        }
        for trial in trials
    ]
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in _COLUMNS.items()}
    # `task`, `data` and `method` are paths as well: the fixed columns already tell them.
    paths = dict.fromkeys(path for trial in trials for path in trial.config if path not in _COLUMNS)
    columns |= {path: _unified([trial.config.get(path) for trial in trials]) for path in paths}
    return pa.table(columns)


def collect(store: Path | str) -> pa.Table:
    """Make the results table of `store` (see `tabulate`); an empty one where nothing is finished. Raises StoreError."""
    return tabulate(load_trials(Path(store)))


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
