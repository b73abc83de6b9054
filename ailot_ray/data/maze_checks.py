"""Whether recorded positions can be those of an ant in the task's maze."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.cutting import ANT_STEP
from ailot_ray.data.trajectories import Dataset
from ailot_ray.errors import DataError
from ailot_ray.mazes import MAZES
from ailot_ray.tasks import Task

_IN_WALLS, _JUMPING = 0.01, 0.05
"""Shares of rows above which a file is refused: D4RL's -v0 files do have hidden resets, one in some hundred steps."""


def check_maze(path: Path, observations: NDArray[np.float32], jumps: NDArray[np.bool_], task: Task, flag: str) -> None:
    """Refuse `observations` (N, o) that lie in walls, or that jump, (N,), too often to be hidden ends of episodes.

    `jumps` are those that no flag explains. Raises DataError.
    """
    maze = MAZES.get(task.environment)
    if maze is None:
        return
    walled = ~maze.is_free(observations[:, :2])
    if walled.mean() > _IN_WALLS:
        row = int(np.flatnonzero(walled)[0])
        raise DataError(
            f"{path}: {walled.mean():.0%} of the positions lie in walls of {task.environment}, the first in row {row}; it is "
            f"of another maze or frame: check --task and {flag}"
        )
    if jumps.mean() > _JUMPING:
        row = int(np.flatnonzero(jumps)[0])
        raise DataError(
            f"{path}: the ant jumps in {jumps.mean():.0%} of the steps, first from row {row} to the next; rows must follow one "
            "another by 0.1 s, and ends of episodes be flagged in terminals or timeouts"
        )


def check_expert_path(path: Path, expert: Dataset) -> None:
    """Refuse an expert whose trajectory jumps: where no flag says that it ends, or from a state to its own successor.

    Raises DataError.
    """
    if "gap" in expert.ends:
        raise DataError(
            f"{path}: expert trajectory {expert.ends.index('gap')} jumps at its end, which no flag marks; set terminals or "
            "timeouts there, or give one whole trajectory with --expert FILE"
        )
    moved = np.linalg.norm(expert.next_observations[:, :2] - expert.observations[:, :2], axis=1)
    if (moved > ANT_STEP).any():
        row = int(np.argmax(moved > ANT_STEP))
        number = int(np.searchsorted(expert.offsets, row, "right")) - 1
        raise DataError(
            f"{path}: expert trajectory {number} moves by {moved[row]:.1f} m in its step {row - int(expert.offsets[number])}, "
            f"and an ant by {ANT_STEP} m at most; give a whole trajectory, step by step, with --expert FILE"
        )
