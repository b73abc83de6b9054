"""10 % BC: behaviour cloning of the best trajectories alone (docs/method.md, baselines)."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.config import IQLConfig
from ailot_ray.method.iql import BehaviourCloning, Transitions


class BestBehaviourCloning(BehaviourCloning):
    """Behaviour cloning of the trajectories of the largest returns alone (10 % BC: Chen et al. 2021, CORL).

    Of equal returns the shorter trajectory comes first: in mazes the one that was there sooner.
    """

    SHARE = 0.1
    """Of the trajectories; at least one."""

    def __init__(self, data: Transitions, seeds: Sequence[int], config: IQLConfig, fast: bool = True) -> None:
        super().__init__(data, seeds, config, fast)
        self.best = [torch.from_numpy(best_rows(r.cpu().numpy(), data.offsets, self.SHARE)) for r in data.rewards]

    def draw(self, steps: int) -> Tensor:
        shape = (steps, self.config.batch_size)
        pairs = zip(self.best, self.generators, strict=True)
        return torch.stack([rows[torch.randint(len(rows), shape, generator=g)] for rows, g in pairs], 1).to(self.device)


def best_rows(rewards: NDArray[np.floating], offsets: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """The rows of a `share` of the trajectories, those of the largest sums of `rewards` (N,); at least one trajectory."""
    returns, lengths = np.add.reduceat(rewards.astype(np.float64), offsets[:-1]), np.diff(offsets)
    best = np.sort(np.lexsort((lengths, -returns))[: max(1, int(share * len(returns)))])
    return np.concatenate([np.arange(offsets[e], offsets[e + 1], dtype=np.int64) for e in best])
