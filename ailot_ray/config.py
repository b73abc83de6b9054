"""One tree of frozen settings. The path of a field (``reward.tau``) is its flag, grid key, results column and axis.

A field whose default is ``None`` takes the method's or the domain's value when the configuration is resolved
(:func:`ailot_ray.defaults.resolve`); digests are taken of resolved configurations only.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ailot_ray.errors import ConfigError

Method = Literal["ailot", "otr", "seabo", "bc", "iql"]
Space = Literal["intent", "raw", "standardised"]
Metric = Literal["sqeuclidean", "euclidean", "cosine"]
Start = Literal["cut", "mask", "none"]
Solver = Literal["sinkhorn", "pot", "exact", "nearest"]
Simulator = Literal["gymnasium", "d4rl"]
Target = Literal["centre", "drawn"]
Actions = Literal["mean", "sample"]
METHODS: tuple[Method, ...] = get_args(Method)
MINARI = "minari:"
"""Begins the name of a Minari dataset, as a task and as data."""


def _require(condition: bool, path: str, value: object, rule: str) -> None:
    if not condition:
        raise ConfigError(f"--{path} is {value}, but it must be {rule}")


def _require_fraction(path: str, value: float) -> None:
    _require(0.0 <= value <= 1.0, path, value, "between 0 and 1")


@dataclass(frozen=True)
class ICVFConfig:
    """Intent pretraining (METHOD: ICVF, Ghosh et al. 2023)."""

    steps: int = 250_000
    """Gradient steps. 0 keeps the untrained encoder."""
    batch_size: int = 256
    """Transitions of a gradient step."""
    width: int = 256
    """Width of φ, ψ and T, and so the dimension of an intent."""
    layer_norm: bool = True
    """LayerNorm after each layer of φ, ψ and T."""
    standardise: bool | None = None
    """Give the networks states of zero mean and unit variance over the dataset. Left alone: not in AntMaze, where 27 numbers of
    the ant's gait would outweigh the two of its place."""
    learning_rate: float = 3e-4
    """Of Adam."""
    discount: float = 0.99
    """γ."""
    polyak: float = 0.005
    """Rate at which the target networks follow."""
    expectile: float = 0.9
    """Weight of transitions that the intent explains, against 1 minus it for the others."""
    goal_current: float = 0.2
    """Share of goals that are the current state."""
    goal_trajectory: float = 0.5
    """Share of goals that are a later state of the same trajectory; the rest are any state."""
    goal_same: float = 0.5
    """Share of samples whose outcome g is the intent's goal."""

    def __post_init__(self) -> None:
        _require(self.steps >= 0, "icvf.steps", self.steps, "0 or more")
        _require(self.batch_size >= 1, "icvf.batch-size", self.batch_size, "1 or more")
        _require(self.width >= 1, "icvf.width", self.width, "1 or more")
        _require(self.learning_rate > 0, "icvf.learning-rate", self.learning_rate, "above 0")
        for name in ("discount", "polyak", "expectile", "goal_current", "goal_trajectory", "goal_same"):
            _require_fraction(f"icvf.{name.replace('_', '-')}", getattr(self, name))
        both = self.goal_current + self.goal_trajectory
        _require(both <= 1.0, "icvf.goal-trajectory", self.goal_trajectory, "at most 1 minus --icvf.goal-current")


@dataclass(frozen=True)
class TransportConfig:
    """Alignment of agent and expert trajectories (METHOD: entropic optimal transport per trajectory)."""

    space: Space | None = None
    """Where distances are taken: learned intents, raw states, or standardised states."""
    metric: Metric | None = None
    """Squared Euclidean distance, Euclidean distance, or one minus the cosine."""
    k: int | None = None
    """Look-ahead in steps; 0 compares single states."""
    start: Start | None = None
    """The expert before its state nearest to the agent's first: cut off before solving, masked after, or kept."""
    solver: Solver | None = None
    """Our Sinkhorn, POT's Sinkhorn, POT's exact linear programme, or nearest neighbours without a transport (SEABO)."""
    epsilon: float | None = None
    """Entropic regularisation."""
    epsilon_unit: Literal["relative", "absolute"] | None = None
    """Whether epsilon is a multiple of the mean cost of each problem."""
    tolerance: float = 1e-3
    """L1 error of the marginals at which a solve has converged."""
    max_iterations: int = 5000
    """Iterations after which a solve is given up, and counted."""

    def __post_init__(self) -> None:
        _require(self.k is None or self.k >= 0, "transport.k", self.k, "0 or more")
        _require(self.epsilon is None or self.epsilon > 0, "transport.epsilon", self.epsilon, "above 0")
        _require(self.tolerance > 0, "transport.tolerance", self.tolerance, "above 0")
        _require(self.max_iterations >= 1, "transport.max-iterations", self.max_iterations, "1 or more")


@dataclass(frozen=True)
class RewardConfig:
    """From per-step cost to reward: α·exp(−τ·cost/s), then the domain's rescaling."""

    alpha: float | None = None
    """α, the reward of a cost of 0."""
    tau: float | None = None
    """τ: how fast the reward falls with the cost."""
    scale: Literal["median", "none"] | None = None
    """s: the dataset's median cost, or 1."""
    rescale: bool | None = None
    """Multiply by 1000 / (largest − smallest trajectory return)."""
    shift: float | None = None
    """Added last."""

    def __post_init__(self) -> None:
        _require(self.alpha is None or self.alpha > 0, "reward.alpha", self.alpha, "above 0")
        _require(self.tau is None or self.tau >= 0, "reward.tau", self.tau, "0 or more")


@dataclass(frozen=True)
class IQLConfig:
    """Policy learning (METHOD: IQL, Kostrikov et al. 2022). Behaviour cloning shares steps, sizes, rate, dropout."""

    steps: int = 1_000_000
    """Gradient steps."""
    batch_size: int = 256
    """Transitions of a gradient step."""
    width: int = 256
    """Units of each of the two hidden layers."""
    learning_rate: float = 3e-4
    """Of Adam; the actor's decays by a cosine."""
    discount: float = 0.99
    """γ."""
    polyak: float = 0.005
    """Rate at which the target critics follow."""
    expectile: float | None = None
    """Of the value function: 0.5 is the mean, near 1 the best action in the data."""
    temperature: float | None = None
    """Inverse temperature of the advantage weights exp(temperature · advantage)."""
    max_weight: float = 100.0
    """Advantage weights are clipped here."""
    dropout: float | None = None
    """Dropout rate of the actor."""
    snapshots: int = 10
    """Policies kept on the way, at equal distances; the last is the result, the others make the learning curve."""

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "iql.steps", self.steps, "1 or more")
        _require(self.batch_size >= 1, "iql.batch-size", self.batch_size, "1 or more")
        _require(self.width >= 1, "iql.width", self.width, "1 or more")
        _require(self.learning_rate > 0, "iql.learning-rate", self.learning_rate, "above 0")
        _require(self.max_weight > 0, "iql.max-weight", self.max_weight, "above 0")
        _require(1 <= self.snapshots <= self.steps, "iql.snapshots", self.snapshots, "between 1 and --iql.steps")
        for name in ("discount", "polyak"):
            _require_fraction(f"iql.{name}", getattr(self, name))
        _require(self.expectile is None or 0 < self.expectile < 1, "iql.expectile", self.expectile, "between 0 and 1")
        _require(self.temperature is None or self.temperature >= 0, "iql.temperature", self.temperature, "0 or more")
        _require(self.dropout is None or 0 <= self.dropout < 1, "iql.dropout", self.dropout, "at least 0 and below 1")


@dataclass(frozen=True)
class EvaluationConfig:
    """Roll-outs in the simulator."""

    episodes: int | None = None
    """Episodes of the final policy."""
    curve_episodes: int = 5
    """Episodes of each earlier snapshot; 0 skips the learning curve."""
    simulator: Simulator = "gymnasium"
    """Today's MuJoCo, or d4rl: D4RL's original environments on mujoco-py (docs/fidelity.md). `--simulator` for short."""
    target: Target | None = None
    """AntMaze's target: at the centre of the goal's cell, or drawn at every reset as D4RL does. Left alone: drawn on D4RL's own
    files, whose published scores it was for, and the centre on files that stand in for them."""
    actions: Actions = "mean"
    """The policy's mean action, as IQL's authors evaluate, or a sample of π(a|s): by means alone an agent can come to rest
    where that of the data stood still, and stay there."""

    def __post_init__(self) -> None:
        _require(self.episodes is None or self.episodes >= 1, "evaluation.episodes", self.episodes, "1 or more")
        _require(self.curve_episodes >= 0, "evaluation.curve-episodes", self.curve_episodes, "0 or more")


@dataclass(frozen=True)
class Config:
    """Everything a number depends on, apart from its seed."""

    task: str = "hopper-builtin"
    """A task of `python -m ailot_ray tasks`, FILE.toml:NAME for one of your own, or minari:ID for a Minari dataset."""
    data: Path | None = None
    """A file in D4RL's HDF5 schema, or minari:ID, to use in place of the task's own. A Minari dataset is a task itself, which
    --task left alone means."""
    data_dir: Path = Path("data")
    """Where the tasks' own files lie."""
    data_from: Path | None = None
    """A folder of stand-ins: each task takes its name without version from it (hopper-medium.hdf5), as --data does for one."""
    expert: Path | None = None
    """A file in D4RL's schema that holds the expert's trajectories; otherwise the best of the dataset are the experts."""
    experts: int = 1
    """How many expert trajectories (K)."""
    expert_quantile: float = 1.0
    """Their place among the trajectories by return: 1 takes the best, 0.5 those from the median down, 0 the worst."""
    method: Method = "ailot"
    """Where the rewards come from: the method, a baseline, nowhere (bc), or the dataset itself (iql)."""
    device: str = "auto"
    """cpu, cuda, cuda:N, or auto."""
    icvf: ICVFConfig = field(default_factory=ICVFConfig)
    transport: TransportConfig = field(default_factory=TransportConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    iql: IQLConfig = field(default_factory=IQLConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        for path, value in flatten(self).items():
            flag = path.replace("_", "-")
            _require(not isinstance(value, float) or math.isfinite(value), flag, value, "a finite number")
        if str(self.data).startswith(MINARI) and self.task == Config.task:
            object.__setattr__(self, "task", str(self.data))
        _require(self.experts >= 1, "experts", self.experts, "1 or more")
        _require_fraction("expert-quantile", self.expert_quantile)
        _require(self.method in METHODS, "method", self.method, "one of " + ", ".join(METHODS))


def flatten(section: Any, prefix: str = "") -> dict[str, Any]:
    """Turn a configuration (or a section) into ``{"reward.tau": 0.5, …}``, paths as strings."""
    flat: dict[str, Any] = {}
    for item in fields(section):
        value = getattr(section, item.name)
        if is_dataclass(value):
            flat |= flatten(value, f"{prefix}{item.name}.")
        else:
            flat[prefix + item.name] = str(value) if isinstance(value, Path) else value
    return flat


def with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """`config` with the values of `settings` at their paths, ``{"reward.tau": 0.5, …}``. Raises ConfigError."""
    known = flatten(config)
    for path in settings:
        if path not in known:
            near = difflib.get_close_matches(path, known, 1)
            raise ConfigError(
                f"{path} is not a setting" + (f": did you mean {near[0]}?" if near else f": choose of {', '.join(known)}")
            )
    own = {path: _typed(config, path, value) for path, value in settings.items() if "." not in path}
    for name in dict.fromkeys(path.partition(".")[0] for path in settings if "." in path):
        section = getattr(config, name)
        inside = {path: value for path, value in settings.items() if path.startswith(f"{name}.")}
        own[name] = replace(section, **{path.partition(".")[2]: _typed(section, path, inside[path]) for path in inside})
    return replace(config, **own)


def _typed(section: Any, path: str, value: Any) -> Any:
    """`value` in the type of its field: 1 and 1.0 are one setting, and must not name two artefacts. Raises ConfigError."""
    hint = get_type_hints(type(section))[path.rpartition(".")[2]]
    choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for choice in choices:
        if get_origin(choice) is Literal:
            if value in get_args(choice):
                return value
        elif type(value) is choice:
            return value
        elif (choice, type(value)) in ((float, int), (Path, str)):
            return choice(value)
    names = [str(name) for choice in choices for name in get_args(choice) or (choice.__name__.replace("NoneType", "None"),)]
    raise ConfigError(f"{path} cannot be {value!r}: it must be {' or '.join(names)}")
