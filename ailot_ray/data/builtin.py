"""The built-in dataset: a Soft Actor-Critic's replay on Hopper and one expert episode, as Parquet inside the package.

Layout of both files: one row a state, episodes one after another, T + 1 rows for an episode of T transitions, so that
no state is stored twice. Columns: `episode` (int32), `observation` (11 floats), `action` (3 floats) and `reward`, both
null on the last state of an episode, and `end` ("terminal" or "timeout"), null on all others.
``experiments/tools/make_builtin_data.py`` makes them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ailot_ray.data.cutting import successor_jumps
from ailot_ray.data.trajectories import Dataset, End, Expert, LoadReport
from ailot_ray.errors import DataError
from ailot_ray.files import replacing, sha256_of
from ailot_ray.tasks import Task

FOLDER = Path(__file__).parent / "builtin"
REPLAY_NAME, EXPERT_NAME = "hopper.parquet", "expert.parquet"
SOURCE = "built-in"

Arrays = Mapping[str, NDArray[Any]]
"""Whole episodes in D4RL's keys: observations, actions, rewards, terminals, timeouts, next_observations."""


@dataclass(frozen=True)
class _Episodes:
    """A file's transitions: N rows in E episodes, with E + 1 offsets and E ends."""

    observations: NDArray[np.float32]
    next_observations: NDArray[np.float32]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    offsets: NDArray[np.int64]
    ends: tuple[End, ...]


def read_builtin(task: Task, folder: Path = FOLDER) -> Dataset:
    """The built-in replay as a dataset of `task`. Raises DataError where the package has lost the file."""
    path = folder / REPLAY_NAME
    episodes = _read_table(path)
    terminals = np.zeros(len(episodes.rewards), np.bool_)
    terminals[episodes.offsets[1:] - 1] = [end == "terminal" for end in episodes.ends]
    return Dataset(
        task=task.name,
        source=SOURCE,
        digest=sha256_of(path),
        substituted=False,
        observations=episodes.observations,
        actions=episodes.actions,
        next_observations=episodes.next_observations,
        rewards=episodes.rewards,
        terminals=terminals,
        successor_known=np.ones(len(terminals), np.bool_),
        offsets=episodes.offsets,
        ends=episodes.ends,
        notes=LoadReport(len(terminals), largest_action=float(np.abs(episodes.actions).max())),
    )


def builtin_expert(folder: Path = FOLDER) -> Expert:
    """The built-in expert episode. Raises DataError where the package has lost the file."""
    episodes = _read_table(folder / EXPERT_NAME)
    true_return = float(episodes.rewards.sum(dtype=np.float64))
    return Expert(episodes.observations, episodes.next_observations, f"{SOURCE} expert", true_return)


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


def _read_table(path: Path) -> _Episodes:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: the built-in dataset is missing or damaged; install ailot_ray again") from error
    states = _matrix(table["observation"])
    end = table["end"].to_pylist()
    final = np.array([value is not None for value in end])
    step = np.flatnonzero(~final)
    lengths = np.diff(np.flatnonzero(final), prepend=-1) - 1
    return _Episodes(
        observations=states[step],
        next_observations=states[step + 1],
        actions=_matrix(table["action"]),
        rewards=table["reward"].drop_null().to_numpy(),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        ends=tuple(value for value in end if value is not None),
    )


def _matrix(column: Any) -> NDArray[np.float32]:
    """The rows of a fixed-size-list column that are not null, (rows, size)."""
    flat: NDArray[np.float32] = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, column.type.list_size)
