"""The mazes of D4RL's AntMaze tasks, in D4RL's frame: where walls, start and target are.

The centre of the start cell is the origin, x grows with the column and y with the row, and a cell is 4 m wide. Layouts are
those that D4RL evaluates on (`U_MAZE_TEST`, `BIG_MAZE_TEST` and `HARDEST_MAZE_TEST` of `d4rl/locomotion/maze_env.py`); the
data of its -play and -diverse tasks were collected in the same walls with other goals.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

CELL = 4.0
"""Metres from one cell's centre to the next."""
WALL_HEIGHT = 2.0
"""Metres."""
TARGET_RADIUS = 0.5
"""Metres from the target within which it is reached."""

_WALL, _START, _GOAL = "#SG"


@dataclass(frozen=True)
class Maze:
    """A maze of H × W cells."""

    rows: tuple[str, ...]
    """H strings of W cells: ``#`` a wall, ``S`` the start, ``G`` the goal, ``.`` free."""

    @cached_property
    def cells(self) -> NDArray[np.str_]:
        """The cells as characters, (H, W)."""
        return np.array([list(row) for row in self.rows])

    @cached_property
    def walls(self) -> NDArray[np.float64]:
        """Centres of the wall cells, (walls, 2), row by row."""
        return self._centres(_WALL)

    @cached_property
    def free(self) -> NDArray[np.float64]:
        """Centres of all cells that are no wall, (cells, 2), row by row."""
        return self.centre(np.argwhere(self.cells != _WALL))

    @cached_property
    def goal(self) -> NDArray[np.float64]:
        """Centre of the goal cell, (2,)."""
        return self._centres(_GOAL).reshape(2)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Outer edges of the walls: least x, greatest x, least y, greatest y."""
        (left, bottom), (right, top) = self._corner, self._corner + CELL * np.array(self.cells.shape[::-1])
        return float(left), float(right), float(bottom), float(top)

    def centre(self, cells: ArrayLike) -> NDArray[np.float64]:
        """Centres (…, 2) of `cells`, (row, column) pairs of shape (…, 2)."""
        offsets = np.asarray(cells) - np.argwhere(self.cells == _START)[0]
        return np.asarray(CELL * offsets[..., ::-1], np.float64)

    def cell_of(self, xy: ArrayLike) -> NDArray[np.int64]:
        """The (row, column) pairs (…, 2) of the cells that the positions `xy`, (…, 2), lie in; may be off the map."""
        return np.floor((np.asarray(xy, np.float64) - self._corner) / CELL).astype(np.int64)[..., ::-1]

    def is_free(self, xy: ArrayLike) -> NDArray[np.bool_]:
        """Whether the positions `xy`, (…, 2), lie on the map and in no wall, (…)."""
        cells = self.cell_of(xy)
        inside = np.all((cells >= 0) & (cells < self.cells.shape), axis=-1, keepdims=True)
        row, column = np.moveaxis(np.where(inside, cells, 0), -1, 0)
        return np.asarray(inside[..., 0] & (self.cells[row, column] != _WALL))

    def draw_target(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """D4RL's target of an evaluation episode, (2,): the goal cell's centre, and on either axis U(0, 1) + U(0, 0.5) m more.

        Its -v2 environments draw one at every reset, those of -v0 one when they are made.
        """
        return self.goal + generator.uniform(0.0, 1.0, 2) + generator.uniform(0.0, 0.5, 2)

    @property
    def _corner(self) -> NDArray[np.float64]:
        return self.centre((0, 0)) - CELL / 2

    def _centres(self, kind: str) -> NDArray[np.float64]:
        return self.centre(np.argwhere(self.cells == kind))


MAZES: dict[str, Maze] = {
    "AntMaze-umaze": Maze(
        (
            "#####",
            "#S..#",
            "###.#",
            "#G..#",
            "#####",
        )
    ),
    "AntMaze-medium": Maze(
        (
            "########",
            "#S.##..#",
            "#..#...#",
            "##...###",
            "#..#...#",
            "#.#..#.#",
            "#...#.G#",
            "########",
        )
    ),
    "AntMaze-large": Maze(
        (
            "############",
            "#S...#.....#",
            "#.##.#.#.#.#",
            "#......#...#",
            "#.####.###.#",
            "#..#.#.....#",
            "##.#.#.#.###",
            "#..#...#.G.#",
            "############",
        )
    ),
}
"""Per environment of :mod:`ailot_ray.tasks`, its maze."""
