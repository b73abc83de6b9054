"""Writes the files of the built-in dataset, which :mod:`ailot_ray.data.builtin` reads and describes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ailot_ray.data.builtin import EXPERT_NAME, FOLDER, REPLAY_NAME
from ailot_ray.data.cutting import successor_jumps
from ailot_ray.errors import DataError
from ailot_ray.files import replacing

Arrays = Mapping[str, NDArray[Any]]
"""Whole episodes in D4RL's keys: observations, actions, rewards, terminals, timeouts, next_observations."""


def choose_episodes(ends: NDArray[np.bool_], *, transitions: int, until: int, seed: int) -> NDArray[np.int64]:
    """Rows of about `transitions` transitions in whole episodes, spread evenly over the first `until` rows.

    `ends` (N,) marks the last row of each episode; an episode still running at row `until` is left out. Systematic sampling:
    of f·E episodes every 1/f-th is kept from a random start, so long and short ones have the same chance.
    """
    last = np.flatnonzero(ends[:until])
    if len(last) == 0:
        raise DataError(f"no episode ends within the first {until} steps; raise --until")
    share = min(1.0, transitions / (last[-1] + 1))
    phase = np.random.default_rng(seed).random()
    marks = np.floor(np.arange(len(last) + 1) * share + phase)
    kept = np.repeat(np.diff(marks) > 0, np.diff(last, prepend=-1))
    return np.flatnonzero(kept)


def write_builtin(replay: Arrays, expert: Arrays, provenance: Mapping[str, Any], folder: Path = FOLDER) -> None:
    """Write both files; the same arrays give the same bytes.

    `provenance` goes into the files' metadata as JSON. Raises DataError where an episode is unfinished, where a successor
    is not the next row of its episode, and where the expert is not exactly one episode.
    """
    episodes = int((expert["terminals"] | expert["timeouts"]).sum())
    if episodes != 1:
        raise DataError(f"the expert has {episodes} episodes, but it must be exactly one")
    folder.mkdir(parents=True, exist_ok=True)
    _write_table(replay, provenance, folder / REPLAY_NAME)
    _write_table(expert, provenance, folder / EXPERT_NAME)


def _write_table(arrays: Arrays, provenance: Mapping[str, Any], path: Path) -> None:
    observations, next_observations = arrays["observations"], arrays["next_observations"]
    boundary = arrays["terminals"] | arrays["timeouts"]
    if not boundary[-1]:
        raise DataError(f"{path.name}: the last episode is unfinished")
    broken = np.flatnonzero(successor_jumps(observations, next_observations) & ~boundary)
    if len(broken):
        raise DataError(f"{path.name}: the successor of row {broken[0]} is not the next row of its episode")

    last = np.flatnonzero(boundary)
    after = last + 1  # each final state goes in behind its episode's last row
    states = np.insert(observations, after, next_observations[last], axis=0)
    final = np.insert(np.zeros(len(boundary), np.bool_), after, True)
    ends: list[str | None] = [None] * len(states)
    for row, terminal in zip(np.flatnonzero(final), arrays["terminals"][last], strict=True):
        ends[row] = "terminal" if terminal else "timeout"
    episode = np.concatenate([[0], np.cumsum(final)[:-1]]).astype(np.int32)
    rewards = np.insert(arrays["rewards"], after, 0.0)
    table = pa.table(
        {
            "episode": pa.array(episode),
            "observation": _vectors(states, np.zeros(len(states), np.bool_)),
            "action": _vectors(np.insert(arrays["actions"], after, 0.0, axis=0), final),
            "reward": pa.array(rewards, pa.float32(), mask=final),
            "end": pa.array(ends, pa.string()),
        }
    ).replace_schema_metadata({"provenance": json.dumps(provenance, sort_keys=True)})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=19, use_dictionary=["end"])


def _vectors(rows: NDArray[np.float32], null: NDArray[np.bool_]) -> Any:
    """An Arrow array of fixed-size lists, one a row, null where `null` says so."""
    flat = pa.array(np.ascontiguousarray(rows, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1], mask=pa.array(null))
