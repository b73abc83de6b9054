"""AntMaze: D4RL's body, its recorded steps, its rewards and resets, and what a policy and a camera see of it."""

import os
from pathlib import Path
from typing import Any

import h5py
import mujoco
import numpy as np
import pytest

from ailot_ray.envs import make_env, video
from ailot_ray.envs.ant import build_ant_maze
from ailot_ray.errors import SimulatorError
from ailot_ray.mazes import MAZES
from ailot_ray.tasks import TASKS, Task, get_task

DATA = (Path(__file__).parents[2] / "../shared/data").resolve()
UMAZE, MEDIUM = get_task("antmaze-umaze-v2"), get_task("antmaze-medium-diverse-v2")
REST = np.zeros(8, np.float32)


def standing_at(env: Any, x: float, y: float) -> None:
    """Put the ant there, at rest on its feet."""
    qpos = env.unwrapped.init_qpos.copy()
    qpos[:3] = x, y, 0.6
    qpos[[8, 14]], qpos[[10, 12]] = 1.0, -1.0
    env.unwrapped.set_state(qpos, np.zeros(14))


@pytest.mark.parametrize("task", [task for task in TASKS.values() if task.domain == "antmaze"], ids=lambda task: task.name)
def test_every_task_is_made(task: Task) -> None:
    env = make_env(task)
    assert env.spec is not None and env.spec.max_episode_steps == task.horizon
    assert env.unwrapped.dt == pytest.approx(0.1)  # type: ignore[attr-defined]
    observation, info = env.reset(seed=0)
    assert observation.shape == (29,) and not info["success"]
    assert np.array_equal(info["target"], MAZES[task.environment].goal)


def test_figures_of_the_body() -> None:
    model = build_ant_maze(MAZES["AntMaze-umaze"], 1.0)
    assert (model.nq, model.nv, model.nu) == (15, 14, 8)
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_ACTUATOR, number) for number in range(8)]
    assert names == ["hip_4", "ankle_4", "hip_1", "ankle_1", "hip_2", "ankle_2", "hip_3", "ankle_3"]
    assert model.actuator_gear[:, 0].tolist() == [30.0] * 8
    # D4RL's ant.xml: a ball, eight capsules along (0.2, 0.2) and four along (0.4, 0.4), of 5 kg per cubic metre.
    balls, lengths = (0.25**3 + 12 * 0.08**3) * 4 / 3, (8 * 0.2 + 4 * 0.4) * np.sqrt(2.0)
    assert model.body_mass.sum() == pytest.approx(5.0 * np.pi * (balls + 0.08**2 * lengths))


@pytest.mark.parametrize(("name", "task"), [("antmaze-umaze", UMAZE), ("antmaze-medium-diverse", MEDIUM)])
def test_recorded_steps_are_repeated_with_their_rewards(name: str, task: Task) -> None:
    path = DATA / f"{name}.hdf5"
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data")
    with h5py.File(path) as file:
        keys = ("observations", "actions", "rewards", "terminals", "timeouts")
        observations, actions, rewards, terminals, timeouts = (file[key][:] for key in keys)
        recorded_target = file.attrs["target"]
    env: Any = make_env(task)
    env.reset(seed=0)
    assert np.array_equal(env.unwrapped.target, recorded_target)
    generator = np.random.default_rng(0)
    ordinary = generator.choice(np.flatnonzero(~(terminals | timeouts)[:-1]), 400, replace=False)
    errors = []
    for row in np.concatenate([ordinary, np.flatnonzero(terminals)]):
        state = observations[row].astype(np.float64)
        env.unwrapped.set_state(state[:15], state[15:])
        observation, reward, terminated, _, info = env.step(actions[row])
        assert (reward, terminated) == (rewards[row], terminals[row])
        assert info["success"] == terminated
        if not terminals[row]:
            errors.append(np.abs(observation - observations[row + 1]).max())
        env.reset(seed=0)
    assert np.median(errors) <= 1e-6 and max(errors) <= 1e-4


def test_the_target_ends_the_episode_half_a_metre_off() -> None:
    env = make_env(UMAZE)
    for distance, reached in ((0.45, True), (0.55, False)):
        env.reset(seed=0)
        standing_at(env, 0.0 + distance, 8.0)
        _, reward, terminated, truncated, info = env.step(REST)
        assert (reward, terminated, truncated, info["success"]) == (float(reached), reached, False, reached)


def test_walls_hold_the_ant() -> None:
    env = make_env(UMAZE)
    env.reset(seed=0)
    standing_at(env, 0.0, 0.0)
    simulator: Any = env.unwrapped
    positions = []
    for _ in range(150):
        simulator.data.qvel[0] = -3.0  # pushed towards the wall, whose face is 2 m away
        observation, *_ = env.step(REST)
        positions.append(observation[0])
    assert -2.0 < min(positions) < -1.2
    assert simulator.maze.is_free(observation[:2])


def test_resets_are_seeded_and_spread_as_d4rls() -> None:
    env = make_env(MEDIUM)
    starts = np.array([env.reset(seed=seed)[0] for seed in range(400)])
    assert np.array_equal(starts[7], env.reset(seed=7)[0])
    offsets = starts[:, :15] - env.unwrapped.init_qpos  # type: ignore[attr-defined]
    assert np.abs(offsets).max() <= 0.1
    assert np.allclose(offsets.std(axis=0), 0.2 / np.sqrt(12), rtol=0.1)
    assert np.allclose(starts[:, 15:].std(axis=0), 0.1, rtol=0.15)


def test_drawn_targets_come_with_the_seed_and_a_given_one_lasts_an_episode() -> None:
    env = make_env(MEDIUM, target="drawn")
    first, again, other = (env.reset(seed=seed)[1]["target"] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert MAZES["AntMaze-medium"].is_free(first)
    assert np.array_equal(env.reset(seed=1)[0], make_env(MEDIUM).reset(seed=1)[0])  # the start is the same either way
    assert env.reset(seed=1, options={"target": (1.0, 2.0)})[1]["target"].tolist() == [1.0, 2.0]
    assert np.array_equal(env.reset(seed=1)[1]["target"], first)


def test_the_camera_shows_the_whole_maze_from_above(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", os.environ.get("MUJOCO_GL", ""))
    try:
        monkeypatch.setenv("MUJOCO_GL", video._choose_backend(UMAZE))
    except SimulatorError as error:
        pytest.skip(str(error))
    env = make_env(UMAZE, render=True)
    env.reset(seed=0)
    frame: Any = env.render()
    env.close()
    assert frame.shape == (240, 320, 3)
    red, green, blue = np.moveaxis(frame.astype(int), -1, 0)
    # 20 m fill the height of 240 pixels: a cell is 48 pixels wide, the start lies at the lower left, the target above it.
    rows, columns = np.nonzero(green > np.maximum(red, blue) + 40)
    assert (np.median(rows), np.median(columns)) == pytest.approx((72, 112), abs=8)
    rows, columns = np.nonzero(red > np.maximum(green, blue) + 60)
    assert (np.median(rows), np.median(columns)) == pytest.approx((168, 112), abs=8)
    assert (blue > red + 20)[[2, -3]][:, 60:260].all()  # walls along both edges
