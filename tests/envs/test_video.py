"""Videos: what is in the file, that it is the roll-out's episode, and what happens where nothing can be drawn."""

import os
import sys
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
from numpy.typing import NDArray

from ailot_ray.envs import make_env, record_video, roll_out, video
from ailot_ray.errors import SimulatorError
from ailot_ray.tasks import get_task

HOPPER = get_task("hopper-builtin")
CHEETAH = get_task("halfcheetah-medium-v2")


def push(observations: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ones((len(observations), 3), dtype=np.float32)


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip where this machine has no OpenGL; leave MUJOCO_GL as it was."""
    monkeypatch.setenv("MUJOCO_GL", os.environ.get("MUJOCO_GL", ""))
    try:
        video._choose_backend(HOPPER)
    except SimulatorError as error:
        pytest.skip(str(error))


def frames_of(path: Path) -> tuple[NDArray[np.uint8], dict[str, object]]:
    reader: Any = imageio.get_reader(path)
    with reader:
        return np.stack([frame for frame in reader]), reader.get_meta_data()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.usefixtures("drawing")
def test_the_video_shows_the_noisy_episode_that_is_scored(tmp_path: Path) -> None:
    noise = np.array([0.3, 0.3, 0.3], np.float32)
    episode = record_video(HOPPER, push, tmp_path / "hopper.mp4", seed=3, noise=noise)
    assert episode == roll_out(HOPPER, push, episodes=1, seed=3, noise=noise)[0]
    assert episode != roll_out(HOPPER, push, episodes=1, seed=3)[0] == record_video(HOPPER, push, tmp_path / "2.mp4", seed=3)


@pytest.mark.usefixtures("drawing")
def test_the_file_holds_every_fourth_step_at_true_speed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "hopper.mp4"
    episode = record_video(HOPPER, push, path, seed=0, max_steps=13)
    frames, about = frames_of(path)
    assert episode.length == 13
    assert frames.shape == (4, 240, 320, 3)  # the start and after steps 4, 8, 12
    assert about["fps"] == 31.25  # 125 steps a second, every fourth drawn
    assert about["codec"] == "h264" and str(about["pix_fmt"]).startswith("yuv420p")
    assert frames.max() > 100
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50  # the leg moved
    assert names_in(path.parent) == ["hopper.mp4"]


@pytest.mark.usefixtures("drawing")
def test_the_camera_follows_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", video._choose_backend(HOPPER))
    env = make_env(HOPPER, render=True)
    env.reset(seed=0)
    simulator: Any = env.unwrapped
    simulator.set_state(simulator.data.qpos + np.array([12.0, 0.0, 0.0, 0.0, 0.0, 0.0]), simulator.data.qvel)
    frame: Any = env.render()
    env.close()
    upper = frame[80:130].astype(int)  # above the horizon: bluish sky, and the reddish torso in its middle
    reddish = np.flatnonzero((upper[:, :, 0] > upper[:, :, 2] + 20).any(axis=0))
    assert len(reddish) > 4 and reddish.min() > 140 and reddish.max() < 180


@pytest.mark.usefixtures("drawing")
def test_a_slow_environment_is_drawn_at_every_step(tmp_path: Path) -> None:
    path = tmp_path / "cheetah.mp4"
    record_video(CHEETAH, lambda o: np.ones((len(o), 6), dtype=np.float32), path, seed=0, max_steps=5)
    frames, about = frames_of(path)
    assert len(frames) == 6 and about["fps"] == 20.0


@pytest.mark.usefixtures("drawing")
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "hopper.mp4"
    path.write_bytes(b"old")
    with pytest.raises(SimulatorError, match="not a number"):
        record_video(HOPPER, lambda o: push(o) * np.float32("nan"), path, seed=0)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["hopper.mp4"]


@pytest.mark.parametrize(
    ("working", "display", "chosen"),
    [({"egl", "osmesa"}, None, "egl"), ({"osmesa"}, None, "osmesa"), ({"glfw", "egl"}, ":0", "glfw"), ({"egl"}, ":0", "egl")],
)
def test_backends_are_tried_in_turn(
    working: set[str], display: str | None, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setattr(video, "_can_draw", working.__contains__)
    assert video._choose_backend(HOPPER) == chosen


def test_a_machine_that_cannot_draw_names_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "crayon")
    with pytest.raises(SimulatorError, match="MUJOCO_GL=crayon does not work; unset it, or `apt-get install libegl1`"):
        record_video(HOPPER, push, tmp_path / "hopper.mp4", seed=0)
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setattr(video, "_can_draw", lambda backend: False)
    with pytest.raises(SimulatorError, match="egl, osmesa works; `apt-get install libegl1` or `libosmesa6`"):
        video._choose_backend(HOPPER)
