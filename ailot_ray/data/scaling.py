"""Actions between an environment's own units, in which files hold them, and ±1, in which policies work."""

import numpy as np
from numpy.typing import NDArray

from ailot_ray.tasks import Task


def to_unit(actions: NDArray[np.float32], task: Task) -> NDArray[np.float32]:
    """Actions (N, a) in ±1; those of a task without bounds of its own are so already and come back as they are."""
    if task.action_low is None or task.action_high is None:
        return actions
    low, high = np.array(task.action_low), np.array(task.action_high)
    return np.asarray(2.0 * (actions - low) / (high - low) - 1.0, np.float32)


def from_unit(actions: NDArray[np.float32], task: Task) -> NDArray[np.float32]:
    """The inverse of `to_unit`, to float32."""
    if task.action_low is None or task.action_high is None:
        return actions
    low, high = np.array(task.action_low), np.array(task.action_high)
    return np.asarray(low + (actions.astype(np.float64) + 1.0) * (high - low) / 2.0, np.float32)
