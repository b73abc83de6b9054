"""POT's solvers for one problem, cost (n, m) with uniform weights, in double precision on the CPU: what ours are held to.

POT imports scikit-learn, and JAX where they are installed, which is half of what a worker's start takes. So this module is
imported where one of its solvers is asked for and nowhere else.
"""

import numpy as np
import ot
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.method.sinkhorn import Couplings


def entropic(cost: Tensor, epsilon: float, tolerance: float, max_iterations: int) -> Couplings:
    """POT's Sinkhorn in the log domain; `tolerance` is the L1 error of the marginals."""
    a, b = _uniform(cost)
    plan, log = ot.sinkhorn(
        a,
        b,
        cost.double().cpu().numpy(),
        epsilon,
        method="sinkhorn_log",
        numItermax=max_iterations,
        stopThr=tolerance / np.sqrt(len(b)),  # POT's is the error's 2-norm; ‖x‖₁ ≤ √m·‖x‖₂
        log=True,
        warn=False,
    )
    return _couplings(plan, a, b, tolerance, int(log["niter"]))


def exact(cost: Tensor, tolerance: float) -> Couplings:
    """POT's linear programme, without entropy."""
    a, b = _uniform(cost)
    plan = ot.emd(a, b, cost.double().cpu().numpy(), numItermax=10_000_000)
    return _couplings(plan, a, b, tolerance, 0)


def _uniform(cost: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n, m = cost.shape
    return np.full(n, 1.0 / n), np.full(m, 1.0 / m)


def _couplings(
    plan: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64], tolerance: float, iterations: int
) -> Couplings:
    error = float(np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum())
    return Couplings(
        torch.from_numpy(plan)[None], torch.tensor([error]), torch.tensor([error <= tolerance]), torch.tensor([iterations])
    )
