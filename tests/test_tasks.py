from collections import Counter

import gymnasium
import pytest

from ailot_ray.config import Config
from ailot_ray.errors import ConfigError
from ailot_ray.resolve import resolve
from ailot_ray.tasks import TASKS, get_task

D4RL = "http://rail.eecs.berkeley.edu/datasets/offline_rl"


def test_the_table_is_complete() -> None:
    assert Counter(task.domain for task in TASKS.values()) == {"locomotion": 10, "antmaze": 12, "adroit": 16}
    assert all(name == task.name for name, task in TASKS.items())
    files = [task.file_name for task in TASKS.values() if task.file_name]
    assert len(files) == len(set(files)) == len(TASKS) - 1  # they share one data directory
    for name in TASKS:
        resolve(Config(task=name))


@pytest.mark.parametrize(
    ("name", "file"),
    [  # read in d4rl/infos.py
        ("walker2d-medium-expert-v2", "gym_mujoco_v2/walker2d_medium_expert-v2.hdf5"),
        ("antmaze-umaze-v0", "ant_maze_new/Ant_maze_u-maze_noisy_multistart_False_multigoal_False_sparse.hdf5"),
        ("antmaze-medium-play-v0", "ant_maze_new/Ant_maze_big-maze_noisy_multistart_True_multigoal_False_sparse.hdf5"),
        (
            "antmaze-large-diverse-v2",
            "ant_maze_v2/Ant_maze_hardest-maze_noisy_multistart_True_multigoal_True_sparse_fixed.hdf5",
        ),
        ("pen-human-v0", "hand_dapg/pen-v0_demos_clipped.hdf5"),
        ("door-cloned-v0", "hand_dapg/door-demos-v0-bc-combined.hdf5"),
        ("relocate-cloned-v1", "hand_dapg_v1/relocate-cloned-v1.hdf5"),
    ],
)
def test_addresses_are_d4rls(name: str, file: str) -> None:
    assert get_task(name).url == f"{D4RL}/{file}"


@pytest.mark.parametrize(
    ("name", "returned", "score"),
    [
        ("hopper-medium-v2", 3234.3, 100.0),
        ("halfcheetah-medium-v2", -280.178953, 0.0),
        ("walker2d-medium-v2", 1.629008 + 0.5 * (4592.3 - 1.629008), 50.0),
        ("antmaze-large-play-v2", 0.25, 25.0),
        ("pen-cloned-v1", 3076.8331017826877, 100.0),
        ("door-human-v0", -56.512833, 0.0),
        ("hammer-human-v0", 12794.134825156867, 100.0),
        ("relocate-human-v1", -6.425911, 0.0),
    ],
)
def test_scores_use_d4rls_references(name: str, returned: float, score: float) -> None:
    assert get_task(name).score(returned) == pytest.approx(score)


def test_horizons() -> None:
    horizons = {name: task.horizon for name, task in TASKS.items()}
    assert {name for name, horizon in horizons.items() if horizon == 700} == {
        f"antmaze-umaze{kind}-{version}" for kind in ("", "-diverse") for version in ("v0", "v2")
    }
    assert {name for name, horizon in horizons.items() if horizon == 100} == {
        f"pen-{kind}-{version}" for kind in ("human", "cloned") for version in ("v0", "v1")
    }
    assert Counter(horizons.values()) == {1000: 10 + 8, 700: 4, 200: 12, 100: 4}


def test_published_scores_stay_with_their_version() -> None:
    assert get_task("antmaze-large-diverse-v0").published == {"iql": 47.5, "otr": 45.5, "ailot": 66.6}
    assert get_task("hammer-cloned-v0").published == {"iql": 2.1, "otr": 0.9, "seabo": 2.2}
    later = [name for name in TASKS if (name.startswith("antmaze") and name.endswith("v2")) or name.endswith("v1")]
    assert len(later) == 14 and not any(TASKS[name].published for name in later)
    assert sum(TASKS[f"{name}-v2"].published["seabo"] for name in LOCOMOTION) == pytest.approx(707.6, abs=0.06)
    assert sum(TASKS[f"{name}-v2"].published["iql"] for name in LOCOMOTION) == pytest.approx(692.4, abs=0.06)
    assert sum(TASKS[f"{name}-v2"].published["otr"] for name in LOCOMOTION) == pytest.approx(685.6, abs=0.06)


LOCOMOTION = [
    f"{body}-{quality}"
    for body in ("halfcheetah", "hopper", "walker2d")
    for quality in ("medium", "medium-replay", "medium-expert")
]


def test_sizes_are_the_simulators() -> None:
    gymnasium.register_envs(pytest.importorskip("gymnasium_robotics"))
    for environment in {task.environment for task in TASKS.values() if task.domain != "antmaze"}:
        env = gymnasium.make(environment)
        for task in TASKS.values():
            if task.environment == environment:
                assert env.observation_space.shape == (task.observation_size,), task.name
                assert env.action_space.shape == (task.action_size,), task.name
        env.close()


def test_unknown_task_suggests_near_names() -> None:
    with pytest.raises(ConfigError, match=r"--task antmaze-umaze is unknown: did you mean .*antmaze-umaze-v"):
        get_task("antmaze-umaze")
