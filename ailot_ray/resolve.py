"""From what a user said to what a result depends on: every setting left at None takes its default."""

from ailot_ray.config import Config, Target, flatten, with_settings
from ailot_ray.errors import ConfigError
from ailot_ray.methods import get_method
from ailot_ray.tasks import Task, get_task


def resolve(config: Config) -> Config:
    """Replace every None of `config` by the task's default, else the method's, else the domain's (docs/configuration.md).

    Raises ConfigError for an unknown task or method, a preset that is no setting, and a target or physics where
    there is none such.

    >>> resolve(Config(method="otr")).transport.metric
    'cosine'
    """
    task = get_task(config.task_name)
    given = flatten(config)
    defaults = get_method(config.method).defaults(task) | dict(task.settings)
    missing = {path: value for path, value in defaults.items() if given.get(path, "") is None}
    target = _target(config, task)
    if target != config.evaluation.target:
        missing["evaluation.target"] = target
    if config.task_name != config.task:
        missing["task"] = config.task_name
    filled = with_settings(config, missing)
    unknown = [path for path in defaults if path not in given]
    if unknown:
        with_settings(config, {path: defaults[path] for path in unknown})  # raises, and names the nearest setting
    _require_physics(config, task)
    return filled


def _require_physics(config: Config, task: Task) -> None:
    """Raises ConfigError where a task cannot be played in the physics that is asked for."""
    evaluation = config.evaluation
    if evaluation.physics == "d4rl" and task.domain == "custom":
        raise ConfigError(f"--evaluation.physics d4rl is for D4RL's tasks only: leave it out for {task.name}")
    if evaluation.physics == "mujoco" and evaluation.simulator == "d4rl":
        raise ConfigError("--evaluation.physics mujoco needs the default simulator: D4RL's own has D4RL's physics")


def _target(config: Config, task: Task) -> Target | None:
    """Where AntMaze's target lies; None elsewhere. Raises ConfigError where it cannot lie there."""
    given = config.evaluation.target
    if task.domain != "antmaze":
        if given is not None:
            raise ConfigError(f"--evaluation.target {given} is for AntMaze tasks only: leave it out for {task.name}")
        return None
    if config.evaluation.simulator == "d4rl":
        if given == "centre":
            raise ConfigError("--evaluation.target centre needs the default simulator: D4RL's own draws its targets")
        return "drawn"
    return given or ("drawn" if config.data is None and config.data_from is None else "centre")


def relevant_settings(config: Config) -> dict[str, object]:
    """The settings, by path, that a result of a resolved configuration depends on: the columns of a results table."""
    task, prefixes = get_task(config.task_name), get_method(config.method).paths_read(config.transport.space)
    settings = {path: value for path, value in flatten(config).items() if path.startswith(prefixes)}
    if task.domain == "custom":  # a definition that has changed makes rows of its own
        settings |= {
            f"task.{name}": getattr(task, name) for name in ("environment", "horizon", "reference_min", "reference_max")
        }
    return settings
