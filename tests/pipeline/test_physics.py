"""Recorded steps taken again: a file of this simulator fits, one of a changed simulator is told, another file is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.synthetic import Arrays, shared, write_hdf5

from ailot_ray.config import Config, PlayedPhysics
from ailot_ray.data import load_dataset
from ailot_ray.envs import make_env
from ailot_ray.errors import DataError
from ailot_ray.pipeline.physics import SAME_ERROR, PhysicsReport, check_physics, format_physics, told_physics
from ailot_ray.tasks import get_task

Change = Callable[[Any], None]


def heavier(model: Any) -> None:
    model.body_mass[:] *= 1.05


def stronger(model: Any) -> None:
    model.actuator_gear[:] *= 1.1


def weaker_hand(model: Any) -> None:
    model.actuator_gainprm[:, 0] *= 0.6


def coarser(model: Any) -> None:
    model.opt.timestep *= 1.2


def record(
    name: str,
    change: Change | None = None,
    episodes: int = 3,
    steps: int = 30,
    *,
    state: bool = False,
    physics: PlayedPhysics = "mujoco",
) -> Arrays:
    """Roll random actions out in the simulator of task `name`, `change`d; with infos/qpos and infos/qvel if `state`."""
    task = get_task(name)
    env: Any = make_env(task, physics=physics)
    simulator = env.unwrapped
    if change is not None:
        change(simulator.model)
    generator = np.random.default_rng(0)
    rows: dict[str, list[Any]] = {}
    for episode in range(episodes):
        observation, _ = env.reset(seed=episode)
        for step in range(steps):
            action = generator.uniform(-1.0, 1.0, task.action_size).astype(np.float32)
            qpos, qvel = simulator.data.qpos.copy(), simulator.data.qvel.copy()
            following, reward, *_ = simulator.step(action)
            row = {"observations": observation, "actions": action, "next_observations": following, "rewards": reward}
            row |= {"terminals": False, "timeouts": step == steps - 1, "infos/qpos": qpos, "infos/qvel": qvel}
            for key, value in row.items():
                rows.setdefault(key, []).append(value)
            observation = following
    arrays = {key: np.array(values, np.float32 if key != "timeouts" else np.bool_) for key, values in rows.items()}
    return {key: array for key, array in arrays.items() if state or not key.startswith("infos")}


def check(path: Path, task: str) -> PhysicsReport:
    return check_physics(load_dataset(Config(task=task, data=path)))


def check_arrays(folder: Path, task: str, arrays: Arrays, **options: Any) -> PhysicsReport:
    return check(write_hdf5(folder / "rolled.hdf5", arrays, **options), task)


@pytest.mark.parametrize(
    ("name", "state", "source"),
    [
        ("walker2d-medium-v2", True, "infos/qpos and infos/qvel"),
        ("walker2d-medium-v2", False, "observations"),
        ("halfcheetah-medium-v2", False, "observations"),
        ("antmaze-medium-play-v2", False, "observations"),
        ("door-human-v1", True, "infos/qpos and infos/qvel"),
    ],
)
def test_a_file_of_this_simulator_fits_to_single_precision(name: str, state: bool, source: str, tmp_path: Path) -> None:
    report = check_arrays(tmp_path, name, record(name, state=state))
    assert report.verdict == "fits" and report.state_from == source
    assert (report.starts >= 3, report.steps) == (True, 1)
    assert report.state_error <= 1e-6 and report.best.median <= SAME_ERROR
    assert "recorded in this simulator" in format_physics(report)


@pytest.mark.parametrize("change", [heavier, stronger, coarser])
@pytest.mark.parametrize("name", ["hopper-medium-v2", "antmaze-umaze-v0"])
def test_a_file_of_another_simulator_is_told(name: str, change: Change, tmp_path: Path) -> None:
    report = check_arrays(tmp_path, name, record(name, change))
    assert report.verdict == "differs"
    assert report.state_error <= 1e-6  # the states are set all the same
    assert "warning: recorded in another simulator; check --task and --data" in format_physics(report)


@pytest.mark.parametrize("name", ["halfcheetah-medium-v2", "hopper-medium-v2", "walker2d-medium-v2", "antmaze-umaze-v0"])
@pytest.mark.parametrize("physics", ["d4rl", "mujoco"])
def test_which_physics_a_file_was_recorded_in_is_told(name: str, physics: PlayedPhysics, tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "rolled.hdf5", record(name, physics=physics))
    report = check(path, name)
    assert (report.verdict, report.physics) == ("fits", physics)
    assert f"recorded in this simulator (--evaluation.physics {physics})" in format_physics(report)
    assert told_physics(load_dataset(Config(task=name, data=path))) == physics


@pytest.mark.parametrize("name", ["pen-human-v1", "door-human-v1", "hammer-human-v1", "relocate-human-v1"])
@pytest.mark.parametrize("physics", ["d4rl", "mujoco"])
def test_the_hands_steps_tell_it_where_things_touch(name: str, physics: PlayedPhysics, tmp_path: Path) -> None:
    report = check_arrays(tmp_path, name, record(name, physics=physics, state=True))
    assert (report.verdict, report.physics) == ("fits", physics) and report.best.repeated > 0.8


def test_what_tells_no_physics(tmp_path: Path) -> None:
    heavy = write_hdf5(tmp_path / "heavy.hdf5", record("hopper-medium-v2", heavier))
    assert told_physics(load_dataset(Config(task="hopper-medium-v2", data=heavy))) is None
    door = write_hdf5(tmp_path / "door.hdf5", record("door-human-v1", state=True))
    assert told_physics(load_dataset(Config(task="door-human-v1", data=door))) is None


def test_a_door_is_played_from_rest_where_velocities_are_not_recorded(tmp_path: Path) -> None:
    ours = check_arrays(tmp_path, "door-human-v1", record("door-human-v1"))
    assert (ours.verdict, ours.steps, ours.starts) == ("fits", 20, 3)
    assert "as far as its observations tell" in format_physics(ours)
    theirs = check_arrays(tmp_path, "door-human-v1", record("door-human-v1", weaker_hand))
    assert theirs.verdict == "differs"


def test_states_of_other_rows_are_told(tmp_path: Path) -> None:
    arrays = record("hopper-medium-v2", state=True)
    arrays["infos/qpos"] = np.roll(arrays["infos/qpos"], 1, axis=0)
    report = check_arrays(tmp_path, "hopper-medium-v2", arrays)
    assert report.state_error > SAME_ERROR and report.verdict != "fits"


def test_episode_ends_have_no_successor(tmp_path: Path) -> None:
    arrays = record("antmaze-umaze-v0")
    report = check_arrays(tmp_path, "antmaze-umaze-v0", arrays, without=("next_observations",))
    assert report.starts == 3 * 29 and report.best.maximum < 1e-4


def test_velocities_that_were_clipped_tell_no_state(tmp_path: Path) -> None:
    arrays = record("hopper-medium-v2")
    arrays["observations"][5, 8] = 10.0
    assert check_arrays(tmp_path, "hopper-medium-v2", arrays).starts == 89


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("hopper-medium", "hopper-medium-v2"),
        ("hopper-medium-replay", "hopper-medium-replay-v2"),
        ("halfcheetah-medium", "halfcheetah-medium-v2"),
        ("antmaze-umaze", "antmaze-umaze-v2"),
        ("antmaze-medium-diverse", "antmaze-medium-diverse-v2"),
    ],
)
def test_recorded_files_fit(name: str, task: str) -> None:
    report = check(shared(name), task)
    assert report.verdict == "fits" and report.starts == 1000
    assert report.best.median <= 1e-6 and report.physics == "mujoco"


def test_recorded_demonstrations_fit_as_far_as_they_tell() -> None:
    report = check(shared("door-human"), "door-human-v0")
    assert (report.verdict, report.steps, report.starts) == ("fits", 20, 25)
    assert report.state_error <= 1e-6


def test_what_cannot_be_checked_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rolled.hdf5: --physics needs infos/qpos and infos/qvel for AdroitHandPen-v1"):
        check_arrays(tmp_path, "pen-human-v0", record("pen-human-v0", episodes=1))
    with pytest.raises(DataError, match="built-in: --physics reads files in D4RL's HDF5 schema alone"):
        check_physics(load_dataset(Config(task="hopper-builtin")))
    arrays = record("hopper-medium-v2", state=True)
    with pytest.raises(DataError, match=r"infos/qpos and infos/qvel have sizes 9 and 6, but the simulator has 6 and 6"):
        check_arrays(tmp_path, "hopper-medium-v2", arrays | {"infos/qpos": np.zeros((90, 9))})
    with pytest.raises(DataError, match=r"infos/qvel has shape \(4, 6\), but observations has 90 rows"):
        check_arrays(tmp_path, "hopper-medium-v2", arrays | {"infos/qvel": np.zeros((4, 6))})
    with pytest.raises(DataError, match="finds no step whose"):  # shorter than the steps that are played from rest
        short = record("door-human-v1", episodes=2, steps=12)
        check_arrays(tmp_path, "door-human-v1", short, without=("next_observations",))
    with pytest.raises(DataError, match="finds no step whose"):  # whose last rows tell a successor, but no further step
        check_arrays(tmp_path, "door-human-v1", record("door-human-v1", episodes=2, steps=12))
    with pytest.raises(DataError, match="finds no step whose state and successor the file tells"):
        clipped = arrays["observations"].copy()
        clipped[:, 7] = 10.0
        infos = ("infos/qpos", "infos/qvel")
        check_arrays(tmp_path, "hopper-medium-v2", arrays | {"observations": clipped}, without=infos)
