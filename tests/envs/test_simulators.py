"""Environments fit their tasks, replay recorded transitions, and refuse with one line that names the remedy."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from ailot_ray.envs import make_env
from ailot_ray.errors import SimulatorError
from ailot_ray.tasks import TASKS, Task, get_task

DATA = (Path(__file__).parents[2] / "../shared/data").resolve()
HOPPER = get_task("hopper-builtin")
DOOR = Task("door-test", "adroit", "AdroitHandDoor-v1", 39, 28, 200, -56.5, 2880.6)
BODIES = {task.environment: task for task in TASKS.values() if task.domain == "locomotion"}


@pytest.mark.parametrize("task", BODIES.values(), ids=BODIES.keys())
def test_locomotion_fits_its_task_and_is_made_silently(
    task: Task, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = make_env(task)
    assert env.spec is not None and env.spec.max_episode_steps == task.horizon == 1000
    assert env.spec.id == task.environment
    assert env.reset(seed=0)[0].shape == (task.observation_size,)
    assert env.action_space.shape == (task.action_size,)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())  # MuJoCo logs its own warnings into the working directory
    first, other, again = (env.reset(seed=seed)[0] for seed in (1, 2, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (replace(HOPPER, observation_size=12), r"hopper-builtin: Hopper-v4 has observations \(11,\).*the task says \(12,\)"),
        (replace(DOOR, action_size=3), r"actions \(28,\), but the task says \(39,\) and \(3,\)"),
        (replace(HOPPER, environment="NoSuchBody-v4"), "NoSuchBody-v4"),
        (replace(HOPPER, environment="Hopper-v99"), "Hopper-v99"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(task: Task, says: str) -> None:
    with pytest.raises(SimulatorError, match=says) as caught:
        make_env(task)
    assert "\n" not in str(caught.value)


def test_missing_gymnasium_robotics_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium_robotics", None)
    with pytest.raises(SimulatorError, match="door-test: AdroitHandDoor-v1 needs gymnasium-robotics: run `pip install"):
        make_env(DOOR)


def test_recorded_hopper_actions_lead_to_the_recorded_states_and_rewards() -> None:
    path = DATA / "hopper-medium.hdf5"
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data")
    rows = np.sort(np.random.default_rng(0).choice(100_000, size=300, replace=False))
    with h5py.File(path) as file:
        names = ("infos/qpos", "infos/qvel", "actions", "next_observations", "rewards")
        qpos, qvel, actions, expected, rewards = (file[name][:][rows] for name in names)
    env = make_env(HOPPER)
    env.reset(seed=0)
    state_errors, reward_errors = [], []
    for row in range(len(rows)):
        env.unwrapped.set_state(qpos[row].astype(float), qvel[row].astype(float))  # type: ignore[attr-defined]
        observation, reward, *_ = env.step(actions[row])
        env.reset(seed=0)  # the step may have ended the episode
        state_errors.append(np.abs(observation - expected[row]).max())
        reward_errors.append(abs(float(reward) - rewards[row]))
    assert np.median(state_errors) <= 1e-5
    assert np.median(reward_errors) <= 1e-4
