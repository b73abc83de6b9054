"""Minari datasets whose observations are a Dict: one order of the parts, in the data and in the environment that plays."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import minari
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Text, Tuple
from minari.serialization import serialize_space

from ailot_ray.config import Config
from ailot_ray.data import load_dataset
from ailot_ray.data.inspection import format_inspection, inspect_dataset
from ailot_ray.data.minari_sets import read_minari
from ailot_ray.envs import make_env
from ailot_ray.envs.custom import describe_environment
from ailot_ray.errors import ConfigError, DataError, SimulatorError
from ailot_ray.parts import from_space, parts_of
from ailot_ray.tasks import get_task

from .remote import ENVIRONMENT, GOALS, ORDER, Reach, record

BOX = Box(-1.0, 1.0, (2,))


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("kind", ["hdf5", "arrow"])
def test_the_parts_stand_in_the_order_of_their_names(kind: str) -> None:
    data = load_dataset(Config(task=record("toy/reach-v0", kind=kind)))
    assert get_task(data.task).parts == data.notes.parts == ORDER
    for rows, episode in zip(data.rows(), minari.load_dataset("toy/reach-v0"), strict=True):
        goal, body = episode.observations["goal"], episode.observations["observation"]
        for column, expected in enumerate((goal["x"].ravel(), goal["y"][:, 0], *body.T)):
            assert np.array_equal(data.observations[rows, column], expected[:-1])
            assert np.array_equal(data.next_observations[rows, column], expected[1:])
    report = inspect_dataset(data)
    assert report["observation_parts"] == [list(part) for part in ORDER]
    assert "observations are    goal.x 1, goal.y 1, observation 3" in format_inspection(report)


def test_the_environment_shows_what_the_data_hold() -> None:
    """The same seeds and actions give the recorded observations, to the bit."""
    data = load_dataset(Config(task=record("toy/reach-v0")))
    with make_env(get_task(data.task)) as env:
        for seed, rows in enumerate(data.rows()):
            shown = [env.reset(seed=seed)[0], *(env.step(action)[0] for action in data.actions[rows])]
            assert np.array_equal(shown[:-1], data.observations[rows]) and np.array_equal(
                shown[1:], data.next_observations[rows]
            )


def test_the_order_is_gymnasiums() -> None:
    env = gymnasium.make(ENVIRONMENT)
    seen, _ = env.reset(seed=1)
    with make_env(describe_environment(ENVIRONMENT)) as flat:
        assert np.array_equal(flat.reset(seed=1)[0], np.asarray(gymnasium.spaces.flatten(GOALS, seen)))
    assert describe_environment(ENVIRONMENT).parts == ORDER
    assert parts_of(from_space(Dict([("b", BOX), ("a", BOX)]))) == (("a", 2), ("b", 2))  # a space in an order of its own


@pytest.mark.parametrize("name", ["PointMaze_UMaze-v3", "AntMaze_UMaze-v5"])
def test_mazes_of_gymnasium_robotics(name: str) -> None:
    pytest.importorskip("gymnasium_robotics")
    task = describe_environment(f"gymnasium_robotics:{name}")
    assert [part for part, _ in task.parts] == ["achieved_goal", "desired_goal", "observation"]
    with make_env(task) as env:
        shown = env.reset(seed=0)[0]
        assert shown.shape == (task.observation_size,)
        assert np.array_equal(shown[2:4], env.unwrapped.goal)  # type: ignore[attr-defined]


def test_a_dataset_names_a_maze_that_nothing_has_registered_yet() -> None:
    pytest.importorskip("gymnasium_robotics")
    about = {"id": "PointMaze_UMaze-v3", "entry_point": "os:system", "autoreset": False, "additional_wrappers": []}  # of 2023
    code = f"from ailot_ray.envs.custom import installed_spec as read; print(read('task', {json.dumps(about)!r}).entry_point)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert (done.stdout.strip(), done.stderr) == ("gymnasium_robotics.envs.maze.point_maze:PointMazeEnv", "")


UNUSABLE: dict[str, tuple[Any, str]] = {
    "image": (Box(0, 255, (8, 8, 3), np.uint8), r"Box of shape \[8, 8, 3\] and type uint8, not a vector of numbers"),
    "pixels": (Box(0, 255, (8,), np.uint8), r"Box of shape \[8\] and type uint8, not a vector of numbers"),
    "map": (Box(-1, 1, (2, 2)), r"Box of shape \[2, 2\] and type float32, not a vector of numbers"),
    "mode": (Discrete(3), "Discrete, not a vector"),
    "said": (Text(5), "Text, not a vector"),
    "pair": (Tuple([BOX, BOX]), "Tuple, not a vector"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_part_that_is_no_vector_is_named(name: str, root: Path) -> None:
    space, pattern = UNUSABLE[name]
    inner = Dict({"body": BOX, "eye": Dict({name: space})})
    reference = record("toy/reach-v0", episodes=1)
    about = root / "toy/reach-v0/data/metadata.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"observation_space": serialize_space(inner)}))
    with pytest.raises(
        ConfigError, match=rf"^{reference}: part eye.{name} of the observations is a {pattern}.*; record"
    ) as told:
        get_task(reference)
    assert "\n" not in str(told.value)
    with pytest.raises(DataError, match=f"part eye.{name} of the observations is a {pattern}"):
        read_minari(reference, describe_environment("Pendulum-v1"))
    gymnasium.register("Unusable-v0", f"{Reach.__module__}:Reach", max_episode_steps=3, kwargs={"space": inner})
    try:
        with pytest.raises(SimulatorError, match=f"Unusable-v0: part eye.{name} of .* is a {pattern}.*; leave it out with"):
            describe_environment("Unusable-v0")
    finally:
        del gymnasium.registry["Unusable-v0"]


@pytest.mark.parametrize("change", ["short", "wide", "missing", "another"])
def test_arrays_that_are_not_of_the_datasets_space(change: str, root: Path) -> None:
    reference = record("toy/reach-v0")
    with h5py.File(root / "toy/reach-v0/data/main_data.hdf5", "a") as file:
        group = file["episode_2/observations"]
        values = group["observation"][()]
        if change == "another":
            group["more"] = values
        else:
            del group["observation"]
        if change in ("short", "wide"):
            group["observation"] = values[:-1] if change == "short" else np.hstack([values, values])
    patterns = {
        "short": r"part observation of the observations has shape \(12, 3\) in episode 2, but .* make it \(13, 3\): collect",
        "wide": r"part observation of the observations has shape \(13, 6\) in episode 2, but .* make it \(13, 3\): collect",
        "missing": r"part observation of the observations is missing in episode 2, but .* make it \(13, 3\): collect or",
        "another": r"cannot be read \(KeyError: 'more'\): download it again, once .*toy/reach-v0 is",
    }
    with pytest.raises(DataError, match=f"{reference}:? {patterns[change]}") as caught:
        load_dataset(Config(task=reference))
    assert "\n" not in str(caught.value)


def test_an_environment_of_other_parts_is_refused(tmp_path: Path) -> None:
    task = get_task(record("toy/reach-v0"))
    sizes = "observation_size = 5\naction_size = 2\nhorizon = 12\nreference_min = 0\nreference_max = 1\n"
    text = f'[mine]\nenvironment = "{ENVIRONMENT}"\n{sizes}data = "{task.name}"\n'
    (tmp_path / "mine.toml").write_text(text)
    (tmp_path / "other.toml").write_text(text.replace("toy/reach-v0", "toy/elsewhere-v0"))
    mine = get_task(f"{tmp_path}/mine.toml:mine")
    assert mine.parts == ORDER and get_task(f"{tmp_path}/other.toml:mine").parts == ()
    make_env(mine).close()
    others = tuple((name.replace("goal.y", "goal.z"), size) for name, size in task.parts)
    for one in (task, mine):
        with pytest.raises(
            SimulatorError, match=r"Reach-v0 has observations of goal.x 1, goal.y 1, .* data have goal.x 1, goal.z"
        ):
            make_env(replace(one, parts=others))
    swing = replace(describe_environment("Pendulum-v1"), parts=ORDER)
    make_env(swing).close()  # a vector of one's own making
    with pytest.raises(SimulatorError, match=r"has observations of one part, but the data have goal.x 1, goal.y 1"):
        make_env(replace(swing, spec=gymnasium.spec("Pendulum-v1").to_json()))
