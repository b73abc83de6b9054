"""The table of tasks: data, environment, reference scores, published scores.

Reference returns, addresses and horizons are D4RL's (`d4rl/infos.py`, `max_episode_steps` of its registrations); published
scores are means over seeds with one expert demonstration, as read in SEABO's paper (IQL on true rewards, OTR, SEABO), and
AILOT's own where it is known. Those of AntMaze and Adroit belong to the files of -v0; the later versions are other files
and carry none. D4RL publishes no checksums; `d4rl_files.tsv` beside this file has size and SHA-256 of 32 of its 37 files, as
TensorFlow Datasets pins them (`tensorflow_datasets/url_checksums/d4rl_*.txt`). Tasks outside of the table are described by a
file of the user's, or are Minari datasets (:mod:`ailot_ray.task_files`).

Where D4RL contradicts itself: a comment in `locomotion/ant.py` says AntMaze -v2 uses the datasets of -v0, but the addresses
differ (-v2's files have their timeouts mended); Adroit's human demonstrations (door: up to 300 steps) outlast the horizon of
their task; and the reference returns of -v0 serve all later versions unmeasured.
"""

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ailot_ray.errors import ConfigError
from ailot_ray.parts import Parts
from ailot_ray.plugins import load_plugins
from ailot_ray.task_files import read_task

Domain = Literal["locomotion", "antmaze", "adroit", "custom"]


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
    published: dict[str, float] = field(default_factory=dict)
    """Published normalised scores by method."""
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
    """The domain whose settings a custom task takes."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of a custom task, by path, which stand above those of its domain."""
    normalised: bool = True
    """False where no reference returns are known, so that a score is the return itself."""
    parts: Parts = ()
    """What the observations of the task's Minari dataset are put together of, in this order, where they are a Dict."""

    @property
    def preset(self) -> Domain:
        """The domain whose settings the task takes."""
        return self.like if self.domain == "custom" else self.domain

    @property
    def file_name(self) -> str | None:
        """Name of the task's own file in the data directory."""
        return None if self.url is None else self.url.rsplit("/", 1)[-1]

    @property
    def published_file(self) -> tuple[int, str] | None:
        """Size in bytes and SHA-256 of the file that D4RL publishes, where they are known."""
        return None if self.url is None else _FILES.get(self.url.removeprefix(f"{_D4RL_URL}/"))

    @property
    def stand_in(self) -> str:
        """Name of a file that may stand in for the task's own: its name without the version."""
        return f"{self.name.rsplit('-v', 1)[0]}.hdf5"

    def score(self, undiscounted_return: float) -> float:
        """D4RL's normalised score 100 · (return − min) / (max − min)."""
        return 100.0 * (undiscounted_return - self.reference_min) / (self.reference_max - self.reference_min)


_D4RL_URL = "http://rail.eecs.berkeley.edu/datasets/offline_rl"
_FILES = {
    name: (int(size), digest)
    for name, size, digest in map(str.split, Path(__file__).with_name("d4rl_files.tsv").read_text().splitlines())
}
_BODIES = {  # environment, observation size, action size, reference min, reference max
    "halfcheetah": ("HalfCheetah-v4", 17, 6, -280.178953, 12135.0),
    "hopper": ("Hopper-v4", 11, 3, -20.272305, 3234.3),
    "walker2d": ("Walker2d-v4", 17, 6, 1.629008, 4592.3),
}
_LOCOMOTION_PUBLISHED = {  # IQL on true rewards, OTR, SEABO
    "halfcheetah-medium": (47.4, 43.3, 45.0),
    "hopper-medium": (66.2, 78.7, 74.7),
    "walker2d-medium": (78.3, 79.4, 81.3),
    "halfcheetah-medium-replay": (44.2, 41.3, 42.4),
    "hopper-medium-replay": (94.7, 84.8, 88.0),
    "walker2d-medium-replay": (73.8, 66.0, 76.4),
    "halfcheetah-medium-expert": (86.7, 89.6, 91.8),
    "hopper-medium-expert": (91.5, 93.2, 97.5),
    "walker2d-medium-expert": (109.6, 109.3, 110.5),
}


def _locomotion() -> list[Task]:
    tasks = []
    for name, scores in _LOCOMOTION_PUBLISHED.items():
        body, quality = name.split("-", 1)
        environment, observations, actions, low, high = _BODIES[body]
        url = f"{_D4RL_URL}/gym_mujoco_v2/{body}_{quality.replace('-', '_')}-v2.hdf5"
        published = dict(zip(("iql", "otr", "seabo"), scores, strict=True))
        tasks.append(Task(f"{name}-v2", "locomotion", environment, observations, actions, 1000, low, high, url, published))
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
_ANTMAZE_PUBLISHED = {
    "antmaze-umaze": {"iql": 87.5, "otr": 83.4},
    "antmaze-umaze-diverse": {"iql": 62.2, "otr": 68.9},
    "antmaze-medium-play": {"iql": 71.2, "otr": 70.5},
    "antmaze-medium-diverse": {"iql": 70.0, "otr": 70.4},
    "antmaze-large-play": {"iql": 39.6, "otr": 45.3},
    "antmaze-large-diverse": {"iql": 47.5, "otr": 45.5, "ailot": 66.6},
}


def _antmaze() -> list[Task]:
    tasks = []
    for version, (folder, suffix) in _ANTMAZE_FOLDERS.items():
        for name, (starts, goals) in _ANTMAZE_KINDS.items():
            size = name.split("-")[1]
            maze, horizon = _MAZES[size]
            url = f"{_D4RL_URL}/{folder}/Ant_maze_{maze}_noisy_multistart_{starts}_multigoal_{goals}_{suffix}.hdf5"
            published = _ANTMAZE_PUBLISHED[name] if version == "v0" else {}
            tasks.append(
                Task(f"{name}-{version}", "antmaze", f"AntMaze-{size}", 29, 8, horizon, 0.0, 1.0, url, dict(published))
            )
    return tasks


_HANDS = {  # environment, observation size, action size, horizon, reference min, reference max
    "pen": ("AdroitHandPen-v1", 45, 24, 100, 96.262799, 3076.8331017826877),
    "door": ("AdroitHandDoor-v1", 39, 28, 200, -56.512833, 2880.5693087298737),
    "hammer": ("AdroitHandHammer-v1", 46, 26, 200, -274.856578, 12794.134825156867),
    "relocate": ("AdroitHandRelocate-v1", 39, 30, 200, -6.425911, 4233.877797728884),
}
_ADROIT_FILES = {"human": "{hand}-v0_demos_clipped", "cloned": "{hand}-demos-v0-bc-combined"}  # of -v0
_ADROIT_PUBLISHED = {  # IQL on true rewards, OTR, SEABO
    "pen-human": (70.7, 66.8, 94.3),
    "pen-cloned": (37.2, 46.9, 48.7),
    "door-human": (3.3, 5.9, 5.1),
    "door-cloned": (1.6, 0.0, 0.4),
    "hammer-human": (1.6, 1.8, 2.7),
    "hammer-cloned": (2.1, 0.9, 2.2),
    "relocate-human": (0.1, 0.1, 0.4),
    "relocate-cloned": (-0.2, -0.2, -0.2),
}


def _adroit() -> list[Task]:
    tasks = []
    for name, scores in _ADROIT_PUBLISHED.items():
        hand, kind = name.split("-")
        sizes = _HANDS[hand]
        published = dict(zip(("iql", "otr", "seabo"), scores, strict=True))
        first = f"{_D4RL_URL}/hand_dapg/{_ADROIT_FILES[kind].format(hand=hand)}.hdf5"
        tasks.append(Task(f"{name}-v0", "adroit", *sizes, first, published))
        tasks.append(Task(f"{name}-v1", "adroit", *sizes, f"{_D4RL_URL}/hand_dapg_v1/{name}-v1.hdf5"))
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


def get_task(name: str) -> Task:
    """Look a task up: in the table, in a file of tasks (``FILE.toml:NAME``), or among Minari's datasets (``minari:ID``).

    Raises ConfigError with the nearest names where there is none, and as :func:`ailot_ray.task_files.read_task` does.
    """
    load_plugins()
    if ":" in name:
        return Task(**read_task(name))
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ConfigError(f"--task {name} is unknown: {hint}`python -m ailot_ray tasks` lists all {len(TASKS)}")
    return TASKS[name]
