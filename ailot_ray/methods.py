"""Table 1: methods. What each is called, where its rewards come from, what it learns with, and its default hyperparameters.

Baselines are presets of the same parts (docs/method.md §2 to §5): OTR is an alignment of raw states under the cosine cost,
Segment-Matching, SEABO and RND do without a transport; behaviour cloning has no rewards, and IQL takes the dataset's own.
Nothing else in the package compares a method's name: it asks this table.

A method of your own is one call, in a module that AILOT_RAY_PLUGINS names (docs/extending.md)::

    register_method(Method("mine", "Mine", "#332288", "alignment", presets={"*": {"transport.space": "raw", ...}}))
"""

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ailot_ray.errors import ConfigError
from ailot_ray.plugins import load_plugins

RewardSource = Literal["alignment", "dataset", "shuffled", "none"]
"""Where a method's rewards come from: an alignment with the expert, the dataset's own rewards, those of another trajectory of
the dataset (a control: what they teach is not the task), or nowhere."""


class TaskFacts(Protocol):
    """What a preset may depend on."""

    @property
    def domain(self) -> str: ...
    @property
    def preset(self) -> str: ...
    @property
    def observation_size(self) -> int: ...
    @property
    def action_size(self) -> int: ...


Preset = Mapping[str, Any]
"""Settings by path; a value may be a function of the task (:class:`TaskFacts`)."""

_CLONING = tuple(f"iql.{name}" for name in ("steps", "batch_size", "width", "learning_rate", "dropout", "snapshots"))

_READS: dict[RewardSource, tuple[str, ...]] = {
    "alignment": ("transport.", "reward.", "evaluation.", "expert"),
    "dataset": ("reward.rescale", "reward.shift", "evaluation."),
    "shuffled": ("reward.rescale", "reward.shift", "evaluation."),
    "none": ("evaluation.",),
}


@dataclass(frozen=True)
class Method:
    """One way to learn a policy from data without rewards, or a baseline for one."""

    name: str
    """What `--method` takes."""
    label: str
    """What tables and figures call it."""
    colour: str
    """Its colour in figures, as ``#RRGGBB``."""
    rewards: RewardSource
    learner: str = "iql"
    """Name of its learner in :data:`LEARNERS`."""
    presets: Mapping[str, Preset] = field(default_factory=dict)
    """Defaults by domain (locomotion, antmaze, adroit); those of ``*`` hold in every domain, below the domain's own."""
    reads: tuple[str, ...] = ()
    """Beginnings of further settings' paths that its result depends on, beside those that follow from `rewards`."""

    @property
    def aligned(self) -> bool:
        """Whether its rewards come from an alignment with the expert."""
        return self.rewards == "alignment"

    @property
    def rewarded(self) -> bool:
        """Whether it learns from rewards at all."""
        return self.rewards != "none"

    def defaults(self, task: TaskFacts) -> dict[str, Any]:
        """Every setting that has a default by method or by domain, by path; the method's stand above the domain's."""
        layers = (
            DOMAIN_DEFAULTS["*"],
            DOMAIN_DEFAULTS[task.preset],
            self.presets.get("*", {}),
            self.presets.get(task.preset, {}),
        )
        merged = {path: value for layer in layers for path, value in layer.items()}
        return {path: value(task) if callable(value) else value for path, value in merged.items()}

    def paths_read(self, space: str | None) -> tuple[str, ...]:
        """Beginnings of the settings' paths that a result depends on, where alignments compare `space`."""
        intents = ("icvf.",) if self.aligned and space == "intent" else ()
        return (*intents, *_READS[self.rewards], *LEARNERS[self.learner].reads, *self.reads)


def _by_domain(**settings: tuple[Any, Any, Any]) -> dict[str, dict[str, Any]]:
    """``{"iql.expectile": (locomotion, antmaze, adroit)}`` turned into a preset for each domain (two underscores are a dot)."""
    domains = ("locomotion", "antmaze", "adroit")
    return {
        domain: {path.replace("__", "."): values[place] for path, values in settings.items()}
        for place, domain in enumerate(domains)
    }


DOMAIN_DEFAULTS: dict[str, Preset] = {
    "*": {  # AILOT's own, which also stand where a method reads no such setting
        "transport.space": "intent",
        "transport.metric": "sqeuclidean",
        "transport.k": 2,
        "transport.start": "cut",
        "transport.solver": "sinkhorn",
        "transport.epsilon": 0.01,
        "transport.epsilon_unit": "relative",
        "reward.alpha": 5.0,
        "reward.tau": 0.5,
        "reward.scale": "median",
        "reward.rescale": True,
        "reward.shift": 0.0,
    },
    **_by_domain(
        icvf__standardise=(True, False, True),
        iql__expectile=(0.7, 0.9, 0.7),
        iql__temperature=(3.0, 10.0, 0.5),
        iql__dropout=(0.0, 0.0, 0.1),
        evaluation__episodes=(10, 100, 10),
    ),
}
"""Defaults of every method by domain (IQL's and ICVF's papers; D4RL's number of episodes)."""

METHODS: dict[str, Method] = {}
"""Every method by name, in the order in which reports list them."""


@dataclass(frozen=True)
class Learning:
    """Where a learner's class is, and which settings it reads."""

    target: str
    """``module:Class``, imported when it is first used."""
    reads: tuple[str, ...] = ("iql.",)
    """Beginnings of the settings' paths."""


LEARNERS: dict[str, Learning] = {
    "iql": Learning("ailot_ray.method.iql:IQL"),
    "bc": Learning("ailot_ray.method.iql:BehaviourCloning", _CLONING),
    "bc10": Learning("ailot_ray.method.best_cloning:BestBehaviourCloning", _CLONING),
}
"""Every learner by name."""


def register_method(method: Method) -> Method:
    """Add `method` to the table, or replace the one of its name. Raises ConfigError where its learner or presets are unknown.

    Its settings are checked when a configuration is resolved (:func:`ailot_ray.resolve.resolve`).
    """
    if method.learner not in LEARNERS:
        raise ConfigError(f"method {method.name} names the learner {method.learner}, which is not registered")
    unknown = [domain for domain in method.presets if domain not in DOMAIN_DEFAULTS]
    if unknown:
        raise ConfigError(f"method {method.name} has presets of {unknown[0]}: choose of {', '.join(DOMAIN_DEFAULTS)}")
    METHODS[method.name] = method
    return method


def register_learner(name: str, target: str, reads: tuple[str, ...] = ("iql.",)) -> None:
    """Add a learner: `target` is ``module:Class``, a class as :mod:`ailot_ray.method.learner` describes it.

    `reads` are beginnings of the paths of the settings that it reads.
    """
    if ":" not in target:
        raise ConfigError(f"learner {name}: {target} is not of the form module:Class")
    LEARNERS[name] = Learning(target, reads)


def get_method(name: str) -> Method:
    """The method of that name. Raises ConfigError with the nearest names where there is none."""
    known = method_table()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"--method is {name}, but it must be one of {', '.join(known)}. {hint}".rstrip())
    return known[name]


def method_table() -> dict[str, Method]:
    """Every method by name, those of plug-ins included."""
    load_plugins()
    return METHODS


def aligned_methods() -> str:
    """The methods with an alignment, for an error's remedy: ``otr, seabo or ailot``."""
    *first, last = [method.name for method in method_table().values() if method.aligned]
    return f"{', '.join(first)} or {last}"


def load_learner(name: str) -> Callable[..., Any]:
    """The class of a learner. Raises ConfigError where it is not registered, or its module lacks it."""
    load_plugins()
    if name not in LEARNERS:
        raise ConfigError(f"learner {name} is not registered: choose of {', '.join(LEARNERS)}")
    module, _, attribute = LEARNERS[name].target.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"learner {name}: {LEARNERS[name].target} cannot be imported ({error})") from error
    return found


_TRUE_REWARDS: Mapping[str, Preset] = {
    "*": {"reward.alpha": 1.0, "reward.tau": 0.0, "reward.scale": "none", "reward.rescale": False},
    "locomotion": {"reward.rescale": True},
    "antmaze": {"reward.shift": lambda task: 0.0 if task.domain == "ogbench" else -1.0},  # OGBench's are -1 and 0
}
_OTR: Mapping[str, Preset] = {
    "*": {
        "transport.space": "raw",
        "transport.metric": "cosine",
        "transport.k": 0,
        "transport.start": "none",
        "transport.epsilon_unit": "absolute",
        "reward.tau": lambda task: 5.0 / task.observation_size,
        "reward.scale": "none",
    },
    "antmaze": {"reward.tau": 1.0, "reward.shift": -2.0},
}
_SEABO: Mapping[str, Preset] = {
    "*": {
        "transport.space": "raw",
        "transport.k": 1,
        "transport.start": "none",
        "transport.solver": "nearest",
        "reward.alpha": 1.0,
        "reward.scale": "none",
        "reward.rescale": False,
    },
    "locomotion": {"reward.tau": lambda task: 0.5 / task.action_size},
    "antmaze": {"reward.tau": lambda task: 5.0 / task.action_size, "reward.shift": -1.0},
}
_AILOT: Mapping[str, Preset] = {"antmaze": {"reward.shift": -2.0}}


def _only(solver: str, presets: Mapping[str, Preset], **settings: Any) -> Mapping[str, Preset]:
    """`presets` with another solver (two underscores of a setting are a dot)."""
    own = {path.replace("__", "."): value for path, value in settings.items()}
    return {**presets, "*": {**presets.get("*", {}), "transport.solver": solver, **own}}


_BEST = {"reward.rescale": False, "reward.shift": 0.0}  # whatever the domain, a trajectory counts by its return as it is

for _method in (
    Method("bc", "BC", "#CC79A7", "none", learner="bc"),
    Method("bc10", "10 % BC (true returns)", "#882255", "dataset", learner="bc10", presets={"*": _BEST}),
    Method("bc10-ailot", "10 % BC (AILOT's returns)", "#332288", "alignment", learner="bc10", presets={"*": _BEST}),
    Method("otr", "OTR", "#E69F00", "alignment", presets=_OTR),
    Method("segment", "Segment-Matching", "#56B4E9", "alignment", presets=_only("segment", _OTR)),
    Method("seabo", "SEABO", "#009E73", "alignment", presets=_SEABO),
    Method(
        "rnd",
        "RND",
        "#8C6D1F",
        "alignment",
        presets=_only("rnd", _AILOT, transport__space="standardised", transport__k=1, transport__start="none"),
    ),
    Method("ailot", "AILOT", "#0072B2", "alignment", presets=_AILOT),
    Method("iql-shuffled", "IQL (shuffled rewards)", "#999999", "shuffled", presets=_TRUE_REWARDS),
    Method("iql", "IQL (true rewards)", "#D55E00", "dataset", presets=_TRUE_REWARDS),
):
    register_method(_method)
