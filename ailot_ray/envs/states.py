"""Setting a simulator to a recorded state, and how far observations tell one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ailot_ray.mazes import MAZES

Array = NDArray[np.float64]

DOOR = "AdroitHandDoor-v1"
_CLIPPED_AT = {"HalfCheetah-v4": np.inf, "Hopper-v4": 10.0, "Walker2d-v4": 10.0}
"""Locomotion whose observation is qpos without x, which nothing depends on, and qvel, clipped here."""

RECORDED = (*_CLIPPED_AT, *MAZES, DOOR)
"""The environments that can be set to the state of a recorded step."""


def tells_velocities(environment: str) -> bool:
    """Whether an observation of `environment` holds the velocities; the Adroit hand's does not."""
    return environment != DOOR


def only_at_starts(environment: str) -> bool:
    """Whether a state of `environment` can be set at the start of an episode alone.

    The door's place is told by where the palm and the handle are, and these observations lag a simulation step behind qpos
    except after a reset.
    """
    return environment == DOOR


def tells_state(environment: str, observations: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each observation, (N, o), tells the state it was taken in: not where a velocity was clipped, (N,)."""
    bound = _CLIPPED_AT.get(environment, np.inf)
    return np.asarray((np.abs(observations) < bound).all(axis=1))


def set_state(simulator: Any, environment: str, observation: Array, state: tuple[Array, Array] | None) -> None:
    """Set `simulator`, the unwrapped `environment`, to the recorded qpos and qvel, else to what `observation` tells.

    The door's place is always taken from the observation; without a `state` the hand is at rest.
    """
    if environment == DOOR:
        _set_door(simulator, observation, state)
    elif state is not None:
        simulator.set_state(*state)
    elif environment in MAZES:
        simulator.set_state(observation[:15], observation[15:])
    else:
        positions = simulator.model.nq - 1
        simulator.set_state(np.concatenate([[0.0], observation[:positions]]), observation[positions:])


def _set_door(simulator: Any, observation: Array, state: tuple[Array, Array] | None) -> None:
    """An observation holds every joint but the first, on which the forearm slides: that follows from where the palm is."""
    joints, palm, handle = observation[:29], observation[29:32], observation[32:35]
    qpos = np.concatenate([[0.0], joints[:27], [joints[28], joints[27]]]) if state is None else state[0]
    placed = {
        "qpos": qpos,
        "qvel": np.zeros(simulator.model.nv) if state is None else state[1],
        "door_body_pos": simulator.model.body_pos[simulator.door_body_id].copy(),
    }
    simulator.set_env_state(placed)
    if state is None:
        qpos[0] = (palm - simulator.data.site("S_grasp").xpos) @ simulator.data.joint("ARTz").xaxis
        simulator.set_env_state(placed)
    placed["door_body_pos"] = placed["door_body_pos"] + handle - simulator.data.site("S_handle").xpos
    simulator.set_env_state(placed)
