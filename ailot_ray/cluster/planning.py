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
from ailot_ray.pipeline.experiment import settings_of
from ailot_ray.pipeline.known import KnownData
from ailot_ray.records import PlannedTrial
from ailot_ray.resolve import resolve
from ailot_ray.stages import STAGES, Facts, digests_to
from ailot_ray.store import RUN, SHORT, Key, Store, digest_of, read_run

_STAGES = {stage.artefact: stage for stage in STAGES if stage.verb != "diagnose"}
"""What a sweep runs, by the kind of its artefact."""


@dataclass(frozen=True)
class Step:
    """One artefact that the sweep needs."""

    kind: str
    digest: str
    key: Key
    task: str
    config: Config
    """As it was resolved."""
    seed: int
    done: bool
    seconds: float
    """What it is going to take: measured on this store's artefacts of the kind where there are any."""


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

    def format(self, workers: int = 1, prices: Mapping[str, float] = {}, title: str = "") -> str:
        """A table for the terminal; `prices` are dollars for an hour of one worker, by name."""
        samples = self.sweep.samples if self.sweep.space else 1
        trials, left = len(self.trials) * samples, self.seconds * samples
        lines = [f"{title or 'sweep ' + self.sweep.name}: {trials} trials of {len(self.sweep.seeds)} seeds", ""]
        lines.append(f"  {'':<14}{'distinct':>9}{'done':>7}{'to do':>7}   time, one worker")
        for kind in _STAGES:
            steps, missing = self.steps[kind], self.missing(kind)
            if steps:
                seconds = sum(step.seconds for step in missing)
                done = len(steps) - len(missing)
                lines.append(f"  {_STAGES[kind].plural:<14}{len(steps):>9}{done:>7}{len(missing):>7}   {duration(seconds)}")
        lines += self._by_task(prices)
        basis = ", ".join(_STAGES[kind].plural for kind in _STAGES if kind in self.measured)
        source = f"measured in this store: {basis}" if basis else "nothing measured in this store yet: a small server's core"
        lines += ["", f"  about {duration(left / workers)} on {workers} workers{_dollars(left, prices)} ({source})"]
        if self.sweep.space:
            lines.append(
                "  a search draws its trials as it goes: the table is of its first trial, the last line that times the samples"
            )
        return "\n".join(lines)

    def _by_task(self, prices: Mapping[str, float]) -> list[str]:
        """Where there are several, a line a task: evaluations that are left, and how long all of it takes."""
        tasks: dict[str, list[Step]] = {}
        for kind in _STAGES:
            for step in self.steps[kind]:
                tasks.setdefault(step.task, []).append(step)
        if len(tasks) < 2:
            return []
        width = max(map(len, tasks)) + 2
        lines = ["", f"  {'task':<{width}}{'trainings':>9}{'done':>7}{'to do':>7}   time, one worker"]
        for task, steps in tasks.items():
            trainings = [step for step in steps if step.kind == "policies"]
            missing = sum(not step.done for step in trainings)
            seconds = sum(step.seconds for step in steps if not step.done)
            counts = f"{len(trainings):>9}{len(trainings) - missing:>7}{missing:>7}"
            lines.append(f"  {task:<{width}}{counts}   {duration(seconds)}{_dollars(seconds, prices)}")
        return lines


def _dollars(seconds: float, prices: Mapping[str, float]) -> str:
    return "".join(f", ${seconds / 3600 * price:,.2f} {name}" for name, price in prices.items())


def trial_digest(sweep: Sweep, settings: Mapping[str, Any]) -> str:
    """Names a trial by its resolved configuration and seeds, the same in every run of the sweep."""
    return _name(resolve(sweep.config(settings)), sweep.seeds)


def _name(resolved: Config, seeds: Sequence[int]) -> str:
    return digest_of("trial", {"config": flatten(resolved), "seeds": list(seeds)})[:SHORT]


class Planner:
    """What single trials of a sweep need. Opens no dataset that a command on this store has read before."""

    def __init__(self, sweep: Sweep, store: Store) -> None:
        self.sweep, self.store = sweep, store
        self.known = KnownData(store)

    def resolved(self, settings: Mapping[str, Any]) -> Facts:
        """Raises ConfigError or DataError for what cannot work."""
        return self.known.facts(resolve(self.sweep.config(settings)))

    def planned(self, settings: Mapping[str, Any]) -> PlannedTrial:
        """A trial before it has run."""
        facts = self.resolved(settings)
        return self.entry(settings, facts, {seed: digests_to("evaluate", facts, seed)[1] for seed in self.sweep.seeds})

    def entry(self, settings: Mapping[str, Any], facts: Facts, digests: Mapping[int, Mapping[str, str]]) -> PlannedTrial:
        data = self.known.data(facts.config)
        return PlannedTrial(
            trial=_name(facts.config, self.sweep.seeds),
            task=facts.task.name,
            method=facts.config.method,
            source=data.source,
            data_digest=data.digest,
            substituted=data.substituted,
            settings=dict(settings),
            config=settings_of(facts),
            seeds={seed: {kind: digest[:SHORT] for kind, digest in own.items()} for seed, own in digests.items()},
        )


def score_settings(sweep: Sweep, store: Path, trials: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Of the scores of every seed of these trials of `sweep`, by digest, the settings behind them."""
    planner = Planner(sweep, Store(store))
    found: dict[str, Mapping[str, Any]] = {}
    for settings in trials:
        facts = planner.resolved(settings)
        found |= {digests_to("evaluate", facts, seed)[1]["scores"]: settings for seed in sweep.seeds}
    return found


def plan(sweep: Sweep, store: Path, verb: str = "evaluate") -> Plan:
    """What `sweep` needs up to `verb`, and what of it `store` has. Starts nothing.

    Raises ConfigError or DataError for what cannot work.
    """
    settings = sweep.settings()  # of a search: the base alone
    steps: dict[str, dict[str, Step]] = {kind: {} for kind in _STAGES}
    opened = Store(store)
    planner, rates = Planner(sweep, opened), _rates(store)
    there = {kind: {folder.name[-SHORT:] for folder in (store / kind).glob("[!.]*")} for kind in _STAGES}
    trials, entries = [], []
    for chosen in settings:
        facts = planner.resolved(chosen)
        found = {}
        for seed in sweep.seeds:
            keys, digests = digests_to(verb, facts, seed)
            found[seed] = digests
            for kind, digest in digests.items():
                if digest in steps[kind]:
                    continue
                done = digest[:SHORT] in there[kind] and opened.finished(kind, facts.task.name, keys[kind])
                stage = _STAGES[kind]
                seconds = rates.get(kind, stage.seconds) * stage.amount(facts)
                steps[kind][digest] = Step(kind, digest, keys[kind], facts.task.name, facts.config, seed, done, seconds)
        trials.append((chosen, frozenset(digests["scores"] for digests in found.values() if "scores" in digests)))
        entries.append(planner.entry(chosen, facts, found))
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
