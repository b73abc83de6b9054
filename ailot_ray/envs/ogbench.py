"""OGBench's single-task environments, in which a return is whether the goal was reached, and a seed tells a whole episode."""

import importlib
import os
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ailot_ray.errors import SimulatorError
from ailot_ray.ogbench_tasks import global_draws, make_original
from ailot_ray.tasks import Task

Array = NDArray[np.float64]


class ToGoal(gymnasium.Wrapper[Array, NDArray[np.float32], Array, NDArray[np.float32]]):
    """Rewards of 1 in the step that starts at the goal, which ends the episode, and 0 before.

    OGBench's own are -1 for each part of the task that is not done. It draws starts and teleports from NumPy's global generator
    and random actions from the action space; here both follow the seed of the reset.
    """

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.observation_space = env.observation_space  # an arm's is computed at each look
        raw = env.unwrapped
        self._draws, self._teleports = np.random.RandomState(), getattr(raw, "_teleport_info", None) is not None
        step = raw.control_timestep() if hasattr(raw, "control_timestep") else raw.dt
        self.metadata = {**env.metadata, "render_fps": round(1.0 / step)}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        if seed is not None:
            self._draws = np.random.RandomState(seed)
            self.unwrapped.action_space.seed(seed)
        with global_draws(self._draws):
            observation, _ = self.env.reset(seed=seed, options=options)
        return np.array(observation, np.float64), {}

    def step(self, action: NDArray[np.float32]) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        if self._teleports:
            with global_draws(self._draws):
                observation, _, terminated, truncated, info = self.env.step(action)
        else:
            observation, _, terminated, truncated, info = self.env.step(action)
        success = bool(info["success"])
        return np.array(observation, np.float64), float(success), bool(terminated), bool(truncated), {"success": success}


def make_ogbench(task: Task, frame: dict[str, Any]) -> ToGoal:
    """Make the environment of a task of OGBench's; `frame` is the size of what it renders, in pixels.

    Frames need `MUJOCO_GL` set. Raises SimulatorError where OGBench is not installed, or its environment is of other sizes than
    the task's.
    """
    if frame:  # MuJoCo's renderer, which OGBench draws with, chose its backend when it was imported
        backend = importlib.import_module(f"mujoco.{os.environ['MUJOCO_GL']}")
        importlib.import_module("mujoco.rendering.classic.gl_context").GLContext = backend.GLContext  # type: ignore[attr-defined]
    env = ToGoal(make_original(task.environment, SimulatorError, f"task {task.name}", max_episode_steps=task.horizon, **frame))
    env.unwrapped.model.vis.quality.shadowsize = 1024  # type: ignore[attr-defined]  # as in make_env
    sizes, expected = (env.observation_space.shape, env.action_space.shape), ((task.observation_size,), (task.action_size,))
    if sizes != expected:
        env.close()
        raise SimulatorError(f"task {task.name}: OGBench has {sizes} here, not {expected}: install the version that is pinned")
    return env
