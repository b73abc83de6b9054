"""One tree of frozen settings. The path of a field (``reward.tau``) is its flag, grid key, results column and axis.

A field whose default is ``None`` takes the task's, the method's or the domain's default when the configuration is resolved
(:func:`ailot_ray.resolve.resolve`); digests are taken of resolved configurations only. A field's bounds stand in its type.
"""

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from ailot_ray.bounds import Amount, Count, Fraction, NonNegative, OpenFraction, Positive, Rate, Section, require, type_name
from ailot_ray.errors import ConfigError
from ailot_ray.methods import get_method

Space = Literal["intent", "raw", "standardised"]
Metric = Literal["sqeuclidean", "euclidean", "cosine"]
Start = Literal["cut", "mask", "none"]
Solver = Literal["sinkhorn", "pot", "exact", "nearest", "segment", "rnd"]
Simulator = Literal["gymnasium", "d4rl"]
Target = Literal["centre", "drawn"]
PlayedPhysics = Literal["d4rl", "mujoco"]
Physics = Literal["auto", "d4rl", "mujoco"]
Actions = Literal["mean", "sample"]
MINARI = "minari:"
"""Begins the name of a Minari dataset, as a task and as data."""


@dataclass(frozen=True)
class ICVFConfig(Section, prefix="icvf."):
    """Intent pretraining (ICVF, Ghosh et al. 2023; docs/method.md §1)."""

    steps: Amount = 250_000
    """Gradient steps of pretraining. 0 keeps the untrained encoder."""
    batch_size: Count = 256
    """Batch size: transitions of a gradient step."""
    width: Count = 256
    """Units of each layer of φ, ψ and T, and so the dimension of an intent."""
    layer_norm: bool = False
    """Whether LayerNorm follows each layer of φ, ψ and T. It puts every intent on a sphere, so that the squared distance is the
    cosine (docs/method.md)."""
    standardise: bool | None = None
    """Whether the networks see states of zero mean and unit variance over the dataset. Default: yes, except in AntMaze, whose
    27 joint coordinates would swamp the position."""
    learning_rate: Positive = 3e-4
    """Adam's learning rate."""
    discount: Fraction = 0.99
    """Discount factor γ."""
    polyak: Fraction = 0.005
    """Rate of Polyak averaging: how fast the target network follows."""
    expectile: Fraction = 0.9
    """Expectile of the loss: weight of transitions whose advantage for the intent is not negative; others weigh 1 minus it."""
    goal_current: Fraction = 0.2
    """Fraction of goals that are the current state."""
    goal_trajectory: Fraction = 0.5
    """Fraction of goals that are a later state of the same trajectory; the rest are any state of the dataset."""
    goal_same: Fraction = 0.5
    """Fraction of samples whose outcome g is the intent's own goal."""

    def __post_init__(self) -> None:
        super().__post_init__()
        both = self.goal_current + self.goal_trajectory
        require(both <= 1.0, "icvf.goal-trajectory", self.goal_trajectory, "at most 1 minus --icvf.goal-current")


@dataclass(frozen=True)
class TransportConfig(Section, prefix="transport."):
    """Alignment of agent and expert trajectories (entropic optimal transport; docs/method.md §2)."""

    space: Space | None = None
    """Space in which states are compared: learned intents, raw states, or standardised states."""
    metric: Metric | None = None
    """Ground metric: squared Euclidean distance, Euclidean distance, or one minus the cosine."""
    k: Amount | None = None
    """Look-ahead in steps: pairs of states k steps apart are compared; 0 compares single states."""
    start: Start | None = None
    """What becomes of the expert before its state nearest to the agent's first: cut off before solving, masked after it,
    or kept (none)."""
    solver: Solver | None = None
    """Solver: our Sinkhorn, POT's Sinkhorn, POT's exact linear programme; or without a transport: the nearest expert pair
    (SEABO), the expert's segment of the same time (Segment-Matching), or random network distillation (ReLOAD)."""
    epsilon: Positive | None = None
    """Entropic regularisation ε."""
    epsilon_unit: Literal["relative", "absolute"] | None = None
    """Unit of ε: relative is a multiple of each problem's mean cost, which one bad state cannot move; absolute is in
    the unit of the cost."""
    tolerance: Positive = 1e-3
    """L1 error of the marginals at which a solve has converged."""
    max_iterations: Count = 5000
    """Iterations after which a solve is stopped, and counted as not converged."""


@dataclass(frozen=True)
class RewardConfig(Section, prefix="reward."):
    """From per-step cost to reward: α·exp(−τ·cost/s), then the domain's rescaling."""

    alpha: Positive | None = None
    """Scale α: the reward of a cost of 0."""
    tau: NonNegative | None = None
    """Temperature τ of the paper: how fast the reward falls with the cost."""
    scale: Literal["median", "none"] | None = None
    """Unit s of the cost: its median over the dataset, or 1 (none)."""
    rescale: bool | None = None
    """Whether rewards are multiplied by 1000 / (largest − smallest trajectory return)."""
    shift: float | None = None
    """Constant added to every reward last."""


@dataclass(frozen=True)
class IQLConfig(Section, prefix="iql."):
    """Policy learning (IQL, Kostrikov et al. 2022; docs/method.md §4). Behaviour cloning shares steps, sizes, rate, dropout."""

    steps: Count = 1_000_000
    """Gradient steps of training."""
    batch_size: Count = 256
    """Batch size: transitions of a gradient step."""
    width: Count = 256
    """Units of each of the two hidden layers."""
    learning_rate: Positive = 3e-4
    """Adam's learning rate; the actor's decays by a cosine."""
    discount: Fraction = 0.99
    """Discount factor γ."""
    polyak: Fraction = 0.005
    """Rate of Polyak averaging: how fast the target critics follow."""
    expectile: OpenFraction | None = None
    """Expectile of the value function: 0.5 is the mean over the data's actions, near 1 the best of them."""
    temperature: NonNegative | None = None
    """Inverse temperature of the advantage weights exp(temperature · advantage)."""
    max_weight: Positive = 100.0
    """Upper bound of the advantage weights."""
    dropout: Rate | None = None
    """Dropout rate of the actor."""
    snapshots: Count = 10
    """Number of policies saved in training, at equal distances; the last is the result, the others make the learning curve."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.snapshots <= self.steps, "iql.snapshots", self.snapshots, "between 1 and --iql.steps")


@dataclass(frozen=True)
class EvaluationConfig(Section, prefix="evaluation."):
    """Roll-outs in the simulator."""

    episodes: Count | None = None
    """Number of evaluation episodes of the final policy."""
    curve_episodes: Amount = 5
    """Number of evaluation episodes of each earlier snapshot; 0 leaves the learning curve out."""
    simulator: Simulator = "gymnasium"
    """Today's MuJoCo, or d4rl: D4RL's original environments on mujoco-py (docs/fidelity.md). `--simulator` for short."""
    target: Target | None = None
    """AntMaze's target: at the centre of the goal's cell, or drawn at every reset as D4RL does. Left alone: drawn on D4RL's own
    files, whose published scores it was for, and the centre on files that stand in for them."""
    physics: Physics = "auto"
    """Bodies and contacts of the default simulator: as MuJoCo 2.1.0 made them for D4RL, or today's. auto is d4rl on D4RL's own
    files, which were recorded so, and mujoco on all others (docs/fidelity.md)."""
    actions: Actions = "mean"
    """The policy's mean action, as IQL's authors evaluate, or a sample of π(a|s): by means alone an agent can come to rest
    where that of the data stood still, and stay there."""


@dataclass(frozen=True)
class Config(Section):
    """Everything a number depends on, apart from its seed."""

    task: str = "hopper-builtin"
    """A task of `python -m ailot_ray tasks`, FILE.toml:NAME for one of your own, or minari:ID for a Minari dataset."""
    data: Path | None = None
    """A file in D4RL's HDF5 schema, or minari:ID, to use in place of the task's own. A Minari dataset is a task itself, which
    --task left alone means."""
    data_dir: Path = Path("data")
    """Folder of the tasks' own data files."""
    data_from: Path | None = None
    """A folder of stand-ins: each task takes its name without version from it (hopper-medium.hdf5), as --data does for one."""
    expert: Path | None = None
    """A file in D4RL's schema that holds the expert's trajectories; otherwise the best of the dataset are the experts."""
    experts: Count = 1
    """Number K of expert trajectories."""
    expert_quantile: Fraction = 1.0
    """Quality of the experts, as a quantile of the trajectories by return: 1 takes the best, 0.5 those from the median down."""
    method: str = "ailot"
    """Method: ailot, otr, segment, seabo, rnd; iql (the dataset's own rewards), iql-shuffled (those of other trajectories); bc
    (behaviour cloning, no rewards), bc10, bc10-ailot (of the best tenth by true or AILOT's returns); or one of a plug-in."""
    device: str = "auto"
    """Device that trains: cpu, cuda, cuda:N, or auto."""
    icvf: ICVFConfig = field(default_factory=ICVFConfig)
    transport: TransportConfig = field(default_factory=TransportConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    iql: IQLConfig = field(default_factory=IQLConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        get_method(self.method)

    @property
    def task_name(self) -> str:
        """The task that is meant: a Minari dataset given as data is a task itself, where --task is left at its default."""
        minari = str(self.data).startswith(MINARI) and self.task == Config.task
        return str(self.data) if minari else self.task


def flatten(section: Any, prefix: str = "") -> dict[str, Any]:
    """Turn a configuration (or a section) into ``{"reward.tau": 0.5, …}``, paths as strings."""
    flat: dict[str, Any] = {}
    for name in _names(type(section)):  # type: ignore[arg-type]
        value = getattr(section, name)
        if isinstance(value, Section):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = str(value) if isinstance(value, Path) else value
    return flat


@functools.cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


def with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """`config` with the values of `settings` at their paths, ``{"reward.tau": 0.5, …}``. Raises ConfigError."""
    known = _paths(type(config))  # type: ignore[arg-type]
    for path in settings:
        if path not in known:
            near = difflib.get_close_matches(path, known, 1)
            raise ConfigError(
                f"{path} is not a setting" + (f": did you mean {near[0]}?" if near else f": choose of {', '.join(known)}")
            )
    own = {path: _typed(config, path, value) for path, value in settings.items() if "." not in path}
    for name in dict.fromkeys(path.partition(".")[0] for path in settings if "." in path):
        inside = {path: value for path, value in settings.items() if path.startswith(f"{name}.")}
        own[name] = _changed(getattr(config, name), inside)
    return replace(config, **own) if own else config


_sections: dict[tuple[Any, ...], tuple[Any, Any]] = {}
_KEPT = 4096


def _changed(section: Any, inside: Mapping[str, Any]) -> Any:
    """`section` with these values, which is checked once: a sweep asks for few different sections in many configurations."""
    asked = (id(section), *((path, type(value), repr(value)) for path, value in inside.items()))
    if asked not in _sections:
        if len(_sections) >= _KEPT:
            _sections.clear()
        typed = {path.partition(".")[2]: _typed(section, path, value) for path, value in inside.items()}
        _sections[asked] = section, replace(section, **typed)  # holds the section, whose id stays its own
    return _sections[asked][1]


@functools.cache
def _paths(kind: type[Any]) -> tuple[str, ...]:
    return tuple(flatten(kind()))


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _typed(section: Any, path: str, value: Any) -> Any:
    """`value` in the type of its field: 1 and 1.0 are one setting, and must not name two artefacts. Raises ConfigError."""
    hint = _hints(type(section))[path.rpartition(".")[2]]  # type: ignore[arg-type]
    if Path in get_args(hint) or hint is Path:
        if value is None or isinstance(value, str | Path):
            return value if value is None else Path(value)
    else:
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError:
            pass
    raise ConfigError(f"{path} cannot be {value!r}: it must be {type_name(hint)}")


def parse_setting(path: str, text: str) -> Any:
    """The value that `text` means at a path, as a command line writes it: ``none`` is None where it is no choice of its own.

    Raises ConfigError for an unknown path and for what cannot be a value there.

    >>> parse_setting("reward.tau", "0.5"), parse_setting("reward.scale", "none"), parse_setting("transport.k", "none")
    (0.5, 'none', None)
    """
    section, _, name = path.rpartition(".")
    with_settings(Config(), {path: None}) if path not in flatten(Config()) else None  # raises, and names the nearest setting
    hint = get_type_hints(type(getattr(Config(), section) if section else Config()))[name]
    if text.lower() == "none" and "none" not in type_name(hint).split(" or "):
        return None
    if hint is Path or Path in get_args(hint):
        return Path(text)
    try:
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError:
        raise ConfigError(f"{path} cannot be {text!r}: it must be {type_name(hint)}") from None
