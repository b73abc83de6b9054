"""A sweep: one question asked of several configurations, and the plan of what answering it takes.

A trial is one configuration with all of its seeds. Trials share whatever their configurations share, so the plan counts
distinct artefacts: 5 α × 5 τ × 5 seeds on one task are 5 pretrainings, 5 alignments and 125 trainings.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from ailot_ray.config import Config, flatten, with_settings
from ailot_ray.errors import ConfigError
from ailot_ray.pipeline import Experiment
from ailot_ray.pipeline.align import SOLVES
from ailot_ray.resolve import relevant_settings
from ailot_ray.store import MANIFEST, RUN, SHORT, Key, Store, digest_of, read_json

KINDS = ("intents", "alignment", "rewards", "policies", "scores")
NAMES = {
    "intents": "pretrainings",
    "alignment": "alignments",
    "rewards": "relabellings",
    "policies": "trainings",
    "scores": "evaluations",
}
REFERENCE_SECONDS = {"intents": 0.033, "alignment": 0.2, "rewards": 1.0, "policies": 0.008, "scores": 20.0}
"""Seconds a gradient step, a solve, or an artefact, on one core of a small server: until the store knows better."""


@dataclass(frozen=True)
class Between:
    """A range that a search draws from: uniform, or log-uniform, or in whole numbers."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ConfigError(f"a range from {self.low:g} to {self.high:g} is empty, or not positive and logarithmic")


@dataclass(frozen=True)
class Sweep:
    """What is to be compared. Paths are those of the configuration (``reward.tau``); `method` and `task` are paths too."""

    name: str
    base: Config = field(default_factory=Config)
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values of each path; every combination is a trial."""
    cases: Sequence[Mapping[str, Any]] = ({},)
    """Settings that belong together, where a grid would be too much; each is combined with the whole grid."""
    space: Mapping[str, Between | Sequence[Any]] = field(default_factory=dict)
    """Ranges and choices that a search draws `samples` trials from, in place of a grid."""
    seeds: tuple[int, ...] = (0, 1, 2)
    samples: int = 20
    scheduler: Literal["fifo", "asha"] = "fifo"
    """asha stops the trials whose mean score is behind at the same number of gradient steps."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ConfigError(f"a sweep's name may have letters, digits, dots, dashes and underscores, not {self.name!r}")
        if self.space and (self.grid or any(self.cases)):
            raise ConfigError(f"sweep {self.name} has both a grid and a search space: choose one")
        if not self.cases:
            raise ConfigError(f"sweep {self.name} has no case to try")
        empty = [path for path, values in self.grid.items() if not values]
        if empty:
            raise ConfigError(f"sweep {self.name}: the grid has no value of {empty[0]}")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"--seeds {' '.join(map(str, self.seeds))} must be one or more different numbers, none negative")
        if self.samples < 1:
            raise ConfigError(f"--samples is {self.samples}, but it must be 1 or more")

    def settings(self) -> list[dict[str, Any]]:
        """The grid's combinations with each case, mappings of paths to values, in the order in which they are run.

        A case's own value takes the place of the grid's, and the grid's other values of it do not make the same trial twice.
        """
        combined = [
            dict(zip(self.grid, values, strict=True)) | dict(case)
            for values in itertools.product(*self.grid.values())
            for case in self.cases
        ]
        return [settings for i, settings in enumerate(combined) if settings not in combined[:i]]

    @property
    def varied(self) -> frozenset[str]:
        """The paths that trials take from the sweep itself, whatever its base says."""
        return frozenset(self.grid) | frozenset(self.space) | frozenset.intersection(*map(frozenset, self.cases))

    def varying(self, path: str, values: Sequence[Any]) -> "Sweep":
        """The sweep with these values of a path in place of its own, or beside what it varies; of cases those that have one.

        Raises ConfigError for an unknown path, a value that cannot be, or values that no case has.
        """
        typed = tuple(flatten(self.config({path: value}))[path] for value in values)
        if self.space:
            return replace(self, space={**self.space, path: typed})
        if not any(path in case for case in self.cases):
            return replace(self, grid={**self.grid, path: typed})
        of_cases = [case.get(path, flatten(self.base)[path]) for case in self.cases]
        kept = [case for case, value in zip(self.cases, of_cases, strict=True) if value in typed]
        if not kept:
            own = ", ".join("none (the method's)" if value is None else str(value) for value in dict.fromkeys(of_cases))
            raise ConfigError(f"sweep {self.name} has no case with {path}={','.join(map(str, typed))}: choose of {own}")
        return replace(self, cases=kept)

    def config(self, settings: Mapping[str, Any]) -> Config:
        """The configuration of one trial. Raises ConfigError for an unknown path or a value that cannot be."""
        return with_settings(self.base, settings)


@dataclass(frozen=True)
class Step:
    """One artefact that the sweep needs."""

    kind: str
    key: Key
    task: str
    config: Config
    seed: int
    done: bool
    seconds: float
    """What it is going to take: measured on this store's artefacts of the kind where there are any."""

    @property
    def digest(self) -> str:
        return digest_of(self.kind, self.key)


@dataclass(frozen=True)
class Plan:
    """The distinct artefacts of a sweep, by kind in the order of their making."""

    sweep: Sweep
    trials: Sequence[tuple[Mapping[str, Any], frozenset[str]]]
    """Settings of each trial of the grid, and the digests of its seeds' scores."""
    entries: Sequence[Mapping[str, Any]]
    """The same trials as `planned` tells of them."""
    steps: Mapping[str, Sequence[Step]]
    measured: frozenset[str]
    """Kinds whose time was measured on this store."""

    def missing(self, kind: str) -> list[Step]:
        return [step for step in self.steps[kind] if not step.done]

    @property
    def seconds(self) -> float:
        """Sum of what is left, on one worker."""
        return sum(step.seconds for kind in KINDS for step in self.missing(kind))

    def format(self, workers: int = 1) -> str:
        """A table for the terminal."""
        trials = len(self.sweep.settings()) if not self.sweep.space else self.sweep.samples
        lines = [f"sweep {self.sweep.name}: {trials} trials of {len(self.sweep.seeds)} seeds", ""]
        lines.append(f"  {'':<14}{'distinct':>9}{'done':>7}{'to do':>7}   time, one worker")
        for kind in KINDS:
            steps, left = self.steps[kind], self.missing(kind)
            if steps:
                seconds = sum(step.seconds for step in left)
                lines.append(
                    f"  {NAMES[kind]:<14}{len(steps):>9}{len(steps) - len(left):>7}{len(left):>7}   {duration(seconds)}"
                )
        basis = ", ".join(NAMES[kind] for kind in KINDS if kind in self.measured)
        source = f"measured in this store: {basis}" if basis else "nothing measured in this store yet: a small server's core"
        lines += ["", f"  about {duration(self.seconds / workers)} on {workers} workers ({source})"]
        if self.sweep.space:
            lines.append(
                "  a search draws its trials as it goes: this is the plan of its seeds' first trial, times the samples"
            )
        return "\n".join(lines)


def planned(experiment: Experiment, settings: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, Any]:
    """A trial before it has run, as JSON: what it is, and by seed the shortened digests of the artefacts that it needs."""
    return {
        "settings": dict(settings),
        "task": experiment.task.name,
        "method": experiment.config.method,
        "source": experiment.dataset.source,
        "data_digest": experiment.dataset.digest,
        "substituted": experiment.dataset.substituted,
        "config": relevant_settings(experiment.config),
        "seeds": {
            str(seed): {kind: digest_of(kind, key)[:SHORT] for kind, key in experiment.keys(seed).items()} for seed in seeds
        },
    }


def plan(sweep: Sweep, store: Path) -> Plan:
    """What `sweep` needs, and what of it `store` has. Starts nothing; raises ConfigError or DataError for what cannot work."""
    settings = sweep.settings()  # of a search: the base alone
    steps: dict[str, dict[str, Step]] = {kind: {} for kind in KINDS}
    shelf = Store(store)
    rates = _rates(store)
    experiment: Experiment | None = None
    trials, entries = [], []
    for chosen in settings:
        config = sweep.config(chosen)
        experiment = experiment.with_config(config) if experiment else Experiment.open(config, shelf)
        for seed in sweep.seeds:
            for kind, key in experiment.keys(seed).items():
                digest = digest_of(kind, key)
                if digest not in steps[kind]:
                    done = shelf.finished(kind, experiment.task.name, key)
                    seconds = rates.get(kind, REFERENCE_SECONDS[kind]) * _amount(kind, experiment)
                    steps[kind][digest] = Step(kind, key, experiment.task.name, config, seed, done, seconds)
        trials.append((chosen, frozenset(digest_of("scores", experiment.keys(seed)["scores"]) for seed in sweep.seeds)))
        entries.append(planned(experiment, chosen, sweep.seeds))
    return Plan(sweep, trials, entries, {kind: list(found.values()) for kind, found in steps.items()}, frozenset(rates))


def _amount(kind: str, experiment: Experiment) -> float:
    """What the time of an artefact goes with."""
    amounts = {
        "intents": experiment.config.icvf.steps,
        "alignment": experiment.dataset.trajectories * experiment.config.experts,
        "policies": experiment.config.iql.steps,
    }
    return float(amounts.get(kind, 1))


def _rates(store: Path) -> dict[str, float]:
    """Seconds per unit of `_amount` of each kind, over the artefacts that are in the store."""
    rates = {}
    for kind in KINDS:
        seconds = units = 0.0
        for run in (store / kind).glob(f"*/{RUN}"):
            seconds += float(read_json(run)["seconds"])
            units += _units(kind, run.parent)
        if units:
            rates[kind] = seconds / units
    return rates


def _units(kind: str, folder: Path) -> int:
    """Of a finished artefact: its gradient steps, or its solves."""
    if kind == "alignment":
        return int(pq.read_metadata(folder / SOLVES).num_rows) if (folder / SOLVES).exists() else 0
    section = {"intents": "icvf", "policies": "iql"}.get(kind)
    return int(read_json(folder / MANIFEST)["key"][section]["steps"]) if section else 1


def duration(seconds: float) -> str:
    """``40 s``, ``3 min``, ``5.2 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
