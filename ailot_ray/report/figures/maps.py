"""Rewards over the maze: the expert's path, a few trajectories, and the mean reward of every place, as a PNG file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from ailot_ray.mazes import CELL, TARGET_RADIUS, Maze
from ailot_ray.report.figures.canvas import empty, save

_WALL, _EXPERT, _TARGET = "#4a5261", "#D55E00", "#009E73"
_COLOURS = "viridis"
_BIN = CELL / 4
"""Metres of a side of the squares that rewards are averaged over."""
_RIM = 0.6
"""Metres of the outer walls that are shown."""
MAX_TRAJECTORIES = 12
"""Trajectories that are drawn."""


def plot_rewards_on_maze(
    maze: Maze,
    positions: NDArray[np.float32],
    rewards: NDArray[np.float32],
    offsets: NDArray[np.int64],
    experts: Sequence[NDArray[np.float32]],
    path: Path,
    title: str = "",
) -> Figure:
    """Draw N transitions in E trajectories to the PNG file `path`, and return the figure.

    `positions` (N, 2) in metres, `rewards` (N,), `offsets` (E + 1,), `experts` the (Te, 2) paths. Left: the experts and 12
    trajectories, spread evenly over the ranking of all by mean reward, coloured by reward. Right: the mean reward over squares
    of 1 m. Both in one scale of colours, between the 1st and the 99th percentile of the rewards.
    """
    low, high = np.percentile(rewards, [1, 99])
    norm = Normalize(float(low), float(high) if high > low else float(low) + 1.0)
    left, right, bottom, top = maze.extent
    figure = empty(10.5, 4.8 * (top - bottom) / (right - left) + 1.1)
    paths, means = figure.subplots(1, 2)
    for number in _spread(rewards, offsets):
        rows = slice(offsets[number], offsets[number + 1])
        points = positions[rows]
        segments = np.stack([points[:-1], points[1:]], axis=1)
        colours = LineCollection(list(segments), cmap=_COLOURS, norm=norm, linewidths=1.3)
        colours.set_array(rewards[rows][:-1])
        paths.add_collection(colours)
        paths.plot(*points[0], ".", color="black", markersize=4, zorder=4)
    for number, expert in enumerate(experts):
        label = ("expert" if len(experts) == 1 else "experts") if number == 0 else None
        paths.plot(*expert.T, color=_EXPERT, linewidth=2.2, linestyle=(0, (4, 1.5)), zorder=5, label=label)
    paths.plot([], [], ".", color="black", markersize=4, label="start of a trajectory")
    image = means.imshow(
        _mean_rewards(maze, positions, rewards), origin="lower", extent=maze.extent, cmap=_COLOURS, norm=norm, zorder=1
    )
    titles = (
        f"{min(MAX_TRAJECTORIES, len(offsets) - 1)} of {len(offsets) - 1:,} trajectories",
        "mean reward over squares of 1 m",
    )
    for axes, text in zip((paths, means), titles, strict=True):
        draw_maze(axes, maze)
        axes.set_title(text, fontsize=9, loc="left")
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    figure.colorbar(image, ax=[paths, means], shrink=0.85, pad=0.01, extend="both").set_label("reward", fontsize=8.5)
    figure.suptitle(title, fontsize=9.5, fontweight="bold", x=0.01, ha="left")
    return save(figure, path)


def draw_maze(axes: Axes, maze: Maze) -> None:
    """Draw walls and target into `axes`, in metres, y upwards, as the simulator's camera shows them."""
    for x, y in maze.walls:
        axes.add_patch(Rectangle((x - CELL / 2, y - CELL / 2), CELL, CELL, facecolor=_WALL, edgecolor="none", zorder=3))
    axes.add_patch(Circle(tuple(maze.goal), TARGET_RADIUS, fill=False, edgecolor=_TARGET, linewidth=2.0, zorder=6))
    left, right, bottom, top = maze.extent
    rim = CELL - _RIM
    axes.set(xlim=(left + rim, right - rim), ylim=(bottom + rim, top - rim), aspect="equal")
    axes.tick_params(labelsize=7)


def _spread(rewards: NDArray[np.float32], offsets: NDArray[np.int64]) -> list[int]:
    """At most 12 trajectories of 2 steps or more, at even ranks of their mean reward, the poorest first."""
    lengths = np.diff(offsets)
    order = np.argsort(np.add.reduceat(rewards.astype(np.float64), offsets[:-1]) / lengths, kind="stable")
    order = order[lengths[order] > 1]
    ranks = np.linspace(0, len(order) - 1, min(MAX_TRAJECTORIES, len(order))).round().astype(int)
    return [int(number) for number in order[ranks]]


def _mean_rewards(maze: Maze, positions: NDArray[np.float32], rewards: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean reward of each square metre, rows by y; NaN where nothing was."""
    left, right, bottom, top = maze.extent
    bins = [np.arange(bottom, top + _BIN / 2, _BIN), np.arange(left, right + _BIN / 2, _BIN)]
    x, y = positions.T
    sums = np.histogram2d(y, x, bins=bins, weights=rewards)[0]
    counts = np.histogram2d(y, x, bins=bins)[0]
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts)
