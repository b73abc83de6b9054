"""Experts out of a dataset of OGBench's, whose trajectories start anywhere and go on after they have reached the goal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.trajectories import Dataset, Expert

_SPREAD = 0.1
"""Share of a component's spread in the data below which a difference of it counts for little, where all starts agree in it."""


@dataclass(frozen=True)
class Stretch:
    """Rows of one trajectory, from a state like those in which the task starts to one at its goal."""

    number: int
    rows: slice
    merit: tuple[bool, float]
    """What is lowest in the best: whether the task never starts so, then the number of steps, or how unlike its start is."""

    def expert(self, dataset: Dataset) -> Expert:
        assert dataset.rewards is not None
        return Expert(
            observations=dataset.observations[self.rows],
            next_observations=dataset.next_observations[self.rows],
            origin=f"{dataset.source}, trajectory {self.number}",
            true_return=float(dataset.rewards[self.rows].sum(dtype=np.float64)),
        )


def stretches(dataset: Dataset) -> list[Stretch]:
    """The ways to the goal that trajectories take, best first.

    A state is like a start where it lies no further from the mean of the task's starts than they themselves do, counted in
    their spread in each component. From the last such state to the goal is a way; the shortest is the best. Ways that pass no
    such state come after, entered where they are nearest to the starts, the nearest first. Ties go to the earlier one.
    """
    far = _distance(dataset)
    found = []
    for number, rows in enumerate(dataset.rows()):
        reached, begin = dataset.terminals[rows], 0
        for goal in np.flatnonzero(reached).tolist():
            before = far[rows][begin:goal]
            begin = goal + 1
            if not len(before):
                continue
            near = np.flatnonzero(before <= 1.0)
            steps = len(before) - int(near[-1] if len(near) else np.argmin(before))
            merit = (not len(near), float(steps if len(near) else before.min()))
            found.append(Stretch(number, slice(rows.start + goal - steps, rows.start + goal + 1), merit))
    return sorted(found, key=lambda stretch: stretch.merit)


def _distance(dataset: Dataset) -> NDArray[np.float64]:
    """Root mean square distance of each state from the mean start, (N,); that of the starts themselves is about 1."""
    assert dataset.starts is not None
    starts = dataset.starts.astype(np.float64)
    spread = np.maximum(starts.std(axis=0), _SPREAD * dataset.observations.std(axis=0, dtype=np.float64))
    spread[spread == 0.0] = 1.0
    away = (dataset.observations - starts.mean(axis=0)) / spread
    return np.asarray(np.sqrt((away**2).mean(axis=1)))
