"""gymnasium-robotics' Adroit hand under D4RL's rules: its rewards, its end of an episode, its success.

The bodies, the observations and the resets are the same (the human door demonstrations replay in it, rewards included).
Three things are not, and this wrapper restores them from D4RL's `hand_manipulation_suite`:

- rewards: gymnasium-robotics' v1 *rewards* the distance between palm and object in door, hammer and relocate, +0.1 where
  D4RL has −0.1, in some of its releases. All rewards are therefore computed here, whatever the release;
- pen: D4RL ends the episode when the pen is dropped;
- success: D4RL asks for the goal to be held, not touched. Reaching it never ends an episode.

With D4RL's physics its contacts are MuJoCo 2.1.0's (:mod:`ailot_ray.envs.contacts`).
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from ailot_ray.config import PlayedPhysics
from ailot_ray.envs.contacts import step_euler
from ailot_ray.envs.ends import PEN

Array = NDArray[np.float64]
Reward = Callable[[mujoco.MjData], float]
AdroitEnv = gymnasium.Env[Array, NDArray[np.float32]]

_DROPPED_BELOW = 0.075
"""Height of the pen's centre, in metres, under which it has been dropped."""


def _site(data: mujoco.MjData, name: str) -> Array:
    return np.asarray(data.site(name).xpos)


def _object(data: mujoco.MjData) -> Array:
    return np.asarray(data.body("Object").xpos)


def _distance(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b))


def _direction(data: mujoco.MjData, top: str, bottom: str) -> Array:
    axis = _site(data, top) - _site(data, bottom)
    return np.asarray(axis / np.linalg.norm(axis))


def _dropped(data: mujoco.MjData) -> bool:
    return bool(_object(data)[2] < _DROPPED_BELOW)


def _door(data: mujoco.MjData) -> float:
    angle = float(data.joint("door_hinge").qpos[0])
    reward = -0.1 * _distance(_site(data, "S_grasp"), _site(data, "S_handle"))
    reward -= 0.1 * (angle - 1.57) ** 2
    reward -= 1e-5 * float(np.sum(data.qvel**2))
    return reward + 2.0 * (angle > 0.2) + 8.0 * (angle > 1.0) + 10.0 * (angle > 1.35)


def _hammer(data: mujoco.MjData) -> float:
    hammer, head, nail = _object(data), _site(data, "tool"), _site(data, "S_target")
    nail_to_goal = _distance(nail, _site(data, "nail_goal"))
    reward = -0.1 * _distance(_site(data, "S_grasp"), hammer) - _distance(head, nail) - 10.0 * nail_to_goal
    reward -= 1e-2 * float(np.linalg.norm(data.qvel))
    lifted = bool(hammer[2] > 0.04 and head[2] > 0.04)
    return reward + 2.0 * lifted + 25.0 * (nail_to_goal < 0.02) + 75.0 * (nail_to_goal < 0.01)


def _relocate(data: mujoco.MjData) -> float:
    palm, ball, target = _site(data, "S_grasp"), _object(data), _site(data, "target")
    ball_to_target = _distance(ball, target)
    reward = -0.1 * _distance(palm, ball)
    if ball[2] > 0.04:
        reward += 1.0 - 0.5 * _distance(palm, target) - 0.5 * ball_to_target
    return reward + 10.0 * (ball_to_target < 0.1) + 20.0 * (ball_to_target < 0.05)


def _pen(data: mujoco.MjData) -> float:
    offset = _distance(_object(data), _site(data, "eps_ball"))
    similarity = float(_direction(data, "object_top", "object_bottom") @ _direction(data, "target_top", "target_bottom"))
    reward = similarity - offset
    if offset < 0.075:
        reward += 10.0 * (similarity > 0.9) + 50.0 * (similarity > 0.95)
    return reward - 5.0 * _dropped(data)


ADROIT: dict[str, tuple[Reward, int]] = {
    "AdroitHandDoor-v1": (_door, 25),
    "AdroitHandHammer-v1": (_hammer, 25),
    PEN: (_pen, 20),
    "AdroitHandRelocate-v1": (_relocate, 25),
}
"""Per gymnasium id: D4RL's dense reward, and the number of steps beyond which holding the goal counts as success."""


class D4RLAdroit(gymnasium.Wrapper[Array, NDArray[np.float32], Array, NDArray[np.float32]]):
    """An Adroit environment that rewards, ends and succeeds as D4RL's does; `environment` is its gymnasium id.

    ``info["success"]`` becomes true once the goal has been reached in more than 25 steps of the episode (pen: 20), which is
    how D4RL's `evaluate_success` counts.
    """

    def __init__(self, env: AdroitEnv, environment: str, physics: PlayedPhysics = "mujoco") -> None:
        super().__init__(env)
        if physics == "d4rl":
            # the one step of all Adroit environments; gymnasium has no public place to put another
            env.unwrapped._step_mujoco_simulation = self._step_simulation  # type: ignore[attr-defined]
        self._reward, self._steps_to_hold = ADROIT[environment]
        self._ends_when_dropped = environment == PEN
        self._steps_held = 0

    def _step_simulation(self, controls: Array, frames: int) -> None:
        inner: Any = self.unwrapped
        inner.data.ctrl[:] = controls
        for _ in range(frames):
            step_euler(inner.model, inner.data)
        mujoco.mj_rnePostConstraint(inner.model, inner.data)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        self._steps_held = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: NDArray[np.float32]) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        observation, _, terminated, truncated, info = self.env.step(action)
        data = self.unwrapped.data  # type: ignore[attr-defined]
        self._steps_held += bool(info["success"])
        terminated = terminated or (self._ends_when_dropped and _dropped(data))
        info = {**info, "success": self._steps_held > self._steps_to_hold}
        return observation, float(self._reward(data)), terminated, truncated, info
