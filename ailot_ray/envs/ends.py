"""Why an episode ends: at the horizon, at the goal, or by which of the simulator's bounds."""

import math

import numpy as np
from numpy.typing import NDArray

from ailot_ray.records import GOAL, HORIZON

PEN = "AdroitHandPen-v1"
OTHER = "terminal"
_HEALTHY: dict[str, tuple[float, float, float]] = {"Hopper-v4": (0.7, math.inf, 0.2), "Walker2d-v4": (0.8, 2.0, 1.0)}
"""Lowest and highest torso in metres, and its largest angle in radians, which their observations begin with."""


def why_ended(environment: str, observation: NDArray[np.float64], truncated: bool, success: bool | None) -> str:
    """One word or two for the end of an episode of `environment` (:attr:`ailot_ray.tasks.Task.environment`).

    ``horizon``, ``goal``, ``height`` or ``angle`` of a torso that is out of its bounds, ``dropped`` of the pen, ``terminal``
    where the simulator has another reason.

    >>> why_ended("Hopper-v4", np.array([0.6, 0.1]), truncated=False, success=None)
    'height'
    """
    if truncated:
        return HORIZON
    if success:
        return GOAL
    if environment == PEN:
        return "dropped"
    if environment in _HEALTHY:
        low, high, angle = _HEALTHY[environment]
        if not low < observation[0] < high:
            return "height"
        if abs(observation[1]) >= angle:
            return "angle"
    return OTHER
