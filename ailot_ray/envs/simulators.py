"""The evaluation environment of a task, as D4RL defines it: same observations, rewards, horizon and end of an episode."""

import contextlib
import importlib
import io
import warnings
from collections.abc import Iterator

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from ailot_ray.config import PlayedPhysics, Simulator, Target
from ailot_ray.envs.adroit import ADROIT, D4RLAdroit
from ailot_ray.envs.ant import CAMERA, TORQUE
from ailot_ray.envs.bodies import D4RLActions, set_physics
from ailot_ray.envs.custom import make_custom
from ailot_ray.envs.ogbench import make_ogbench
from ailot_ray.errors import SimulatorError
from ailot_ray.mazes import MAZES
from ailot_ray.tasks import Task

Env = gymnasium.Env[NDArray[np.float64], NDArray[np.float32]]

FRAME_WIDTH, FRAME_HEIGHT = 320, 240
"""Pixels of a rendered frame; multiples of 16, as H.264 stores them."""
_ANTMAZE = "ailot_ray.envs.antmaze:AntMaze"
_CAMERAS = {
    "AdroitHandDoor-v1": "vil_camera",
    "AdroitHandHammer-v1": "fixed",
    "AdroitHandPen-v1": "fixed",
    "AdroitHandRelocate-v1": "vil_camera",
    **dict.fromkeys(MAZES, CAMERA),
}
"""The camera that sees the whole task. Locomotion takes `track`: the default one stands still, and the body leaves it."""


def make_env(
    task: Task,
    *,
    render: bool = False,
    target: Target = "centre",
    simulator: Simulator = "gymnasium",
    physics: PlayedPhysics = "mujoco",
) -> Env:
    """Make the environment of `task`; with `render`, its ``render()`` gives (240, 320, 3) uint8 frames.

    Observations are float64 of shape (task.observation_size,), actions lie in a box of shape (task.action_size,). An episode
    is truncated after task.horizon steps. Locomotion tasks are gymnasium's -v4, whose dynamics D4RL's -v2 data follow (-v5
    scores Walker2d differently); Adroit tasks are gymnasium-robotics' -v1 with D4RL's rewards (:mod:`ailot_ray.envs.adroit`);
    AntMaze tasks are D4RL's (:mod:`ailot_ray.envs.antmaze`), with the target at the `centre` of the goal's cell or `drawn` at
    every reset; OGBench's reward nothing but the goal (:mod:`ailot_ray.envs.ogbench`); custom tasks are whatever they say,
    drawn as they draw themselves (:mod:`ailot_ray.envs.custom`).

    With `physics` ``d4rl`` bodies and contacts are as MuJoCo 2.1.0 made them for D4RL (:mod:`ailot_ray.envs.bodies`); custom
    tasks have no choice. With `simulator` ``d4rl`` it is D4RL's own environment instead, in a process apart
    (:mod:`ailot_ray.envs.d4rl`), whose targets D4RL draws.

    Raises SimulatorError where the environment is not installed, unknown, or of other sizes than the task's.
    """
    if simulator == "d4rl":
        if render:
            raise SimulatorError(f"task {task.name}: D4RL's simulator draws no video here; leave --simulator or --video out")
        return importlib.import_module("ailot_ray.envs.d4rl.client").D4RLEnv(task)  # type: ignore[no-any-return]
    name = task.environment
    if task.domain == "ogbench":
        return make_ogbench(task, {"width": FRAME_WIDTH, "height": FRAME_HEIGHT} if render else {})
    if task.domain == "custom":
        with _without_version_advice():
            return make_custom(task, render=render)
    options: dict[str, object] = {"disable_env_checker": True, "max_episode_steps": task.horizon}
    if render:
        options |= {"render_mode": "rgb_array", "width": FRAME_WIDTH, "height": FRAME_HEIGHT}
        options["camera_name"] = _CAMERAS.get(name, "track")
    if name in MAZES:
        env = _make(task, EnvSpec(name, _ANTMAZE, kwargs={"maze": name, "target": target, "physics": physics}), options)
    else:
        env = _make_adroit(task, options, physics) if name in ADROIT else _make(task, name, options)
    try:
        set_physics(env.unwrapped.model, name, physics)  # type: ignore[attr-defined]
    except SimulatorError as error:
        env.close()
        raise SimulatorError(f"task {task.name}: {error}") from error
    # On a CPU most of a frame's time goes into its shadow map, 4096 pixels wide by default.
    env.unwrapped.model.vis.quality.shadowsize = 1024  # type: ignore[attr-defined]
    sizes, expected = (env.observation_space.shape, env.action_space.shape), ((task.observation_size,), (task.action_size,))
    if sizes != expected:
        env.close()
        raise SimulatorError(
            f"task {task.name}: {name} has observations {sizes[0]} and actions {sizes[1]}, but the task says {expected[0]} and "
            f"{expected[1]}; correct the task's environment or its sizes"
        )
    if physics == "d4rl" and task.domain != "adroit":
        return D4RLActions(env, TORQUE if name in MAZES else 1.0)
    return env


def _make_adroit(task: Task, options: dict[str, object], physics: PlayedPhysics) -> Env:
    # Importing gymnasium-robotics prints a notice about the rewards that D4RLAdroit replaces.
    with contextlib.redirect_stderr(io.StringIO()):
        env = _make(task, f"gymnasium_robotics:{task.environment}", options)
    return D4RLAdroit(env, task.environment, physics)


def _make(task: Task, name: str | EnvSpec, options: dict[str, object]) -> Env:
    try:
        with _without_version_advice():
            return gymnasium.make(name, **options)  # type: ignore[arg-type]
    except ModuleNotFoundError as error:
        remedy = "run `pip install gymnasium-robotics==1.4.2`"
        raise SimulatorError(f"task {task.name}: {task.environment} needs gymnasium-robotics: {remedy}") from error
    except gymnasium.error.Error as error:
        raise SimulatorError(f"task {task.name}: cannot make {task.environment}: {' '.join(str(error).split())}") from error


@contextlib.contextmanager
def _without_version_advice() -> Iterator[None]:
    """Drop the two deprecation notices of -v4: gymnasium's about the id, and MuJoCo's about HalfCheetah's model file.

    MuJoCo's is not a Python warning: it goes to standard error and into a file in the working directory.
    """
    handler = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None if "deprecated" in message else warnings.warn(message, stacklevel=2))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is out of date", category=DeprecationWarning)
            yield
    finally:
        mujoco.set_mju_user_warning(handler)
