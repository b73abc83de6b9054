"""D4RL's own environments behind the pipe: the adapter against a stand-in worker, and the real one where it is built."""

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ailot_ray.__main__ import main
from ailot_ray.envs import make_env, roll_out
from ailot_ray.envs.d4rl import client as original
from ailot_ray.errors import SimulatorError
from ailot_ray.tasks import TASKS, Task, get_task

HOPPER, DOOR, PEN, MAZE = (
    get_task(f"{name}") for name in ("hopper-medium-v2", "door-human-v0", "pen-human-v1", "antmaze-umaze-v2")
)

WORKER = """
import json, os, sys
from fake_sizes import SIZES
print("chatter that is no reply")
replies, steps, seeds = os.fdopen(int(sys.argv[1]), "w", buffering=1), {}, {}
print(json.dumps({"ready": True}), file=replies)
for line in sys.stdin:
    request = json.loads(line)
    do, number = request["do"], request.get("number")
    if do == "make":
        observation, action, horizon = SIZES[request["name"]]
        number = len(steps)
        steps[number], seeds[number] = [0, observation, horizon], 0
        reply = {"number": number, "observation_size": observation, "action_size": action, "horizon": horizon}
    elif do == "reset":
        steps[number][0], seeds[number] = 0, request["seed"]
        reply = {"observation": [0.1 * seeds[number]] * steps[number][1]}
    elif do == "step":
        if request["action"][0] == 0.25:
            sys.exit("the simulator crashed")
        if request["action"][0] == 0.5:
            reply = {"error": "MujocoException: Check for NaN in simulation."}
        else:
            steps[number][0] += 1
            over = steps[number][0] == steps[number][2]
            reply = {"observation": [float(steps[number][0])] * steps[number][1], "reward": 1 / 3, "terminated": False,
                     "truncated": over, "goal_achieved": request["action"][0] > 0}
    else:
        reply = {}
    print(json.dumps(reply), file=replies)
"""


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    original._worker.cache_clear()
    yield
    original._worker.cache_clear()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter whatever the script, which runs the worker above: it answers as D4RL's does and simulates nothing."""
    sizes = {task.name: (task.observation_size, task.action_size, task.horizon) for task in TASKS.values()}
    (tmp_path / "fake_sizes.py").write_text(f"SIZES = {sizes!r}\n")
    (tmp_path / "worker.py").write_text(WORKER)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "worker.py"}" "$3"\n')
    python.chmod(0o755)
    monkeypatch.setenv(original.PYTHON, str(python))
    return python


def act(value: float, task: Task) -> np.ndarray:
    return np.full(task.action_size, value, np.float32)


@pytest.mark.usefixtures("stand_in")
def test_an_environment_behind_the_pipe() -> None:
    env = make_env(HOPPER, simulator="d4rl")
    observation, info = env.reset(seed=3)
    assert observation.dtype == np.float64 and observation.tolist() == [0.1 * 3] * 11 and info == {}
    observation, reward, terminated, truncated, info = env.step(act(0.0, HOPPER))
    assert (observation[0], reward, terminated, truncated, info) == (1.0, 1 / 3, False, False, {})


@pytest.mark.usefixtures("stand_in")
def test_a_roll_out_ends_at_the_horizon_and_repeats() -> None:
    def policy(observations: np.ndarray) -> np.ndarray:
        return np.zeros((len(observations), 24), np.float32)

    first, again = (roll_out(PEN, policy, 2, seed=0, simulator="d4rl") for _ in range(2))
    assert first == again
    assert [(episode.length, episode.success) for episode in first] == [(100, False)] * 2
    assert first[0].undiscounted_return == pytest.approx(100 / 3)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("task", "held"), [(DOOR, 25), (PEN, 20)])
def test_success_is_holding_the_goal(task: Task, held: int) -> None:
    env = make_env(task, simulator="d4rl")
    for _ in range(2):  # a reset starts the count again
        env.reset(seed=0)
        found = [env.step(act(1.0, task))[4]["success"] for _ in range(held + 1)]
        assert found == [False] * held + [True]
    maze = make_env(MAZE, simulator="d4rl")
    maze.reset(seed=0)
    assert maze.step(act(0.0, MAZE))[4] == {"success": True}, "in a maze it is the reward"


@pytest.mark.usefixtures("stand_in")
def test_what_fails_in_the_worker_is_one_line() -> None:
    env = make_env(HOPPER, simulator="d4rl")
    env.reset(seed=0)
    with pytest.raises(SimulatorError, match=r"D4RL's step failed: MujocoException: Check for NaN"):
        env.step(act(0.5, HOPPER))
    env.step(act(0.0, HOPPER))  # it goes on
    with pytest.raises(SimulatorError, match=r"has ended \(the simulator crashed\): run again"):
        env.step(act(0.25, HOPPER))
    make_env(HOPPER, simulator="d4rl").reset(seed=0)  # in another worker


@pytest.mark.usefixtures("stand_in")
def test_a_task_that_is_not_d4rls_is_refused() -> None:
    with pytest.raises(SimulatorError, match=r"hopper-medium-v2 is not D4RL's: .* are \(11, 3, 1000\)"):
        make_env(replace(HOPPER, horizon=500), simulator="d4rl")
    with pytest.raises(SimulatorError, match="D4RL has no task my-own; leave --simulator out"):
        make_env(replace(HOPPER, name="my-own", url=None), simulator="d4rl")


def test_an_interpreter_that_cannot_run_them_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(python: Path | str, says: str) -> None:
        monkeypatch.setenv(original.PYTHON, str(python))
        with pytest.raises(SimulatorError, match=says) as caught:
            make_env(HOPPER, simulator="d4rl")
        assert "\n" not in str(caught.value)

    refused(tmp_path / "bin/python", r"not installed \(AILOT_D4RL_PYTHON=.*not there\): build it with `experiments/inst")
    refused(sys.executable, r"cannot run D4RL's environments \(ModuleNotFoundError.*\): build it with")  # ours has no mujoco-py
    (tmp_path / "python").write_text("")
    refused(tmp_path / "python", r"python cannot be started \(Permission denied\)")
    monkeypatch.setattr(original, "_OWN", tmp_path / ".venv-d4rl/bin/python")
    refused("", r"not installed \(.*\.venv-d4rl/bin/python is not there\)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--simulator", "d4rl"], "D4RL's simulator is not installed"),
        (["run", "--evaluation.simulator=d4rl"], "D4RL's simulator is not installed"),
        (["evaluate", "--simulator", "d4rl", "--video", "a.mp4"], "--video is drawn by the default simulator only"),
        (["evaluate", "--simulator", "mujoco-py"], "invalid choice"),
    ],
)
def test_the_command_line_refuses_in_one_line(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(original.PYTHON, str(tmp_path / "bin/python"))
    assert main([*arguments, "--store", str(tmp_path / "store"), "--device", "cpu"]) != 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


NAMES = (
    *("hopper-builtin", "halfcheetah-medium-v2", "walker2d-medium-v2", "antmaze-umaze-v0", "antmaze-large-play-v2"),
    *("pen-human-v0", "door-human-v1", "hammer-human-v1", "relocate-cloned-v0"),
)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", NAMES)
def test_d4rls_own_environments_fit_their_tasks_and_repeat(name: str) -> None:
    task = get_task(name)
    env = make_env(task, simulator="d4rl")
    first, other, again = (env.reset(seed=seed)[0] for seed in (1, 2, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    observation, reward, terminated, truncated, info = env.step(act(0.1, task))
    assert observation.shape == (task.observation_size,) and math.isfinite(reward) and not terminated and not truncated
    assert ("success" in info) == (task.domain != "locomotion")
    assert isinstance(env, original.D4RLEnv)
    np.testing.assert_array_equal(env.set_state(env.state()), env.set_state(env.state()))


@pytest.mark.usefixtures("built")
def test_d4rls_own_environment_is_cut_off_at_the_horizon() -> None:
    env = make_env(get_task("pen-human-v1"), simulator="d4rl")
    env.reset(seed=0)
    ends = [env.step(act(0.0, PEN))[2:4] for _ in range(100)]
    # The pen stays in the open hand or is dropped, which ends the episode before.
    assert ends[-1] == (False, True) or any(terminated for terminated, _ in ends)
