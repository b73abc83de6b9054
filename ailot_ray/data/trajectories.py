"""A dataset cut into trajectories: flat arrays of transitions and the rows at which each trajectory starts."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ailot_ray.errors import DataError
from ailot_ray.parts import Parts
from ailot_ray.tasks import Task

End = Literal["terminal", "timeout", "gap", "file"]
"""Why a trajectory ended: a terminal state, a time limit, a hidden jump to another state, or the end of the file."""

CLIPPED_SHARE = 0.01
"""Share of clipped transitions from which it is said wherever the data are read: D4RL's own files stay far below."""

GAP_SHARE = 0.02
"""Share of rows with an unmarked end from which it is said: D4RL's joined files have one in many thousands."""


@dataclass(frozen=True)
class LoadReport:
    """What had to be mended while reading a file; `data inspect` prints it."""

    transitions_in_file: int
    dropped: int = 0
    """Last transitions without a successor (timed-out, cut or jumping episodes of a file without next_observations)."""
    clipped: int = 0
    """Transitions with an action component outside ±1, clipped."""
    largest_action: float = 1.0
    vanished: int = 0
    """Episodes of a single transition that went with it when it was dropped."""
    horizons: int = 0
    """Episodes cut at the task's horizon, in a file without timeouts."""
    gaps: int = 0
    """Rows with no flag whose stored successor is not the next row: hidden ends of episodes."""
    parts: Parts = ()
    """What a Minari dataset's observations are put together of, in this order, where they are a Dict."""

    def warnings(self) -> list[str]:
        """What was mended that may not be what the file means: a sentence each."""
        told = []
        if self.horizons:
            told.append(f"the file has no `timeouts`: {self.horizons:,} episodes were cut at the task's horizon")
        if self.gaps / max(self.transitions_in_file, 1) >= GAP_SHARE:
            told.append(
                f"after {self.gaps:,} of {self.transitions_in_file:,} rows the stored successor is not the next row, and "
                "no flag says so: rows are shuffled or next_observations shifted, unless episodes are that short"
            )
        share = self.clipped / max(self.transitions_in_file, 1)
        if share >= CLIPPED_SHARE:
            told.append(
                f"{share:.0%} of the actions lie outside the environment's bounds (largest {self.largest_action:.3g} times the "
                "bound) and were clipped: check that the file's actions are in the environment's units"
            )
        return told


@dataclass(frozen=True)
class Dataset:
    """Transitions of one file, in the file's order, cut into trajectories.

    Shapes: N transitions, E trajectories, o and a the sizes of an observation and an action. Trajectory e holds the rows
    ``offsets[e]:offsets[e + 1]``. `rewards` is None where the file has none; no part of the method reads it except the choice
    of the expert and the reports.
    """

    task: str
    source: str
    """The file the data came from, as the user named it, or ``built-in``."""
    digest: str
    """SHA-256 of that file, in hexadecimal."""
    substituted: bool
    """Whether `source` stands in for the task's own file, so that scores are not comparable with published ones."""
    observations: NDArray[np.float32]
    actions: NDArray[np.float32]
    next_observations: NDArray[np.float32]
    rewards: NDArray[np.float32] | None
    terminals: NDArray[np.bool_]
    """Where the return ends: on a trajectory's last row alone, but in OGBench's files wherever the task's goal is reached."""
    successor_known: NDArray[np.bool_]
    """False where `next_observations` repeats the state because the file does not tell it (last step before a terminal)."""
    offsets: NDArray[np.int64]
    ends: tuple[End, ...]
    notes: LoadReport
    starts: NDArray[np.float32] | None = None
    """First observations of episodes of the task, (R, o), where its reader has asked the simulator for them (OGBench)."""

    @classmethod
    def from_arrays(
        cls,
        observations: ArrayLike,
        next_observations: ArrayLike | None = None,
        *,
        lengths: ArrayLike,
        actions: ArrayLike | None = None,
        rewards: ArrayLike | None = None,
        terminals: ArrayLike | None = None,
        task: str = "arrays",
    ) -> "Dataset":
        """A dataset of arrays alone: observations (N, o), one trajectory after the other, `lengths` (E,) steps each.

        Successors that are not given are the next row of the trajectory, and its last state itself at the end. Raises
        DataError where shapes do not go together or a number is not finite.

        >>> Dataset.from_arrays(np.zeros((5, 3)), lengths=[2, 3]).trajectories
        2
        """
        states = np.ascontiguousarray(observations, np.float32)
        sizes = np.asarray(lengths, np.int64)
        n = len(states)
        if states.ndim != 2 or sizes.ndim != 1 or not len(sizes) or (sizes < 1).any() or sizes.sum() != n:
            told = f"observations of shape {states.shape} and lengths that sum to {sizes.sum()}"
            raise DataError(f"{told}: observations must be (N, o), and lengths positive with the sum N")
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        ends = np.zeros(n, np.bool_)
        ends[offsets[1:] - 1] = True
        if next_observations is None:
            successors = np.where(ends[:, None], states, np.roll(states, -1, 0))
        else:
            successors = np.ascontiguousarray(next_observations, np.float32)
        acts = np.zeros((n, 0), np.float32) if actions is None else np.ascontiguousarray(actions, np.float32)
        true = None if rewards is None else np.ascontiguousarray(rewards, np.float32)
        stops = np.zeros(n, np.bool_) if terminals is None else np.asarray(terminals, np.bool_)
        shapes = {"next_observations": (successors, states.shape), "actions": (acts, (n, *acts.shape[1:]))}
        shapes |= {"terminals": (stops, (n,))} | ({} if true is None else {"rewards": (true, (n,))})
        for name, (array, shape) in {"observations": (states, states.shape), **shapes}.items():
            if array.shape != shape:
                raise DataError(f"{name} is of shape {array.shape}, but it must be {shape}")
            if not np.isfinite(array).all():
                raise DataError(f"{name} holds a number that is not finite: leave such steps out")
        digest = hashlib.sha256(b"".join(part.tobytes() for part in (states, successors, acts, stops, sizes)))
        if true is not None:
            digest.update(true.tobytes())
        known = ~ends if next_observations is None else np.ones(n, np.bool_)
        return cls(
            task=task,
            source="arrays",
            digest=digest.hexdigest(),
            substituted=True,
            observations=states,
            actions=acts,
            next_observations=successors,
            rewards=true,
            terminals=stops,
            successor_known=known,
            offsets=offsets,
            ends=tuple("terminal" if stops[stop - 1] else "timeout" for stop in offsets[1:]),
            notes=LoadReport(n),
        )

    def __len__(self) -> int:
        return len(self.observations)

    @property
    def trajectories(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Transitions per trajectory, (E,)."""
        return np.diff(self.offsets)

    def rows(self) -> Iterator[slice]:
        """The rows of each trajectory in turn."""
        for start, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            yield slice(int(start), int(stop))

    def returns(self) -> NDArray[np.float64]:
        """Undiscounted true return of each trajectory, (E,). Needs `rewards`."""
        assert self.rewards is not None
        return np.add.reduceat(self.rewards.astype(np.float64), self.offsets[:-1])


def scores(dataset: Dataset, task: Task) -> NDArray[np.float64]:
    """Score of each trajectory, (E,): of its return, or for OGBench's tasks of whether it reaches the goal. Needs rewards."""
    reached = np.maximum.reduceat(dataset.terminals, dataset.offsets[:-1])
    achieved = reached if task.domain == "ogbench" else dataset.returns()
    return np.array([task.score(float(value)) for value in achieved])


@dataclass(frozen=True)
class Expert:
    """One expert trajectory: states only, (Te, o), with where it came from."""

    observations: NDArray[np.float32]
    next_observations: NDArray[np.float32]
    origin: str
    """File and trajectory number, for reports."""
    true_return: float | None
