"""OGBench's environments: returns of 0 and 1, episodes that a seed tells, one-line errors."""

import dataclasses
import os
import sys

import numpy as np
import pytest
from data.ogbench_made import CUBE, POINT, needs_ogbench
from numpy.typing import NDArray

from ailot_ray.envs import make_env, roll_out
from ailot_ray.envs.ogbench import ToGoal
from ailot_ray.errors import SimulatorError
from ailot_ray.tasks import get_task


def planner(env: ToGoal) -> NDArray[np.float32]:
    raw = env.unwrapped
    way = raw.get_oracle_subgoal(raw.get_xy(), raw.cur_goal_xy)[0] - raw.get_xy()  # type: ignore[attr-defined]
    return np.asarray(way / np.linalg.norm(way), np.float32)


def test_a_return_is_whether_the_goal_was_reached() -> None:
    needs_ogbench()
    handles = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None  # noqa: PTH208, PTH112
    env = make_env(get_task(POINT))
    assert isinstance(env, ToGoal) and env.metadata["render_fps"] == 10
    observation, _ = env.reset(seed=3)
    total, steps, terminated = 0.0, 0, False
    while not terminated:
        before = observation
        observation, reward, terminated, truncated, info = env.step(planner(env))
        total, steps = total + reward, steps + 1
        assert not truncated and info == {"success": terminated}
    assert total == 1.0 and 50 < steps < 300
    assert np.linalg.norm(before - [4, 12]) <= 1.0  # OGBench asks before the step
    env.close()
    assert handles is None or len(os.listdir("/proc/self/fd")) <= handles  # noqa: PTH208


@pytest.mark.parametrize("name", ["pointmaze-teleport-stitch-singletask-task1-v0", CUBE])
def test_a_seed_tells_the_episode(name: str) -> None:
    needs_ogbench()
    task = dataclasses.replace(get_task(name), horizon=30)
    weights = np.random.default_rng(0).normal(size=(task.observation_size, task.action_size)).astype(np.float32)
    seen: list[list[NDArray[np.float32]]] = []

    def policy(observations: NDArray[np.float32]) -> NDArray[np.float32]:
        seen[-1].append(observations.copy())
        return np.asarray(np.tanh(observations @ weights))

    state = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    for seed, episodes in ((5, 2), (5, 1), (6, 1)):
        seen.append([])
        games = roll_out(task, policy, episodes, seed)
        assert [(game.length, game.success, game.undiscounted_return) for game in games] == [(30, False, 0.0)] * episodes
    first, again, other = ([batch[0] for batch in batches] for batches in seen)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(first, again, strict=True))
    assert not np.allclose(first[0], other[0])
    assert np.array_equal(state, np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002


def test_teleports_follow_the_seed() -> None:
    needs_ogbench()
    env = make_env(get_task("pointmaze-teleport-stitch-singletask-task1-v0"))
    raw = env.unwrapped
    ends = []
    for seed in (0, 0, 1, 2, 3, 4, 5):
        env.reset(seed=seed)
        raw.set_xy(np.array([20.0, 12.0]))  # type: ignore[attr-defined]  # at the first way in
        ends.append(tuple(env.step(np.zeros(2, np.float32))[0].round(3)) and tuple(raw.get_xy().round(3)))  # type: ignore[attr-defined]
    assert ends[0] == ends[1] and len(set(ends)) > 1
    env.close()


def test_what_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ogbench", None)
    with pytest.raises(
        SimulatorError, match=r"task pointmaze.* needs OGBench \(ogbench is missing\): run `pip install"
    ) as caught:
        make_env(get_task(POINT))
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    needs_ogbench()
    with pytest.raises(SimulatorError, match=r"OGBench has .* here, not .*: install the version that is pinned"):
        make_env(dataclasses.replace(get_task(POINT), observation_size=3))
