"""D4RL itself as the oracle: addresses, reference scores, horizons, and the reading of a file; and where we differ from it.

Runs where d4rl is installed (requirements-d4rl.txt), without mujoco-py: what D4RL registers is read in a process of its own, in
which mujoco-py and mjrl are empty modules.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from data.synthetic import ANTMAZE, HOPPER, Arrays, episodes, shared, write_hdf5

from ailot_ray.data.d4rl import read_d4rl
from ailot_ray.data.trajectories import Dataset
from ailot_ray.tasks import TASKS, Task, get_task

D4RLS = {name: task for name, task in TASKS.items() if task.url is not None}
REGISTRATIONS = """
import json, sys, types
import gym

def stand_in(name, **names):
    sys.modules[name] = module = types.ModuleType(name)
    vars(module).update(names)
    return module

stand_in("mujoco_py", MjViewer=object, builder=None)
stand_in("mjrl")
stand_in("mjrl.envs", mujoco_env=stand_in("mjrl.envs.mujoco_env", MujocoEnv=type("MujocoEnv", (gym.Env,), {})))
import d4rl.gym_mujoco, d4rl.hand_manipulation_suite, d4rl.locomotion
from gym.envs.registration import registry

names = sys.argv[1].split(",")
json.dump({name: {"horizon": registry[name].max_episode_steps, **registry[name].kwargs} for name in names}, sys.stdout)
"""

Transitions = dict[str, Any]
"""The arrays of D4RL's `qlearning_dataset`."""


@pytest.fixture(scope="module")
def d4rl(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:  # d4rl makes its dataset folder when it is imported
        patch.setenv("D4RL_DATASET_DIR", str(tmp_path_factory.mktemp("d4rl")))
        patch.setenv("D4RL_SUPPRESS_IMPORT_ERROR", "1")
        return pytest.importorskip("d4rl", reason="d4rl is not installed: pip install --no-deps -r requirements-d4rl.txt")


@pytest.fixture(scope="module")
def registered(d4rl: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The keyword arguments and horizon of D4RL's registered environments, by task."""
    folder = tmp_path_factory.mktemp("registered")
    command = [sys.executable, "-W", "ignore", "-c", REGISTRATIONS, ",".join(D4RLS)]
    environment = {"D4RL_DATASET_DIR": str(folder), "D4RL_SUPPRESS_IMPORT_ERROR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("task", D4RLS.values(), ids=D4RLS)
def test_the_table_of_tasks_is_d4rls(task: Task, d4rl: Any, registered: dict[str, dict[str, Any]]) -> None:
    theirs = registered[task.name]
    assert theirs["dataset_url"] == task.url
    assert theirs["horizon"] == task.horizon
    assert (theirs["ref_min_score"], theirs["ref_max_score"]) == (task.reference_min, task.reference_max)
    infos = d4rl.infos
    assert infos.DATASET_URLS[task.name] == task.url
    assert (infos.REF_MIN_SCORE[task.name], infos.REF_MAX_SCORE[task.name]) == (task.reference_min, task.reference_max)
    assert task.score(123.0) == pytest.approx(100 * d4rl.get_normalized_score(task.name, 123.0), rel=1e-12)


def d4rl_reads(d4rl: Any, path: Path, task: Task) -> tuple[Arrays, Transitions]:
    """What `OfflineEnv.get_dataset` and `qlearning_dataset` make of a file."""
    from gym import spaces  # noqa: PLC0415  (comes with d4rl, and may not be installed)

    env = d4rl.offline_env.OfflineEnv()
    env.observation_space = spaces.Box(-np.inf, np.inf, (task.observation_size,), np.float32)
    env.action_space = spaces.Box(-1, 1, (task.action_size,), np.float32)
    env._max_episode_steps = task.horizon
    arrays = env.get_dataset(h5path=str(path))
    return arrays, d4rl.qlearning_dataset(env, dataset=arrays)


def both(d4rl: Any, folder: Path, arrays: Arrays, task: Task = HOPPER, successors: bool = False) -> tuple[Dataset, Transitions]:
    """A file of `arrays` as we read it and as D4RL does."""
    path = write_hdf5(folder / "file.hdf5", arrays, without=[] if successors else ["next_observations"])
    raw, theirs = d4rl_reads(d4rl, path, task)
    for key in ("observations", "actions", "rewards", "terminals", "timeouts"):
        np.testing.assert_array_equal(raw[key], arrays[key])
    return read_d4rl(path, task, substituted=True), theirs


def assert_same_transitions(mine: Dataset, theirs: Transitions, rows: Any = slice(None)) -> None:
    """Ours (at `rows`) and D4RL's are the same, successors of terminal states aside: those are no part of a Bellman target."""
    for key in ("observations", "actions", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(mine, key)[rows], theirs[key], err_msg=key)
    goes_on = ~theirs["terminals"]
    np.testing.assert_array_equal(mine.next_observations[rows][goes_on], theirs["next_observations"][goes_on])


def test_a_file_without_successors_is_read_as_d4rl_reads_it(d4rl: Any, tmp_path: Path) -> None:
    arrays = episodes((8, 30, 12, 25, 9), ("terminal", "timeout", "terminal", "timeout", "none"))
    assert_same_transitions(*both(d4rl, tmp_path, arrays))


def test_d4rl_leaves_out_a_file_s_last_terminal(d4rl: Any, tmp_path: Path) -> None:
    # It needs the next row as a successor. We keep the transition: that it ends is what it teaches.
    mine, theirs = both(d4rl, tmp_path, episodes((8, 9), ("timeout", "terminal")))
    assert_same_transitions(mine, theirs, slice(None, -1))
    assert mine.terminals[-1] and not theirs["terminals"].any()


def test_d4rl_gives_a_terminal_the_next_episode_s_start_for_successor(d4rl: Any, tmp_path: Path) -> None:
    arrays = episodes((8, 9), ("terminal", "timeout"))
    mine, theirs = both(d4rl, tmp_path, arrays)
    np.testing.assert_array_equal(theirs["next_observations"][7], arrays["observations"][8])
    # Ours is the state itself, marked as unknown, so that nothing that looks at successors is led across episodes.
    np.testing.assert_array_equal(mine.next_observations[7], arrays["observations"][7])
    assert not mine.successor_known[7]


def test_stored_successors_are_kept_where_d4rl_drops_the_row(d4rl: Any, tmp_path: Path) -> None:
    # -v2's locomotion files store successors. qlearning_dataset does not read them, and drops the last row before a timeout.
    arrays = episodes((8, 30, 12, 9), ("terminal", "timeout", "timeout", "none"))
    mine, theirs = both(d4rl, tmp_path, arrays, successors=True)
    assert len(mine) == len(theirs["rewards"]) + 3  # two timeouts and the end of the file
    assert_same_transitions(mine, theirs, ~arrays["timeouts"] & (np.arange(59) < 58))


def test_d4rl_joins_episodes_where_a_file_was_joined(d4rl: Any, tmp_path: Path) -> None:
    # -medium-expert is two files, the first of which ends in the middle of an episode without a flag.
    arrays = episodes((8, 9, 10), ("none", "terminal", "timeout"))
    mine, theirs = both(d4rl, tmp_path, arrays, successors=True)
    np.testing.assert_array_equal(theirs["next_observations"][7], arrays["observations"][8])
    np.testing.assert_array_equal(mine.next_observations[7], arrays["next_observations"][7])
    assert mine.ends[0] == "gap" and mine.offsets[1] == 8


def test_d4rl_crosses_resets_where_antmaze_s_timeouts_are_late(d4rl: Any, tmp_path: Path) -> None:
    # AntMaze -v0: the ant is put back at the start some rows before the file says that the episode timed out.
    lengths = (20, 20, 20)
    arrays = episodes(lengths, ("timeout",) * 3, ANTMAZE)
    starts = np.cumsum((0, *lengths[:-1]))
    for start, length, place in zip(starts, lengths, (0.0, 8.0, 0.0), strict=True):
        arrays["observations"][start : start + length, :2] += place
    late = 3
    arrays["timeouts"] = np.roll(arrays["timeouts"], late)
    mine, theirs = both(d4rl, tmp_path, arrays, ANTMAZE)

    def longest(before: Any, after: Any) -> float:
        return float(np.linalg.norm(after[:, :2] - before[:, :2], axis=1).max())

    assert longest(theirs["observations"], theirs["next_observations"]) > 8
    assert longest(mine.observations, mine.next_observations) < 0.5
    assert mine.ends.count("gap") == 2


@pytest.mark.parametrize("task", ["antmaze-umaze-v0", "antmaze-medium-diverse-v2", "door-human-v0"])
def test_recorded_files_are_read_as_d4rl_reads_them(d4rl: Any, tmp_path: Path, task: str) -> None:
    keys = ("observations", "actions", "rewards", "terminals", "timeouts")
    with h5py.File(shared(task.rpartition("-")[0])) as file:
        arrays = {key: file[key][:6000] for key in keys}  # qlearning_dataset takes its time over each row
    assert_same_transitions(*both(d4rl, tmp_path, arrays, get_task(task)))
