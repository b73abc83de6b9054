"""Where one episode ends and the next begins in a flat file of transitions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.trajectories import End

RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-5, 1e-6
"""Two float32 observations nearer than this in every component are one state; ten roundings fit in, no reset does."""

ANT_STEP = 0.5
"""Metres of the xy plane no ant of D4RL covers in one step of 0.1 s. D4RL's goal-reaching policy was measured on 160,000
steps and never made more than 0.38 m; a third is added, no more, since a step split wrongly costs one transition and a reset
overlooked joins two episodes. D4RL's own check of its AntMaze files uses 5 m, which lets resets to a neighbouring cell (4 m)
through."""


@dataclass(frozen=True)
class Cut:
    """Which rows of the file are kept, and how they fall into trajectories.

    `rows`: (N,) rows of the file, ascending; `offsets`: (E + 1,) into `rows`; `ends`: E reasons; `vanished`: episodes of the
    file of which no row is left.
    """

    rows: NDArray[np.int64]
    offsets: NDArray[np.int64]
    ends: tuple[End, ...]
    vanished: int


def successor_jumps(observations: NDArray[np.float32], next_observations: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Rows whose stored successor is not the next row of the file, (N,). The last row has no next row: False."""
    jumps = np.zeros(len(observations), np.bool_)
    following, stored = observations[1:], next_observations[:-1]
    jumps[:-1] = (np.abs(stored - following) > ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * np.abs(following)).any(axis=1)
    return jumps


def position_jumps(observations: NDArray[np.float32], bound: float = ANT_STEP) -> NDArray[np.bool_]:
    """Rows from which the xy position (the first two components) moves by more than `bound` metres to the next row, (N,)."""
    jumps = np.zeros(len(observations), np.bool_)
    jumps[:-1] = np.linalg.norm(np.diff(observations[:, :2], axis=0), axis=1) > bound
    return jumps


@dataclass(frozen=True)
class Breaks:
    """What observations and successors tell beside the flags, (N,) each."""

    jumps: NDArray[np.bool_]
    """Rows that the next row does not follow."""
    stored: NDArray[np.bool_]
    """Rows whose true successor the file stores."""
    unexplained: NDArray[np.bool_]
    """Rows from which an ant moves further than it can, and no flag says that it was reset."""


def find_breaks(
    observations: NDArray[np.float32], successors: NDArray[np.float32] | None, flagged: NDArray[np.bool_], *, ant: bool
) -> Breaks:
    """Compare each row with the next, and with its stored successor (N, o) where there are any.

    A `flagged` (N,) row whose stored successor is the next row was followed by a reset, and that is the next episode's first
    state; an `ant` may also have gone on, which how far it moved tells.
    """
    if successors is None:
        jumps = position_jumps(observations) if ant else np.zeros(len(observations), np.bool_)
        return Breaks(jumps, np.zeros(len(observations), np.bool_), jumps & ~flagged)
    jumps = successor_jumps(observations, successors)
    moved = np.linalg.norm(successors[:, :2] - observations[:, :2], axis=1) > ANT_STEP
    reset = flagged & ~jumps & (moved | (not ant))
    reset[-1] = False
    return Breaks(jumps, ~reset, moved & ~reset)


def horizon_ends(ended: NDArray[np.bool_], horizon: int) -> NDArray[np.bool_]:
    """Rows at which an episode has `horizon` steps without an end of its own, (N,): it was cut there, and goes on as another.

    `ended` (N,) are the ends that are known.

    >>> horizon_ends(np.array([False, False, False, True, False, False, False]), 2).nonzero()[0]
    array([1, 5])
    """
    rows = np.arange(len(ended))
    starts = np.zeros(len(ended), np.int64)
    starts[1:] = np.maximum.accumulate(np.where(ended[:-1], rows[1:], 0))
    reached: NDArray[np.bool_] = (rows - starts + 1) % horizon == 0
    return reached & ~ended


def cut(terminals: NDArray[np.bool_], timeouts: NDArray[np.bool_], jumps: NDArray[np.bool_], stored: NDArray[np.bool_]) -> Cut:
    """Cut N ≥ 1 rows into trajectories.

    An episode ends after a row with a flag or a jump, and at the last row; a terminal outranks a timeout, which outranks a
    jump. Where the file does not store a successor, `stored` (N,), the last row of an episode that did not end in a terminal
    state has none: it is dropped, and an episode of that single row vanishes with it.
    """
    boundary = terminals | timeouts | jumps
    boundary[-1] = True
    last = np.flatnonzero(boundary)
    lengths = np.diff(last, prepend=-1)
    keep = np.ones(len(boundary), np.bool_)
    keep[last] = terminals[last] | stored[last]
    lengths = lengths - ~keep[last]

    names: tuple[End, ...] = ("terminal", "timeout", "gap", "file")
    kinds = np.select([terminals[last], timeouts[last], jumps[last]], [0, 1, 2], default=3)
    survives = lengths > 0
    offsets = np.concatenate([[0], np.cumsum(lengths[survives])]).astype(np.int64)
    return Cut(np.flatnonzero(keep), offsets, tuple(names[kind] for kind in kinds[survives]), int((~survives).sum()))
