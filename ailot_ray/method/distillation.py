"""Random network distillation: how far a pair is from the expert's, told by one small network (ReLOAD: Chaudhary, Behera 2025).

    c(x) = mean over members m of ‖f_m(x) − g_m(x)‖² / OUT,        f_m fitted to the random g_m on the expert's pairs alone

Where the expert has been, f follows g; elsewhere it was never told to (Burda et al. 2019).
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from ailot_ray.config import Metric
from ailot_ray.method.learner import seeded
from ailot_ray.method.networks import StackedMLP, initialise

MEMBERS = 4
"""Pairs of networks whose errors are averaged: one alone depends much on how it was drawn."""
WIDTH, OUT = 64, 32
STEPS, BATCH, RATE = 500, 128, 3e-3


class Distilled:
    """The networks, fitted to the experts' pairs (Te, p). Their seed is fixed: an experiment's seeds share one alignment."""

    joint: ClassVar[bool] = True

    def __init__(self, experts: Sequence[NDArray[np.float32]], metric: Metric, halves: int) -> None:
        # double precision: processes that fit the same networks must come to the same costs
        data = torch.from_numpy(np.concatenate(list(experts))).double()
        sizes = (data.shape[-1], WIDTH, WIDTH, OUT)
        self.target, self.predictor = (StackedMLP(MEMBERS, 1, sizes).double() for _ in range(2))
        for purpose, network in ((21, self.target), (22, self.predictor)):
            initialise(network, [seeded(member, purpose) for member in range(MEMBERS)], "orthogonal")
        generator = seeded(0, 23)
        adam = torch.optim.Adam(self.predictor.parameters(), lr=RATE)
        with torch.no_grad():
            wanted = self.target(data[None, None])
        for _ in range(STEPS):
            rows = torch.randint(len(data), (BATCH,), generator=generator)
            loss = (self.predictor(data[rows][None, None]) - wanted[:, :, rows]).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()

    @torch.no_grad()
    def __call__(self, pairs: NDArray[np.float32]) -> NDArray[np.float64]:
        """c, (1, Ta), of pairs (Ta, p)."""
        x = torch.from_numpy(pairs).double()[None, None]
        cost: NDArray[np.float64] = (self.predictor(x) - self.target(x)).square().mean((0, 1, 3)).numpy()[None]
        return cost
