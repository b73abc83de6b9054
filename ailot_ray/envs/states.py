"""Setting a simulator to a recorded state, and how far observations tell one."""

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from ailot_ray.envs.adroit import ADROIT
from ailot_ray.envs.ends import PEN
from ailot_ray.mazes import MAZES

Array = NDArray[np.float64]
State = tuple[Array, Array]
"""qpos and qvel."""

DOOR, HAMMER = "AdroitHandDoor-v1", "AdroitHandHammer-v1"
_CLIPPED_AT = {"HalfCheetah-v4": np.inf, "Hopper-v4": 10.0, "Walker2d-v4": 10.0}
"""Locomotion whose observation is qpos without x, which nothing depends on, and qvel, clipped here."""

RECORDED = (*_CLIPPED_AT, *MAZES, *ADROIT)
"""The environments that can be set to the state of a recorded step."""


def tells_velocities(environment: str) -> bool:
    """Whether an observation of `environment` holds the velocities; the Adroit hand's does not."""
    return environment not in ADROIT


def joints_told(environment: str, size: int) -> int:
    """How many of the first components of an observation, of `size`, do not lag behind the state: the hand's joints."""
    return {PEN: 24, DOOR: 27, HAMMER: 27}.get(environment, 30) if environment in ADROIT else size


def tells_state(environment: str, observations: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each observation, (N, o), tells the state it was taken in: not where a velocity was clipped, (N,)."""
    bound = _CLIPPED_AT.get(environment, np.inf)
    return np.asarray((np.abs(observations) < bound).all(axis=1))


def set_scene(simulator: Any, environment: str, start: Array, state: State | None) -> None:
    """Put the Adroit hand's `simulator` into the state of an episode's first observation, and things where that tells them.

    Where the door, the board with the nail, the ball and its target stand, and how the pen is to lie, stays so for an episode.
    Only a first observation tells it: others lag a simulation step behind. Without a `state` the hand is at rest; that is for
    the door alone.
    """
    model, data = simulator.model, simulator.data
    if state is None:  # the first joint, on which the forearm slides, is not observed: where the palm is tells it
        qpos, qvel = np.concatenate([[0.0], start[:27], [start[28], start[27]]]), np.zeros(model.nv)
        simulator.set_state(qpos, qvel)
        qpos[0] = (start[29:32] - data.site("S_grasp").xpos) @ data.joint("ARTz").xaxis
    else:
        qpos, qvel = state
    simulator.set_state(qpos, qvel)
    if environment == PEN:
        _turn(simulator, start[36:39])
    elif environment == DOOR:
        model.body_pos[simulator.door_body_id] += start[32:35] - data.site("S_handle").xpos
    elif environment == HAMMER:
        model.body_pos[simulator.target_body_id] += start[42:45] - data.site("S_target").xpos
    else:
        palm = data.site("S_grasp").xpos
        model.body_pos[simulator.obj_body_id] += palm - start[30:33] - data.body("Object").xpos
        model.site_pos[simulator.target_obj_site_id] += palm - start[33:36] - data.site("target").xpos
    simulator.set_state(qpos, qvel)


def _turn(simulator: Any, direction: Array) -> None:
    """Turn the pen that shows how to lie into `direction`, by the shortest way: a turn about its own axis shows nothing."""
    model, data, body = simulator.model, simulator.data, simulator.target_obj_body_id
    now = data.site("target_top").xpos - data.site("target_bottom").xpos
    now, axis = now / np.linalg.norm(now), np.zeros(4)
    direction = direction / np.linalg.norm(direction)
    axis[0], axis[1:] = 1.0 + now @ direction, np.cross(now, direction)
    turned = np.zeros(4)
    mujoco.mju_mulQuat(turned, axis / np.linalg.norm(axis), model.body_quat[body])
    model.body_quat[body] = turned


def set_state(simulator: Any, environment: str, observation: Array, state: State | None) -> None:
    """Set `simulator`, the unwrapped `environment`, to the recorded qpos and qvel, else to what `observation` tells.

    The Adroit hand's has to be told where things stand before (:func:`set_scene`), and cannot do without a `state`.
    """
    if state is not None:
        simulator.set_state(*state)
    elif environment in MAZES:
        simulator.set_state(observation[:15], observation[15:])
    else:
        positions = simulator.model.nq - 1
        simulator.set_state(np.concatenate([[0.0], observation[:positions]]), observation[positions:])
