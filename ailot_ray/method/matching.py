"""Costs without a transport: each step against the nearest expert pair, against the expert's segment of the same time, or by
how well a network that has seen the expert alone predicts a random one (docs/method.md, baselines).

Each is made from the experts' pairs (Te, h·d), h = 2 states beside each other or 1 where k is 0, and turns an agent's pairs
(Ta, h·d) into costs (K, Ta), one row an expert, or (1, Ta) where it is `joint`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ailot_ray.config import Metric, Solver
from ailot_ray.method.distillation import Distilled

Pairs = NDArray[np.float32]


class Distance(Protocol):
    """A cost that needs no transport."""

    joint: ClassVar[bool]
    """Whether all experts serve together, so that there is one cost a step and not one an expert."""

    def __init__(self, experts: Sequence[Pairs], metric: Metric, halves: int) -> None: ...
    def __call__(self, pairs: Pairs) -> NDArray[np.float64]: ...


def pair_features(states: Pairs, successors: Pairs, k: int) -> Pairs:
    """(x_i, x_{i+k}) for one trajectory's features x (T, d), (T, 2d); k = 0 gives x alone.

    `successors` (T, d) are the features one step on, so that the last step's own successor is used where k reaches it; beyond
    the trajectory's end the index clamps.
    """
    if k == 0:
        return states
    ahead = np.minimum(np.arange(len(states)) + k - 1, len(states) - 1)
    return np.concatenate([states, successors[ahead]], axis=1)


class Nearest:
    """Euclidean distance to the nearest pair of any expert: the cost of SEABO (Lyu et al. 2024)."""

    joint: ClassVar[bool] = True

    def __init__(self, experts: Sequence[Pairs], metric: Metric, halves: int) -> None:
        self.tree = KDTree(np.concatenate(list(experts)))

    def __call__(self, pairs: Pairs) -> NDArray[np.float64]:
        return np.asarray(self.tree.query(pairs, k=1)[0], np.float64)[None]


class Segments:
    """c_i = min C_ij over the expert's steps j in ⌊i·Te/Ta⌋ … max(that, ⌈(i + 1)·Te/Ta⌉ − 1): those of the same share of time.

    In linear time; the idea of Segment-Matching (Dong, Omori, Ross 2025), with the cost C of the transport.
    """

    joint: ClassVar[bool] = False

    def __init__(self, experts: Sequence[Pairs], metric: Metric, halves: int) -> None:
        self.experts, self.root, self.halves = experts, metric == "euclidean", halves

    def __call__(self, pairs: Pairs) -> NDArray[np.float64]:
        return np.stack([self._against(pairs, expert) for expert in self.experts])

    def _against(self, pairs: Pairs, expert: Pairs) -> NDArray[np.float64]:
        steps, n, m = np.arange(len(pairs)), len(pairs), len(expert)
        first = steps * m // n
        sizes = -(-(steps + 1) * m // n) - first  # at least 1: the ceiling lies above the floor
        begins = np.cumsum(sizes) - sizes
        columns = np.arange(sizes.sum()) - np.repeat(begins - first, sizes)
        difference = pairs.astype(np.float64)[np.repeat(steps, sizes)] - expert[columns]
        squared = np.square(difference).reshape(len(columns), self.halves, -1).sum(-1)
        return np.asarray(np.minimum.reduceat((np.sqrt(squared) if self.root else squared).sum(-1), begins), np.float64)


WITHOUT_TRANSPORT: Mapping[Solver, type[Distance]] = {"nearest": Nearest, "segment": Segments, "rnd": Distilled}
"""The solvers that transport nothing."""
