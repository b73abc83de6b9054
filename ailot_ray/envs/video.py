"""One episode of a policy as an mp4 file, with or without a display.

MuJoCo draws through one of three OpenGL backends. Both it and gymnasium take the name from the variable `MUJOCO_GL` when the
first frame is drawn, not when they are imported, so :func:`record_video` can still choose: a value that is set already is kept,
otherwise `glfw` where there is a display, then `egl`, then `osmesa`.
"""

import contextlib
import functools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import imageio.v2 as imageio
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ailot_ray.config import PlayedPhysics, Target
from ailot_ray.envs.rollout import Episode, Policy, choose_actions, episode_seed, finish, noise_generator
from ailot_ray.envs.simulators import make_env
from ailot_ray.errors import SimulatorError
from ailot_ray.files import replacing
from ailot_ray.tasks import Task

MAX_FPS = 32.0
"""Frames per second that a video does not exceed: drawing takes far longer than simulating, and the eye needs no more."""

_PROBE = """
import importlib, sys
import mujoco
context = importlib.import_module("mujoco." + sys.argv[1]).GLContext(16, 16)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_150)
"""


def record_video(
    task: Task,
    policy: Policy,
    path: Path,
    seed: int,
    max_steps: int | None = None,
    target: Target = "centre",
    noise: NDArray[np.float32] | None = None,
    physics: PlayedPhysics = "mujoco",
) -> Episode:
    """Play one episode of `policy` and write it to `path` (H.264, yuv420p, 320×240), at true speed; return the episode.

    The episode is episode 0 of ``roll_out(task, policy, episodes, seed, target=…, noise=…, physics=…)``, up to the rounding
    named there, and is cut off after `max_steps`. Where the environment runs faster than 32 frames a second only every n-th
    step is drawn (Hopper: every fourth of 125 a second). The file appears whole or not at all; missing folders are made.

    Sets `MUJOCO_GL` in this process where it is unset. Raises SimulatorError as make_env and roll_out do, and where nothing
    can be drawn.
    """
    os.environ["MUJOCO_GL"] = _choose_backend(task)
    env = make_env(task, render=True, target=target, physics=physics)
    generator = noise_generator(seed, 0)
    try:
        simulated_fps = float(env.metadata.get("render_fps", MAX_FPS))
        stride = math.ceil(simulated_fps / MAX_FPS)
        steps = task.horizon if max_steps is None else min(max_steps, task.horizon)
        with replacing(path) as partial:
            with (
                # imageio's own context manager leaves ffmpeg running after an exception, to write the file later.
                contextlib.closing(_open_mp4(partial, simulated_fps / stride)) as video,
                tqdm(total=steps, desc=f"video {path.name}", unit="step", disable=None) as progress,
            ):
                observation, info = env.reset(seed=episode_seed(seed, 0))
                video.append_data(env.render())
                undiscounted_return, length, terminated, ended = 0.0, 0, False, False
                while length < steps and not ended:
                    batch = observation[None].astype(np.float32)
                    action = choose_actions(task, env, policy, batch, noise, [generator])[0]
                    observation, reward, terminated, truncated, info = env.step(action)
                    undiscounted_return += float(reward)
                    length += 1
                    ended = terminated or truncated
                    if length % stride == 0:
                        video.append_data(env.render())
                    progress.update()
            _require_whole(partial)
    except gymnasium.error.DependencyNotInstalled as error:  # what a custom environment draws with
        raise SimulatorError(f"task {task.name}: cannot draw a video: {' '.join(str(error).split())}") from error
    finally:
        env.close()
    return finish(task, 0, undiscounted_return, length, observation, terminated, info)


def _open_mp4(path: Path, fps: float) -> Any:
    return imageio.get_writer(
        path,
        format="FFMPEG",
        mode="I",
        fps=fps,
        codec="libx264",
        pixelformat="yuv420p",
        ffmpeg_log_level="error",
        output_params=["-movflags", "+faststart"],  # browsers can start to play before the whole file has come
    )


def _require_whole(path: Path) -> None:
    """Raise OSError where ffmpeg gave up (its status is not passed on): a finished file begins with its index."""
    with path.open("rb") as file:
        if b"moov" not in file.read(1 << 16):
            raise OSError("ffmpeg did not finish the file; is the disk full?")


def _choose_backend(task: Task) -> str:
    """The first backend that can draw here. Raises SimulatorError where there is none."""
    chosen = os.environ.get("MUJOCO_GL")
    if chosen:
        candidates = [chosen]
    else:
        has_display = "DISPLAY" in os.environ or not sys.platform.startswith("linux")
        candidates = [*(["glfw"] if has_display else []), "egl", "osmesa"]
    for backend in candidates:
        if _can_draw(backend):
            return backend
    cause = f"MUJOCO_GL={chosen} does not work; unset it, or" if chosen else f"none of {', '.join(candidates)} works;"
    raise SimulatorError(f"task {task.name}: cannot draw a video: {cause} `apt-get install libegl1` or `libosmesa6`")


@functools.cache
def _can_draw(backend: str) -> bool:
    """Try a backend in a process of its own: a failed attempt may crash, and spoils PyOpenGL for the backends after it."""
    command = [sys.executable, "-c", _PROBE, backend]
    environment = {**os.environ, "MUJOCO_GL": backend}
    try:
        return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
