"""AntMaze files: what the development files hold, and files that cannot be of the task's maze."""

from pathlib import Path

import numpy as np
import pytest

from ailot_ray.config import Config
from ailot_ray.data import load_dataset
from ailot_ray.data.experts import choose_experts
from ailot_ray.errors import DataError
from ailot_ray.mazes import CELL, MAZES

from .synthetic import ANTMAZE, Arrays, episodes, shared, write_hdf5


def walks(lengths: list[int], ends: list[str]) -> Arrays:
    """Episodes that stay near the origin, without next_observations."""
    arrays = episodes(lengths, ends, ANTMAZE)
    arrays["observations"][:, :2] *= 0.1
    return {key: array for key, array in arrays.items() if key != "next_observations"}


def config(path: Path, expert: Path | None = None) -> Config:
    return Config(task=ANTMAZE.name, data=path, expert=expert)


@pytest.mark.parametrize(
    ("name", "task", "transitions", "successes"),
    [
        ("antmaze-umaze", "antmaze-umaze-v2", 60_000, 260),
        ("antmaze-medium-diverse", "antmaze-medium-diverse-v2", 100_000, 114),
    ],
)
def test_the_development_files_lie_on_their_maps(name: str, task: str, transitions: int, successes: int) -> None:
    chosen = Config(task=task, data=shared(name))
    dataset = load_dataset(chosen)
    maze = MAZES["AntMaze-" + name.split("-")[1]]
    assert dataset.notes.transitions_in_file == transitions and set(dataset.ends) <= {"terminal", "timeout", "file"}
    assert dataset.returns().sum() == successes
    starts = dataset.observations[dataset.offsets[:-1], :2]
    cells = maze.centre(maze.cell_of(starts))
    assert maze.is_free(starts).all() and np.abs(starts - cells).max() < 0.2
    arrived = dataset.observations[dataset.offsets[1:] - 1, :2][dataset.returns() == 1]
    assert np.linalg.norm(arrived - maze.goal, axis=1).max() < 1.0

    (expert,) = choose_experts(chosen, dataset)
    assert expert.true_return == 1.0  # among those that arrive, the one that began nearest to the origin
    distances = np.linalg.norm(starts, axis=1)[dataset.returns() == 1]
    assert np.linalg.norm(expert.observations[0, :2]) == pytest.approx(distances.min())
    assert np.linalg.norm(expert.observations[-1, :2] - maze.goal) < 1.0


def test_a_file_of_another_maze_is_refused(tmp_path: Path) -> None:
    arrays = walks([30, 30], ["timeout"] * 2)
    arrays["observations"][:, 0] += CELL  # (4, 0) is free, (4, 4) a wall
    load_dataset(config(write_hdf5(tmp_path / "free.hdf5", arrays)))
    arrays["observations"][30:, 1] += CELL
    path = write_hdf5(tmp_path / "walled.hdf5", arrays)
    with pytest.raises(
        DataError, match=r"walled.hdf5: 50% of the positions lie in walls of AntMaze-umaze, the first in row 30"
    ):
        load_dataset(config(path))


def test_an_expert_of_another_maze_is_refused(tmp_path: Path) -> None:
    dataset = write_hdf5(tmp_path / "data.hdf5", walks([30, 30], ["timeout"] * 2))
    expert = walks([30], ["timeout"])
    expert["observations"][:, 1] += CELL  # a wall of the U-maze
    chosen = config(dataset, expert=write_hdf5(tmp_path / "expert.hdf5", expert))
    with pytest.raises(DataError, match=r"expert.hdf5: 100% of the positions lie in walls .*: check --task and --expert"):
        choose_experts(chosen, load_dataset(chosen))


def test_a_jump_splits_a_dataset_but_not_an_expert(tmp_path: Path) -> None:
    arrays = walks([40], ["timeout"])
    arrays["observations"][20:, 0] += CELL
    path = write_hdf5(tmp_path / "jump.hdf5", arrays)
    assert load_dataset(config(path)).ends == ("gap", "timeout")
    chosen = config(path, expert=path)
    with pytest.raises(DataError, match=r"jump.hdf5: expert trajectory 0 jumps at its end, which no flag marks; set terminals"):
        choose_experts(chosen, load_dataset(chosen))


def test_rows_that_do_not_follow_one_another_are_refused(tmp_path: Path) -> None:
    arrays = walks([40], ["timeout"])
    arrays["observations"][::2, 0] += CELL
    path = write_hdf5(tmp_path / "shuffled.hdf5", arrays)
    with pytest.raises(
        DataError, match=r"shuffled.hdf5: the ant jumps in 9\d% of the steps, first from row 0 to the next; rows"
    ):
        load_dataset(config(path))


def test_stored_successors_do_not_hide_a_teleport(tmp_path: Path) -> None:
    """Each row's successor is stored, and is the next row: no gap shows, but no ant walks so."""
    arrays = walks([40], ["timeout"])
    arrays["observations"][1::2, 0] += CELL
    arrays["next_observations"] = np.roll(arrays["observations"], -1, axis=0)
    with pytest.raises(DataError, match=r"stored.hdf5: the ant jumps in \d+% of the steps, first from row 0"):
        load_dataset(config(write_hdf5(tmp_path / "stored.hdf5", arrays)))


def test_an_expert_whose_step_is_no_ants_is_refused(tmp_path: Path) -> None:
    """One jump in forty is no reason to refuse a dataset; an expert is one path."""
    arrays = walks([40], ["timeout"])
    arrays["observations"][30:, 0] += CELL
    arrays["next_observations"] = np.roll(arrays["observations"], -1, axis=0)
    arrays["next_observations"][-1] = arrays["observations"][-1]
    path = write_hdf5(tmp_path / "step.hdf5", arrays)
    chosen = config(path, expert=path)
    with pytest.raises(
        DataError, match=r"step.hdf5: expert trajectory 0 moves by [34]\.\d m in its step 29, and an ant by 0.5 m"
    ):
        choose_experts(chosen, load_dataset(chosen))
