"""OGBench's single-task environments on states, as a Task's fields: ``pointmaze-medium-navigate-singletask-task1-v0``.

Names, sizes and horizons are those that OGBench 1.2 registers, and the kinds of data those that its `commands.sh` makes; they
stand here as well because the package is optional (the extra `ogbench`). One file serves the five tasks of an environment
and its default, which goes by the name without a number. A score is 100 · the share of episodes that reach the goal, as OGBench
reports it.
"""

import contextlib
import importlib
import tempfile
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ailot_ray.errors import AilotError

OGBENCH_URL = "https://rail.eecs.berkeley.edu/datasets/ogbench"
EPISODES = 50
"""Evaluation episodes of a task, as in OGBench's own code."""
_INSTALL = "run `pip install 'ailot-ray[ogbench]'`"


class Family(NamedTuple):
    """An environment and its data."""

    kinds: tuple[str, ...]
    """Kinds of data, each one file."""
    observation_size: int
    action_size: int
    horizon: int
    """Steps after which an episode is cut off."""


_PATHS, _ARMS = ("navigate", "stitch"), ("play", "noisy")
_EXPLORED = (*_PATHS, "explore")
FAMILIES: dict[str, Family] = {
    "pointmaze-medium": Family(_PATHS, 2, 2, 1000),
    "pointmaze-large": Family(_PATHS, 2, 2, 1000),
    "pointmaze-giant": Family(_PATHS, 2, 2, 1000),
    "pointmaze-teleport": Family(_PATHS, 2, 2, 1000),
    "antmaze-medium": Family(_EXPLORED, 29, 8, 1000),
    "antmaze-large": Family(_EXPLORED, 29, 8, 1000),
    "antmaze-giant": Family(_PATHS, 29, 8, 1000),
    "antmaze-teleport": Family(_EXPLORED, 29, 8, 1000),
    "humanoidmaze-medium": Family(_PATHS, 69, 21, 2000),
    "humanoidmaze-large": Family(_PATHS, 69, 21, 2000),
    "humanoidmaze-giant": Family(_PATHS, 69, 21, 4000),
    "antsoccer-arena": Family(_PATHS, 42, 8, 1000),
    "antsoccer-medium": Family(_PATHS, 42, 8, 1000),
    "cube-single": Family(_ARMS, 28, 5, 200),
    "cube-double": Family(_ARMS, 37, 5, 500),
    "cube-triple": Family(_ARMS, 46, 5, 1000),
    "cube-quadruple": Family(_ARMS, 55, 5, 1000),
    "scene": Family(_ARMS, 40, 5, 750),
    "puzzle-3x3": Family(_ARMS, 55, 5, 500),
    "puzzle-4x4": Family(_ARMS, 83, 5, 500),
    "puzzle-4x5": Family(_ARMS, 99, 5, 1000),
    "puzzle-4x6": Family(_ARMS, 115, 5, 1000),
}
"""Every environment on states that has single tasks and published data, by the beginning of its name."""

_TASKS: dict[str, tuple[str, str, str]] = {
    f"{family}-{kind}-{task}-v0": (family, kind, task)
    for family, (kinds, *_) in FAMILIES.items()
    for kind in kinds
    for task in ("singletask", *(f"singletask-task{number}" for number in range(1, 6)))
}
OGBENCH_NAMES = tuple(_TASKS)
"""What `--task` takes."""


def ogbench_task(name: str) -> dict[str, Any] | None:
    """The fields of the task of that name; None where OGBench has no such."""
    if name not in _TASKS:
        return None
    family, kind, task = _TASKS[name]
    settings: dict[str, Any] = {"evaluation.episodes": EPISODES}
    if family.startswith(("cube", "scene", "puzzle")):
        settings["icvf.standardise"] = True
    _, observations, actions, horizon = FAMILIES[family]
    return {
        "name": name,
        "domain": "ogbench",
        "environment": f"{family}-{task}-v0",
        "observation_size": observations,
        "action_size": actions,
        "horizon": horizon,
        "reference_min": 0.0,
        "reference_max": 1.0,
        "url": f"{OGBENCH_URL}/{family}-{kind}-v0.npz",
        "like": "antmaze",
        "settings": settings,
    }


def format_families(data_dir: Path) -> str:
    """A line for each environment, with the kinds of data whose file is in `data_dir`."""
    lines = [
        "",
        "ogbench: NAME-KIND-singletask-task1-v0 to …-task5-v0 (settings as in antmaze; score: share of episodes at the goal)",
        f"{'name':<29}{'kinds':<25}{'states':>6}{'actions':>8}{'horizon':>8}  data",
    ]
    for name, (kinds, observations, actions, horizon) in FAMILIES.items():
        there = [kind for kind in kinds if (data_dir / f"{name}-{kind}-v0.npz").exists()]
        sizes = f"{observations:>6}{actions:>8}{horizon:>8}"
        lines.append(f"{name:<29}{', '.join(kinds):<25}{sizes}  {', '.join(there) or '–'}")
    return "\n".join(lines)


@contextlib.contextmanager
def global_draws(generator: np.random.RandomState) -> Iterator[None]:
    """Let `generator` stand for NumPy's global one, which OGBench draws starts and teleports from, and go on from there."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.set_state(generator.get_state())  # noqa: NPY002
    try:
        yield
    finally:
        generator.set_state(np.random.get_state())  # noqa: NPY002
        np.random.set_state(before)  # noqa: NPY002


def make_original(name: str, failure: type[AilotError], where: str, **options: Any) -> Any:
    """OGBench's own environment of that gymnasium id. Raises `failure`, which begins with `where`, where it cannot be made."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of GLFW without a display, and of gymnasium about float64
            importlib.import_module("ogbench")
            importlib.import_module("dm_control.mjcf")
            with tempfile.TemporaryDirectory() as folder, _maze_files(folder):
                env = importlib.import_module("gymnasium").make(name, disable_env_checker=True, **options)
            raw = env.unwrapped
            # an arm's action space is a new one at each look, whose samples (it draws some at a reset) nobody can seed
            if isinstance(getattr(type(raw), "action_space", None), property):
                raw.__class__ = type(type(raw).__name__, (type(raw),), {"action_space": raw.action_space})
            return env
    except ImportError as error:
        raise failure(f"{where} needs OGBench ({error.name or error} is missing): {_INSTALL}") from error


@contextlib.contextmanager
def _maze_files(folder: str) -> Iterator[None]:
    """Have a maze written into `folder`: OGBench leaves the file, and its handle open, for each environment it makes."""
    module: Any = importlib.import_module("ogbench.locomaze.maze")
    before = module.tempfile
    module.tempfile = types.SimpleNamespace(mkstemp=lambda **_: (-1, f"{folder}/maze.xml"))
    try:
        yield
    finally:
        module.tempfile = before
