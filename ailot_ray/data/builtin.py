"""The built-in dataset: the training history of a PPO agent on Hopper and one expert episode, as Parquet inside the package.

Layout of both files: one row a state, episodes one after another, T + 1 rows for an episode of T transitions, so that
no state is stored twice. Columns: `episode` (int32), `observation` (11 floats), `action` (3 floats) and `reward`, both
null on the last state of an episode, and `end` ("terminal" or "timeout"), null on all others.
``experiments/tools/make_builtin_data.py`` makes them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ailot_ray.data.trajectories import Dataset, End, Expert, LoadReport
from ailot_ray.errors import DataError
from ailot_ray.files import sha256_of
from ailot_ray.tasks import Task

FOLDER = Path(__file__).parent / "builtin"
REPLAY_NAME, EXPERT_NAME = "hopper.parquet", "expert.parquet"
SOURCE = "built-in"


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
