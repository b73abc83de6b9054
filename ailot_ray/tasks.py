"""The table of tasks: data, environment, reference returns, published scores.

Reference returns, addresses and horizons are D4RL's (`d4rl/infos.py`, `max_episode_steps` of its registrations). Published
scores stand in `references.tsv`, each with its source (:data:`SOURCES`); the papers' of AntMaze and Adroit belong to the files
of -v0, CORL's to those of -v2 and -v1. D4RL publishes no checksums; `d4rl_files.tsv` has size and SHA-256 of 32 of its 37
files, as TensorFlow Datasets pins them (`tensorflow_datasets/url_checksums/d4rl_*.txt`). Tasks outside of the table are
described by a file of the user's, or are Minari datasets (:mod:`ailot_ray.task_files`).

Where D4RL contradicts itself: a comment in `locomotion/ant.py` says AntMaze -v2 uses the datasets of -v0, but the addresses
differ (-v2's files have their timeouts mended); Adroit's human demonstrations (door: up to 300 steps) outlast the horizon of
their task; and the reference returns of -v0 serve all later versions unmeasured.
"""

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ailot_ray.errors import ConfigError
from ailot_ray.ogbench_tasks import OGBENCH_NAMES, ogbench_task
from ailot_ray.parts import Parts
from ailot_ray.plugins import load_plugins
from ailot_ray.task_files import read_task

Domain = Literal["locomotion", "antmaze", "adroit", "ogbench", "custom"]


SOURCES = {
    "SEABO": "SEABO's paper (Lyu et al. 2024): means over seeds, one expert demonstration for OTR and SEABO",
    "AILOT": "AILOT's paper (Bobrin et al. 2024)",
    "CORL": "CORL's README at 022e449: last scores, mean and deviation over seeds",
    "OfflineRL-Kit": "OfflineRL-Kit's README: means over seeds",
    "JAX-CORL": "JAX-CORL's README: means over seeds",
}
"""Where references were read."""


@dataclass(frozen=True)
class Reference:
    """A published normalised score."""

    method: str
    score: float
    source: str
    """A key of :data:`SOURCES`."""
    deviation: float | None = None
    """Over seeds, where it is told."""


@dataclass(frozen=True)
class Task:
    name: str
    """What `--task` takes."""
    domain: Domain
    """``custom``: a task outside of the table."""
    environment: str
    """The gymnasium id that ailot_ray.envs makes."""
    observation_size: int
    action_size: int
    horizon: int
    """Steps after which an episode is cut off."""
    reference_min: float
    """Mean return of a random policy (D4RL)."""
    reference_max: float
    """Mean return of an expert policy (D4RL)."""
    url: str | None = None
    """Where D4RL publishes the file; None for the built-in dataset."""
    references: tuple[Reference, ...] = ()
    """Published scores; where there are several of a method, that of the first source counts as its published one."""
    data: str | None = None
    """Where a custom task's data lie: a file in D4RL's schema, or ``minari:ID``."""
    spec: str = ""
    """The environment's specification as gymnasium's JSON, where a Minari dataset carries one."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of a custom environment."""
    action_low: tuple[float, ...] | None = None
    """Bounds of the environment's actions, which files hold in its own units; None: ±1, as in D4RL."""
    action_high: tuple[float, ...] | None = None
    like: Domain = "locomotion"
    """The domain whose settings a custom task, or one of OGBench's, takes."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of a custom task, by path, which stand above those of its domain."""
    normalised: bool = True
    """False where no reference returns are known, so that a score is the return itself."""
    parts: Parts = ()
    """What the observations of the task's Minari dataset are put together of, in this order, where they are a Dict."""

    @property
    def preset(self) -> Domain:
        """The domain whose settings the task takes."""
        return self.like if self.domain in ("custom", "ogbench") else self.domain

    @property
    def of_d4rl(self) -> bool:
        """Whether D4RL publishes its file."""
        return self.url is not None and self.domain != "ogbench"

    @property
    def file_name(self) -> str | None:
        """Name of the task's own file in the data directory."""
        return None if self.url is None else self.url.rsplit("/", 1)[-1]

    @property
    def published(self) -> dict[str, float]:
        """By method the score of its first reference."""
        return {reference.method: reference.score for reference in reversed(self.references)}

    def references_of(self, method: str) -> tuple[Reference, ...]:
        """The method's published scores."""
        return tuple(reference for reference in self.references if reference.method == method)

    @property
    def published_file(self) -> tuple[int, str] | None:
        """Size in bytes and SHA-256 of the file that D4RL publishes, where they are known."""
        return None if self.url is None else _FILES.get(self.url.removeprefix(f"{_D4RL_URL}/"))

    @property
    def stand_in(self) -> str:
        """Name of a file that may stand in for the task's own: its name without the version (OGBench's: the file's own)."""
        if self.domain == "ogbench":
            return str(self.file_name)
        return f"{self.name.rsplit('-v', 1)[0]}.hdf5"

    def score(self, undiscounted_return: float) -> float:
        """D4RL's normalised score 100 · (return − min) / (max − min)."""
        return 100.0 * (undiscounted_return - self.reference_min) / (self.reference_max - self.reference_min)


_D4RL_URL = "http://rail.eecs.berkeley.edu/datasets/offline_rl"
_FILES = {
    name: (int(size), digest)
    for name, size, digest in map(str.split, Path(__file__).with_name("d4rl_files.tsv").read_text().splitlines())
}
_REFERENCES = [line.split("\t") for line in Path(__file__).with_name("references.tsv").read_text().splitlines()]


def _references(task: str) -> tuple[Reference, ...]:
    rows = (row[1:] for row in _REFERENCES if row[0] == task)
    return tuple(Reference(name, float(score), source, float(sd) if sd else None) for name, score, sd, source in rows)


_BODIES = {  # environment, observation size, action size, reference min, reference max
    "halfcheetah": ("HalfCheetah-v4", 17, 6, -280.178953, 12135.0),
    "hopper": ("Hopper-v4", 11, 3, -20.272305, 3234.3),
    "walker2d": ("Walker2d-v4", 17, 6, 1.629008, 4592.3),
}
_QUALITIES = ("medium", "medium-replay", "medium-expert")


def _locomotion() -> list[Task]:
    tasks = []
    for quality, body in itertools.product(_QUALITIES, _BODIES):
        environment, observations, actions, low, high = _BODIES[body]
        name, sizes = f"{body}-{quality}-v2", (observations, actions, 1000, low, high)
        url = f"{_D4RL_URL}/gym_mujoco_v2/{body}_{quality.replace('-', '_')}-v2.hdf5"
        tasks.append(Task(name, "locomotion", environment, *sizes, url, _references(name)))
    return tasks


_MAZES = {  # D4RL's name for the maze, horizon
    "umaze": ("u-maze", 700),
    "medium": ("big-maze", 1000),
    "large": ("hardest-maze", 1000),
}
_ANTMAZE_KINDS = {  # several starts, several goals in D4RL's file names
    "antmaze-umaze": ("False", "False"),
    "antmaze-umaze-diverse": ("True", "True"),
    "antmaze-medium-play": ("True", "False"),
    "antmaze-medium-diverse": ("True", "True"),
    "antmaze-large-play": ("True", "False"),
    "antmaze-large-diverse": ("True", "True"),
}
_ANTMAZE_FOLDERS = {"v0": ("ant_maze_new", "sparse"), "v2": ("ant_maze_v2", "sparse_fixed")}


def _antmaze() -> list[Task]:
    tasks = []
    for version, (folder, suffix) in _ANTMAZE_FOLDERS.items():
        for name, (starts, goals) in _ANTMAZE_KINDS.items():
            size = name.split("-")[1]
            maze, horizon = _MAZES[size]
            url = f"{_D4RL_URL}/{folder}/Ant_maze_{maze}_noisy_multistart_{starts}_multigoal_{goals}_{suffix}.hdf5"
            full, sizes = f"{name}-{version}", (29, 8, horizon, 0.0, 1.0)
            tasks.append(Task(full, "antmaze", f"AntMaze-{size}", *sizes, url, _references(full)))
    return tasks


_HANDS = {  # environment, observation size, action size, horizon, reference min, reference max
    "pen": ("AdroitHandPen-v1", 45, 24, 100, 96.262799, 3076.8331017826877),
    "door": ("AdroitHandDoor-v1", 39, 28, 200, -56.512833, 2880.5693087298737),
    "hammer": ("AdroitHandHammer-v1", 46, 26, 200, -274.856578, 12794.134825156867),
    "relocate": ("AdroitHandRelocate-v1", 39, 30, 200, -6.425911, 4233.877797728884),
}
_ADROIT_FILES = {"human": "{hand}-v0_demos_clipped", "cloned": "{hand}-demos-v0-bc-combined"}  # of -v0


def _adroit() -> list[Task]:
    tasks = []
    for (hand, sizes), kind in itertools.product(_HANDS.items(), _ADROIT_FILES):
        first, second = f"{hand}-{kind}-v0", f"{hand}-{kind}-v1"
        files = (f"hand_dapg/{_ADROIT_FILES[kind].format(hand=hand)}.hdf5", f"hand_dapg_v1/{second}.hdf5")
        for name, file in zip((first, second), files, strict=True):
            tasks.append(Task(name, "adroit", *sizes, f"{_D4RL_URL}/{file}", _references(name)))
    return tasks


_BUILT_IN = Task("hopper-builtin", "locomotion", "Hopper-v4", 11, 3, 1000, -20.272305, 3234.3)

TASKS: dict[str, Task] = {task.name: task for task in (_BUILT_IN, *_locomotion(), *_antmaze(), *_adroit())}

PUBLISHED: tuple[str, ...] = tuple(dict.fromkeys(method for task in TASKS.values() for method in task.published))
"""The methods of which any task has a published score."""


def register_task(task: Task) -> Task:
    """Add `task` to the table, or replace the one of its name. Raises ConfigError where it cannot be played or scored.

    In a module that AILOT_RAY_PLUGINS names, or an installed package's entry point (:mod:`ailot_ray.plugins`).
    """
    if ":" in task.name or min(task.observation_size, task.action_size, task.horizon) < 1:
        raise ConfigError(f"task {task.name}: its name must hold no colon, its sizes and horizon must be 1 or more")
    if task.reference_max <= task.reference_min:
        raise ConfigError(f"task {task.name}: reference_max must be above reference_min, the return that is score 0")
    TASKS[task.name] = task
    return task


PAPERS_VERSION = {"locomotion": "v2", "antmaze": "v0", "adroit": "v0"}
"""Of each domain the version whose scores the papers print: together 23 tasks."""


def tasks_named(names: Sequence[str]) -> tuple[str, ...]:
    """Names of tasks, each once, with a domain's in place of the domain's name; ``antmaze-v2`` is AntMaze in that version.

    Raises ConfigError as `get_task` does.

    >>> len(tasks_named(["locomotion", "antmaze", "adroit"])), tasks_named(["door-human-v1"])
    (23, ('door-human-v1',))
    """
    found: dict[str, None] = {}
    for name in names:
        domain, _, version = name.partition("-")
        of_domain = [
            task.name
            for task in TASKS.values()
            if task.domain == domain and task.of_d4rl and task.name.endswith(version or PAPERS_VERSION.get(domain, "-"))
        ]
        of_domain or get_task(name)
        found |= dict.fromkeys(of_domain or [name])
    return tuple(found)


def get_task(name: str) -> Task:
    """Look a task up: in the table, among OGBench's, in a file of tasks (``FILE.toml:NAME``), or in Minari's (``minari:ID``).

    Raises ConfigError with the nearest names where there is none, and as :func:`ailot_ray.task_files.read_task` does.
    """
    load_plugins()
    if ":" in name:
        return Task(**read_task(name))
    if name not in TASKS:
        if (fields := ogbench_task(name)) is not None:
            return Task(**fields)
        near = difflib.get_close_matches(name, (*TASKS, *OGBENCH_NAMES), n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ConfigError(f"--task {name} is unknown: {hint}`python -m ailot_ray tasks` lists all {len(TASKS)}, and OGBench's")
    return TASKS[name]
