"""What a sweep takes: the distinct artefacts that it needs, which of them are there, and how long the others may take.

Trials share whatever their configurations share: 5 α × 5 τ × 5 seeds on one task are 5 pretrainings, 5 alignments and 125
trainings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ailot_ray.cluster.sweep import Sweep
from ailot_ray.config import Config, flatten
from ailot_ray.pipeline import Experiment
from ailot_ray.records import PlannedTrial
from ailot_ray.resolve import resolve
from ailot_ray.stages import STAGES
from ailot_ray.store import RUN, SHORT, Key, Store, digest_of, read_run

_STAGES = {stage.artefact: stage for stage in STAGES if stage.verb != "diagnose"}
"""What a sweep runs, by the kind of its artefact."""


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
    entries: Sequence[PlannedTrial]
    """The same trials, as `plan.json` tells of them."""
    steps: Mapping[str, Sequence[Step]]
    measured: frozenset[str]
    """Kinds whose time was measured on this store."""

    @property
    def data(self) -> dict[str, str]:
        """SHA-256 of each dataset, by its source."""
        return {entry.source: entry.data_digest for entry in self.entries}

    def missing(self, kind: str) -> list[Step]:
        return [step for step in self.steps[kind] if not step.done]

    @property
    def seconds(self) -> float:
        """Sum of what is left, on one worker."""
        return sum(step.seconds for kind in _STAGES for step in self.missing(kind))

    def format(self, workers: int = 1) -> str:
        """A table for the terminal."""
        trials = len(self.sweep.settings()) if not self.sweep.space else self.sweep.samples
        lines = [f"sweep {self.sweep.name}: {trials} trials of {len(self.sweep.seeds)} seeds", ""]
        lines.append(f"  {'':<14}{'distinct':>9}{'done':>7}{'to do':>7}   time, one worker")
        for kind in _STAGES:
            steps, left = self.steps[kind], self.missing(kind)
            if steps:
                seconds = sum(step.seconds for step in left)
                name, missing = _STAGES[kind].plural, len(left)
                lines.append(f"  {name:<14}{len(steps):>9}{len(steps) - missing:>7}{missing:>7}   {duration(seconds)}")
        basis = ", ".join(_STAGES[kind].plural for kind in _STAGES if kind in self.measured)
        source = f"measured in this store: {basis}" if basis else "nothing measured in this store yet: a small server's core"
        lines += ["", f"  about {duration(self.seconds / workers)} on {workers} workers ({source})"]
        if self.sweep.space:
            lines.append(
                "  a search draws its trials as it goes: this is the plan of its seeds' first trial, times the samples"
            )
        return "\n".join(lines)


def trial_digest(sweep: Sweep, settings: Mapping[str, Any]) -> str:
    """Names a trial by its resolved configuration and seeds, the same in every run of the sweep."""
    config = flatten(resolve(sweep.config(settings)))
    return digest_of("trial", {"config": config, "seeds": list(sweep.seeds)})[:SHORT]


def planned(sweep: Sweep, experiment: Experiment, settings: Mapping[str, Any]) -> PlannedTrial:
    """A trial of `sweep` before it has run."""
    data = experiment.dataset
    return PlannedTrial(
        trial=trial_digest(sweep, settings),
        task=experiment.task.name,
        method=experiment.config.method,
        source=data.source,
        data_digest=data.digest,
        substituted=data.substituted,
        settings=dict(settings),
        config=experiment.settings(),
        seeds={
            seed: {kind: digest_of(kind, key)[:SHORT] for kind, key in experiment.keys(seed).items()} for seed in sweep.seeds
        },
    )


def plan(sweep: Sweep, store: Path) -> Plan:
    """What `sweep` needs, and what of it `store` has. Starts nothing; raises ConfigError or DataError for what cannot work."""
    settings = sweep.settings()  # of a search: the base alone
    steps: dict[str, dict[str, Step]] = {kind: {} for kind in _STAGES}
    opened = Store(store)
    rates = _rates(store)
    experiment: Experiment | None = None
    trials, entries = [], []
    for chosen in settings:
        config = sweep.config(chosen)
        experiment = experiment.with_config(config) if experiment else Experiment.open(config, opened)
        for seed in sweep.seeds:
            for kind, key in experiment.keys(seed).items():
                digest = digest_of(kind, key)
                if digest not in steps[kind]:
                    done = opened.finished(kind, experiment.task.name, key)
                    stage = _STAGES[kind]
                    seconds = rates.get(kind, stage.seconds) * stage.amount(experiment.facts)
                    steps[kind][digest] = Step(kind, key, experiment.task.name, config, seed, done, seconds)
        trials.append((chosen, frozenset(digest_of("scores", experiment.keys(seed)["scores"]) for seed in sweep.seeds)))
        entries.append(planned(sweep, experiment, chosen))
    return Plan(sweep, trials, entries, {kind: list(found.values()) for kind, found in steps.items()}, frozenset(rates))


def _rates(store: Path) -> dict[str, float]:
    """Seconds a unit of each stage's amount took, by kind, over the artefacts that are in the store."""
    rates = {}
    for stage in STAGES:
        runs = [run for path in (store / stage.artefact).glob(f"*/{RUN}") if (run := read_run(path.parent))]
        amount = sum(run.amount for run in runs)
        if amount:
            rates[stage.artefact] = sum(run.seconds for run in runs) / amount
    return rates


def duration(seconds: float) -> str:
    """``40 s``, ``3 min``, ``5.2 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
