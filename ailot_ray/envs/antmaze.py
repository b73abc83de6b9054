"""AntMaze as D4RL evaluates it (`d4rl/locomotion`), on today's MuJoCo."""

from typing import Any

import mujoco
import numpy as np
from gymnasium import spaces
from gymnasium.envs.mujoco import MujocoEnv
from numpy.typing import ArrayLike, NDArray

from ailot_ray.config import PlayedPhysics, Target
from ailot_ray.envs.ant import TARGET, build_ant_maze
from ailot_ray.envs.bodies import step_runge_kutta
from ailot_ray.mazes import MAZES, TARGET_RADIUS

Array = NDArray[np.float64]

_FRAME_SKIP = 5
"""Simulation steps of 0.02 s to a step."""
_RESET_NOISE = 0.1


class AntMaze(MujocoEnv):
    """D4RL's ant, which starts at the origin of a maze and is rewarded for reaching the target.

    Observations are qpos (15) and qvel (14), x and y first; actions are torques in ±1, of 30 Nm each; a step takes 0.1 s. The
    reward is 1 where a step ends within 0.5 m of the target, which also ends the episode, and 0 otherwise: the return is 1 or
    0, and D4RL's normalised score the share of episodes that succeed, times 100. A fallen ant ends nothing.

    At a reset every component of qpos is moved by U(−0.1, 0.1), the orientation's among them, and every component of qvel by
    a normal deviate times 0.1.

    `target`: ``centre`` keeps the target at the centre of the goal's cell. ``drawn`` draws it at every reset as D4RL's -v2
    environments do (:meth:`ailot_ray.mazes.Maze.draw_target`). ``reset(options={"target": (x, y)})`` puts it anywhere for an
    episode. ``info["success"]`` is whether it has been reached, ``info["target"]`` where it is.
    """

    metadata = {"render_modes": ["human", "rgb_array", "depth_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, maze: str, target: Target = "centre", physics: PlayedPhysics = "mujoco", **rendering: Any) -> None:
        """`maze` is a key of :data:`ailot_ray.mazes.MAZES`; `rendering` are MujocoEnv's options."""
        self._physics = physics
        self.maze = MAZES[maze]
        self.target: Array = self.maze.goal
        self._draws_target = target == "drawn"
        space = spaces.Box(-np.inf, np.inf, (29,), np.float64)
        # MujocoEnv asks for a file that exists, though _initialize_simulation reads none.
        super().__init__(__file__, _FRAME_SKIP, space, **rendering)

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model = build_ant_maze(self.maze, self.width / self.height)
        model.vis.global_.offwidth, model.vis.global_.offheight = self.width, self.height
        return model, mujoco.MjData(model)

    def _step_mujoco_simulation(self, ctrl: NDArray[np.float64], n_frames: int) -> None:
        if self._physics == "mujoco":
            super()._step_mujoco_simulation(ctrl, n_frames)  # type: ignore[no-untyped-call]
            return
        self.data.ctrl[:] = ctrl
        for _ in range(n_frames):
            step_runge_kutta(self.model, self.data)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        observation, _ = super().reset(seed=seed)
        given = (options or {}).get("target")
        if given is not None:
            self._set_target(given)
        elif self._draws_target:
            self._set_target(self.maze.draw_target(self.np_random))
        else:
            self._set_target(self.maze.goal)
        return observation, self._info(observation)

    def reset_model(self) -> Array:
        qpos = self.init_qpos + self.np_random.uniform(-_RESET_NOISE, _RESET_NOISE, self.model.nq)
        qvel = self.init_qvel + _RESET_NOISE * self.np_random.standard_normal(self.model.nv)
        self.set_state(qpos, qvel)  # type: ignore[no-untyped-call]
        return self._get_obs()

    def step(self, action: NDArray[np.float32]) -> tuple[Array, float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        self.do_simulation(action, self.frame_skip)
        observation = self._get_obs()
        info = self._info(observation)
        return observation, float(info["success"]), info["success"], False, info

    def _get_obs(self) -> Array:
        return self.state_vector()

    def _set_target(self, xy: ArrayLike) -> None:
        self.target = np.asarray(xy, np.float64)
        self.model.site(TARGET).pos[:2] = self.target

    def _info(self, observation: Array) -> dict[str, Any]:
        reached = bool(np.linalg.norm(observation[:2] - self.target) <= TARGET_RADIUS)
        return {"success": reached, "target": self.target.copy()}
