"""What a setting left at None means: the method's and the domain's own values (METHOD, sections 2 to 4 and baselines).

Baselines are presets of the same parts: OTR is an alignment of raw states under the cosine cost, SEABO a distance to the
nearest expert pair, behaviour cloning and IQL on true rewards have no alignment at all.
"""

from dataclasses import replace
from typing import Any, TypeVar

from ailot_ray.config import Config, ICVFConfig, IQLConfig, RewardConfig, Target, TransportConfig, flatten, with_settings
from ailot_ray.errors import ConfigError
from ailot_ray.tasks import Domain, Task, get_task

S = TypeVar("S", ICVFConfig, TransportConfig, RewardConfig, IQLConfig)

_IQL: dict[Domain, dict[str, float]] = {
    "locomotion": {"expectile": 0.7, "temperature": 3.0, "dropout": 0.0},
    "antmaze": {"expectile": 0.9, "temperature": 10.0, "dropout": 0.0},
    "adroit": {"expectile": 0.7, "temperature": 0.5, "dropout": 0.1},
}
_ICVF: dict[Domain, dict[str, Any]] = {
    "locomotion": {"standardise": True},
    "antmaze": {"standardise": False},
    "adroit": {"standardise": True},
}
_EPISODES: dict[Domain, int] = {"locomotion": 10, "antmaze": 100, "adroit": 10}

_TRANSPORT: dict[str, dict[str, Any]] = {
    "ailot": {
        "space": "intent",
        "metric": "sqeuclidean",
        "k": 2,
        "start": "cut",
        "solver": "sinkhorn",
        "epsilon": 0.01,
        "epsilon_unit": "relative",
    },
    "otr": {
        "space": "raw",
        "metric": "cosine",
        "k": 0,
        "start": "none",
        "solver": "sinkhorn",
        "epsilon": 0.01,
        "epsilon_unit": "absolute",
    },
    "seabo": {
        "space": "raw",
        "metric": "sqeuclidean",
        "k": 1,
        "start": "none",
        "solver": "nearest",
        "epsilon": 0.01,
        "epsilon_unit": "relative",
    },
}


def _reward(method: str, task: Task) -> dict[str, Any]:
    antmaze = task.preset == "antmaze"
    if method == "otr":
        beta = 1.0 if antmaze else 5.0 / task.observation_size
        return {"alpha": 5.0, "tau": beta, "scale": "none", "rescale": True, "shift": -2.0 if antmaze else 0.0}
    if method == "seabo":
        beta = {"locomotion": 0.5 / task.action_size, "antmaze": 5.0 / task.action_size, "adroit": 0.5}[task.preset]
        return {"alpha": 1.0, "tau": beta, "scale": "none", "rescale": False, "shift": -1.0 if antmaze else 0.0}
    if method == "iql":
        rescale = task.preset == "locomotion"
        return {"alpha": 1.0, "tau": 0.0, "scale": "none", "rescale": rescale, "shift": -1.0 if antmaze else 0.0}
    return {"alpha": 5.0, "tau": 0.5, "scale": "median", "rescale": True, "shift": -2.0 if antmaze else 0.0}


def _fill(section: S, values: dict[str, Any]) -> S:
    missing = {name: value for name, value in values.items() if getattr(section, name) is None}
    return replace(section, **missing)


def _target(config: Config, task: Task) -> Target | None:
    """Where AntMaze's target lies; None elsewhere. Raises ConfigError where it cannot lie there."""
    given = config.evaluation.target
    if task.domain != "antmaze":
        if given is not None:
            raise ConfigError(f"--evaluation.target {given} is for AntMaze tasks, and {task.name} is none: leave it out")
        return None
    if config.evaluation.simulator == "d4rl":
        if given == "centre":
            raise ConfigError("--evaluation.target centre needs the default simulator: D4RL's own draws its targets")
        return "drawn"
    return given or ("drawn" if config.data is None and config.data_from is None else "centre")


def resolve(config: Config) -> Config:
    """Return `config` with every None of its sections replaced. Raises ConfigError for an unknown task or an impossible target.

    A custom task's own settings come after what `config` says and before the method's and the domain's.
    """
    task = get_task(config.task)
    given = flatten(config)
    config = with_settings(config, {path: value for path, value in task.settings.items() if given[path] is None})
    episodes, target = config.evaluation.episodes or _EPISODES[task.preset], _target(config, task)
    return replace(
        config,
        icvf=_fill(config.icvf, _ICVF[task.preset]),
        transport=_fill(config.transport, _TRANSPORT.get(config.method, _TRANSPORT["ailot"])),
        reward=_fill(config.reward, _reward(config.method, task)),
        iql=_fill(config.iql, _IQL[task.preset]),
        evaluation=replace(config.evaluation, episodes=episodes, target=target),
    )


def paths_read(config: Config) -> tuple[str, ...]:
    """Beginnings of the paths that the method of a resolved configuration depends on."""
    sections = {
        "ailot": ("icvf.", "transport.", "reward.", "iql."),
        "bc": ("iql.",),
        "iql": ("reward.rescale", "reward.shift", "iql."),
    }.get(config.method, ("transport.", "reward.", "iql."))
    aligned = config.method not in ("bc", "iql")
    if aligned and config.transport.space == "intent":
        sections = (*sections, "icvf.")
    return (*sections, "evaluation.", *(("expert",) if aligned else ()))
