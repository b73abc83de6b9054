"""The picture of rewards over a maze: what is in it, where, and in which colour."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from ailot_ray.mazes import MAZES
from ailot_ray.report.figures.maps import MAX_TRAJECTORIES, plot_rewards_on_maze

MAZE = MAZES["AntMaze-umaze"]


def walks(trajectories: int) -> tuple[Any, Any, Any]:
    """Paths along the lower corridor, whose reward is their height y."""
    x = np.tile(np.linspace(0.0, 8.0, 20), trajectories)
    y = np.repeat(np.linspace(-1.0, 1.0, trajectories), 20)
    offsets = np.arange(0, 20 * trajectories + 1, 20)
    return np.stack([x, y], axis=1).astype(np.float32), y.astype(np.float32), offsets


def test_paths_and_mean_rewards_are_drawn_where_they_are(tmp_path: Path) -> None:
    positions, rewards, offsets = walks(40)
    path = tmp_path / "map.png"
    figure = plot_rewards_on_maze(MAZE, positions, rewards, offsets, [positions[:20]], path, "a title")
    assert path.read_bytes().startswith(b"\x89PNG")
    paths, means = figure.axes[:2]
    drawn = [collection for collection in paths.collections if isinstance(collection, LineCollection)]
    heights = [float(collection.get_segments()[0][0][1]) for collection in drawn]
    assert len(drawn) == MAX_TRAJECTORIES and heights == sorted(heights)
    assert (heights[0], heights[-1]) == (-1.0, 1.0)  # from the poorest to the best
    assert [float(np.asarray(c.get_array())[0]) for c in drawn] == pytest.approx(heights)
    assert paths.lines[-2].get_xydata() == pytest.approx(positions[:20])  # the expert

    (image,) = means.images
    drawn_grid: Any = image.get_array()
    grid = np.ma.filled(drawn_grid, np.nan)
    assert grid.shape == (20, 20) and tuple(image.get_extent()) == MAZE.extent
    row, column = int(-0.5 + 6), int(4.5 + 6)  # y = −0.5 and x = 4.5, of squares that begin at −6
    assert grid[row, column] == pytest.approx(-0.5, abs=0.1)
    assert np.isnan(grid[0, 0])


def test_equal_rewards_and_few_trajectories_are_drawn(tmp_path: Path) -> None:
    positions, rewards, offsets = walks(2)
    figure = plot_rewards_on_maze(MAZE, positions, np.ones_like(rewards), offsets, [positions[:20]] * 2, tmp_path / "map.png")
    assert "2 of 2 trajectories" in figure.axes[0].get_title(loc="left")
