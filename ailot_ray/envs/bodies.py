"""D4RL's physics on today's MuJoCo: what MuJoCo 2.1.0 computed otherwise, undone (docs/fidelity.md).

- Bodies of capsules are lighter: it took π·r³ for the volume of a capsule's two ends, which is 4/3·π·r³. Their masses and
  inertias, as it compiled them, are in `d4rl_bodies.json` (experiments/tools/read_d4rl_bodies.py writes it).
- Two geoms touch from the larger of their margins on; today from the sum of both.
- General convex shapes touch in one point, found by libccd; today in several, found by MuJoCo itself.
- Contacts with boxes were others (:mod:`ailot_ray.envs.contacts`).
- The Runge-Kutta method turned a free body by the mean of its stages' angular velocities (the ant; no other body is free).

D4RL also scales the actions of locomotion and AntMaze from ±1 to the motors' range in single precision.
"""

import functools
import json
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from ailot_ray.config import PlayedPhysics
from ailot_ray.envs.contacts import forward
from ailot_ray.errors import SimulatorError
from ailot_ray.mazes import MAZES

FIELDS = ("body_mass", "body_inertia", "body_ipos", "body_iquat")
"""What `d4rl_bodies.json` has of every body, as compiled by D4RL's MuJoCo and by today's."""
FIGURES = Path(__file__).with_name("d4rl_bodies.json")
_TOLERANCE = 1e-6
"""Kilograms, and so on, within which a model's figures are those of the file."""


@functools.cache
def read_figures() -> dict[str, dict[str, dict[str, list[Any]]]]:
    """By body (:func:`body_of`), then by physics, the FIELDS."""
    bodies: dict[str, dict[str, dict[str, list[Any]]]] = json.loads(FIGURES.read_text())["bodies"]
    return bodies


def body_of(environment: str) -> str:
    """The name in the figures of the body that `environment` has; the ant's is the same in every maze."""
    return "AntMaze" if environment in MAZES else environment


def set_physics(model: mujoco.MjModel, environment: str, physics: PlayedPhysics) -> None:
    """Give the freshly compiled `model` of `environment` one of the two physics.

    Raises SimulatorError where its bodies weigh neither what D4RL's nor what today's MuJoCo makes of them: they are another
    version's, or of another model file, and scores on them compare with nobody's.
    """
    known = read_figures().get(body_of(environment))  # the Adroit hand's masses are written in its model file
    if known is not None and not _has(model, known["mujoco"]) and not (physics == "d4rl" and _has(model, known["d4rl"])):
        total = float(model.body_mass.sum())
        raise SimulatorError(
            f"{environment}: its bodies weigh {total:.4g} kg with MuJoCo {mujoco.__version__}, neither as in D4RL nor as they "
            "should: install the versions of requirements.txt"
        )
    if physics == "mujoco":
        return
    if known is not None:
        for field in FIELDS:
            getattr(model, field)[:] = known["d4rl"][field]
        mujoco.mj_setConst(model, mujoco.MjData(model))  # what the solver derives from masses
    # All margins of a model are equal but for a lone 0 of the hammer's: half of the largest each sums up to the larger of two.
    model.geom_margin[:] = model.geom_margin.max() / 2
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD) | int(mujoco.mjtDisableBit.mjDSBL_MULTICCD)


def _has(model: mujoco.MjModel, figures: dict[str, list[Any]]) -> bool:
    found = [(getattr(model, field), np.asarray(figures[field])) for field in FIELDS]
    return all(mine.shape == known.shape and np.allclose(mine, known, rtol=0, atol=_TOLERANCE) for mine, known in found)


class D4RLActions(gymnasium.ActionWrapper[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]):
    """Rounds actions in ±1 as D4RL's `NormalizedBoxEnv` does when it scales them to motors of ±`torque`."""

    def __init__(self, env: gymnasium.Env[NDArray[np.float64], NDArray[np.float32]], torque: float) -> None:
        super().__init__(env)
        self._torque = np.float32(torque)

    def action(self, action: NDArray[np.float32]) -> Any:
        low, high = -self._torque, self._torque
        scaled = low + (np.asarray(action, np.float32) + np.float32(1.0)) * np.float32(0.5) * (high - low)
        return np.clip(scaled, low, high).astype(np.float64) / np.float64(self._torque)


_STAGES = ((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0))
_WEIGHTS = (1 / 6, 1 / 3, 1 / 3, 1 / 6)


def step_runge_kutta(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Advance `data` by a time step as MuJoCo 2.1.0's RK4 does, for models without activations."""
    start, step = data.qpos.copy(), model.opt.timestep
    forward(model, data)
    velocities, accelerations = [data.qvel.copy()], [data.qacc.copy()]

    def move(weights: tuple[float, ...]) -> None:
        """To the start, moved by a step of the weighted mean of the stages so far."""
        velocity, acceleration = np.dot(weights, velocities), np.dot(weights, accelerations)
        data.qpos[:], data.qvel[:] = start, velocities[0] + step * acceleration
        mujoco.mj_integratePos(model, data.qpos, velocity, step)

    for weights in _STAGES:
        move(weights)
        forward(model, data)
        velocities.append(data.qvel.copy())
        accelerations.append(data.qacc.copy())
    move(_WEIGHTS)
    data.time += step
    data.qacc_warmstart[:] = data.qacc
