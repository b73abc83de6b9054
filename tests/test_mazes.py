"""The maze maps: D4RL's frame, a way from start to target, and where walls are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ailot_ray.mazes import CELL, MAZES, Maze
from ailot_ray.tasks import TASKS

MAP = Maze(("####", "#.S#", "#G##", "####"))


def test_every_antmaze_task_has_its_maze() -> None:
    assert {task.environment for task in TASKS.values() if task.domain == "antmaze"} == MAZES.keys()


@pytest.mark.parametrize(
    ("name", "goal", "extent"),
    [  # the targets and walls of D4RL's U_MAZE_TEST, BIG_MAZE_TEST and HARDEST_MAZE_TEST at a scaling of 4
        ("AntMaze-umaze", (0, 8), (-6, 14, -6, 14)),
        ("AntMaze-medium", (20, 20), (-6, 26, -6, 26)),
        ("AntMaze-large", (32, 24), (-6, 42, -6, 30)),
    ],
)
def test_the_frame_is_d4rls(name: str, goal: tuple[float, float], extent: tuple[float, ...]) -> None:
    maze = MAZES[name]
    assert tuple(maze.goal) == goal
    assert maze.extent == extent
    assert len(maze.walls) + len(maze.free) == maze.cells.size
    assert maze.is_free(maze.free).all() and not maze.is_free(maze.walls).any()
    assert maze.is_free((0.0, 0.0))


@pytest.mark.parametrize("maze", MAZES.values(), ids=MAZES.keys())
def test_walls_enclose_the_maze_and_leave_a_way_to_the_target(maze: Maze) -> None:
    border = np.concatenate([maze.cells[0], maze.cells[-1], maze.cells[:, 0], maze.cells[:, -1]])
    assert (border == "#").all()
    reached, frontier = {(0.0, 0.0)}, [(0.0, 0.0)]
    free = {tuple(centre) for centre in maze.free}
    while frontier:
        x, y = frontier.pop()
        for near in ((x + CELL, y), (x - CELL, y), (x, y + CELL), (x, y - CELL)):
            if near in free - reached:
                reached.add(near)
                frontier.append(near)
    assert reached == free  # no cell is shut off, the target's neither


def test_columns_are_x_and_rows_are_y() -> None:
    assert MAP.centre([1, 1]).tolist() == [-4.0, 0.0]
    assert MAP.goal.tolist() == [-4.0, 4.0]
    assert MAP.cell_of([[0.0, 0.0], [-4.0, 4.0], [1.9, -1.9], [2.1, 0.0]]).tolist() == [[1, 2], [2, 1], [1, 2], [1, 3]]


def test_nothing_off_the_map_is_free() -> None:
    assert not MAP.is_free([[-100.0, 0.0], [0.0, 100.0], [12.0, 0.0], [0.0, -12.0]]).any()


@given(st.integers(0, 3), st.integers(0, 3), st.floats(-1.999, 1.999), st.floats(-1.999, 1.999))
def test_a_position_lies_in_the_cell_whose_centre_is_near(row: int, column: int, x: float, y: float) -> None:
    position = MAP.centre([row, column]) + np.array([x, y])
    assert MAP.cell_of(position).tolist() == [row, column]
    assert bool(MAP.is_free(position)) == (MAP.cells[row, column] != "#")


def test_drawn_targets_are_d4rls() -> None:
    maze, generator = MAZES["AntMaze-large"], np.random.default_rng(0)
    offsets: NDArray[np.float64] = np.array([maze.draw_target(generator) for _ in range(4000)]) - maze.goal
    assert offsets.min() >= 0.0 and offsets.max() <= 1.5
    assert offsets.mean(axis=0) == pytest.approx([0.75, 0.75], abs=0.02)
    assert offsets.var(axis=0) == pytest.approx([1.25 / 12] * 2, rel=0.1)  # of U(0, 1) + U(0, 0.5)
