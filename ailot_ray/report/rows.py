"""The rows of a results table: trials grouped by task, data, method and configuration, each over its seeds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ailot_ray.report import statistics
from ailot_ray.report.results import FIXED_COLUMNS
from ailot_ray.tasks import TASKS

LABELS: dict[str, str] = {
    "dataset": "dataset mean",
    "bc": "BC",
    "otr": "OTR",
    "seabo": "SEABO",
    "ailot": "AILOT",
    "iql": "IQL (true rewards)",
}
"""What each method is called in reports, in the order of their rows."""

WITHOUT_EFFECT = ("device", "data_dir", "evaluation.curve_episodes")
"""Paths that do not tell configurations apart: where a trial ran, and how closely learning was watched on the way."""
_SIMULATOR, _DEFAULT_SIMULATOR = "evaluation.simulator", "gymnasium"
"""A path that rows name wherever it has another value; trials from before there was a choice do not have it."""
_UNUSED = {
    "bc": ("icvf.", "transport.", "reward.", "expert"),
    "iql": ("icvf.", "transport.", "expert"),
}
"""Beginnings of the paths that a method never reads."""


@dataclass(frozen=True)
class Row:
    """A configuration of a method on one dataset over its seeds, or (`method` ``dataset``) the dataset itself."""

    task: str
    data: str
    data_digest: str
    substituted: bool
    normalised: bool
    """False where the task has no reference returns: then every score is the return itself."""
    method: str
    mean: float | None
    """Mean normalised score over seeds; None where the dataset has no rewards."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The configuration paths in which the method's rows on the same data differ, and the simulator where it is not the
    default one."""
    usual: dict[str, Any] = field(default_factory=dict)
    """Of those paths the values that more than half of the method's rows on the same data have."""
    steps: int | None = None
    """Gradient steps of the final policy."""
    seeds: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    """One score a seed, in the order of `seeds`."""
    std: float | None = None
    """Sample standard deviation over seeds; None for a single seed."""
    interquartile_mean: float | None = None
    interval: tuple[float, float] | None = None
    """Bootstrap 95 % interval of the mean over seeds; None for a single seed."""
    published: float | None = None
    """Published score; None where there is none or the data stand in for D4RL's own."""
    digests: tuple[str, ...] = ()
    """Digests of the score artefacts behind the row."""

    @property
    def label(self) -> str:
        """The method's name in reports."""
        return LABELS.get(self.method, self.method)

    @property
    def settings_text(self) -> str:
        """What sets the row apart, such as ``reward.tau=0.1 transport.k=0``: the differing settings without the usual ones.

        No two rows of a method on the same data have the same text; that of the usual configuration is empty.
        """
        apart = self.departures | (self.settings.keys() - self.usual.keys())
        return written({path: value for path, value in self.settings.items() if path in apart})

    @property
    def name(self) -> str:
        """The method and what sets the row apart from the method's others on the same data."""
        return f"{self.label} {self.settings_text}".rstrip()

    @property
    def departures(self) -> frozenset[str]:
        """The paths at which the row has another value than the usual one."""
        return frozenset(path for path, value in self.usual.items() if self.settings.get(path, value) != value)

    @property
    def data_text(self) -> str:
        """File name and the first 8 characters of its digest, marked where scores are not what they are elsewhere."""
        marks = f"{' *' if self.substituted else ''}{'' if self.normalised else ' †'}"
        return f"{self.data} ({self.data_digest[:8]}){marks}"

    @property
    def best(self) -> tuple[int, float] | None:
        """The seed with the highest score, and that score."""
        return max(zip(self.seeds, self.scores, strict=True), key=lambda pair: pair[1], default=None)

    @property
    def worst(self) -> tuple[int, float] | None:
        """The seed with the lowest score, and that score."""
        return min(zip(self.seeds, self.scores, strict=True), key=lambda pair: pair[1], default=None)


def written(settings: Mapping[str, Any]) -> str:
    """Settings as they are typed, such as ``reward.tau=0.1 transport.k=0``."""
    return " ".join(f"{path}={_value_text(value)}" for path, value in settings.items())


def results_table(table: pa.Table) -> list[Row]:
    """Group the trials of a results table (`ailot_ray.report.results.collect`) into rows.

    Rows are ordered by task, data and method; the dataset's own mean comes first in each task and dataset. Where a seed
    has run twice (on another device, say) its score is the mean of its trials.
    """
    datasets: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for trial in table.to_pylist():
        datasets.setdefault((trial["task"], trial["data_digest"]), []).append(trial)
    rows = []
    for trials in datasets.values():
        first = trials[0]
        data = {name: first[name] for name in ("task", "data", "data_digest", "substituted", "normalised")}
        rows.append(Row(**data, method="dataset", mean=first["dataset_score"]))
        for method in {trial["method"]: None for trial in trials}:
            rows += _method_rows([trial for trial in trials if trial["method"] == method], data)
    # The sort is stable: a method's configurations keep the order of their settings.
    return sorted(rows, key=_order)


def _order(row: Row) -> tuple[Any, ...]:
    tasks, methods = list(TASKS), list(LABELS)
    task = tasks.index(row.task) if row.task in tasks else len(tasks)
    method = methods.index(row.method) if row.method in methods else len(methods)
    return task, row.task, row.data, row.data_digest, method, row.method


def _settings(trial: dict[str, Any]) -> dict[str, Any]:
    """The configuration that tells trials of a method apart: without what the method never reads and where it ran."""
    unused = _UNUSED.get(trial["method"], ())
    if trial.get("transport.space") not in (None, "intent"):
        unused = (*unused, "icvf.")
    return {
        path: _DEFAULT_SIMULATOR if path == _SIMULATOR and value is None else value
        for path, value in trial.items()
        if path not in FIXED_COLUMNS and path not in WITHOUT_EFFECT and not path.startswith(unused)
    }


def _method_rows(trials: list[dict[str, Any]], data: dict[str, Any]) -> list[Row]:
    groups: dict[tuple[tuple[str, Any], ...], list[dict[str, Any]]] = {}
    for trial in trials:
        groups.setdefault(tuple(_settings(trial).items()), []).append(trial)
    paths = dict.fromkeys(path for key in groups for path, _ in key)
    # of what a row never reads (a raw state's encoder) it says nothing, and others do not because of it
    differing = [path for path in paths if len({dict(key)[path] for key in groups if path in dict(key)}) > 1]
    usual = _usual([dict(key) for key in groups], differing)
    rows = []
    for key in groups:
        by_seed: dict[int, list[float]] = {}
        for trial in groups[key]:
            by_seed.setdefault(trial["seed"], []).append(trial["score"])
        seeds = tuple(sorted(by_seed))
        scores = tuple(statistics.mean(by_seed[seed]) for seed in seeds)
        method, several = groups[key][0]["method"], len(seeds) > 1
        task = TASKS.get(data["task"])
        rows.append(
            Row(
                **data,
                method=method,
                mean=statistics.mean(scores),
                settings=_shown(dict(key), differing),
                usual=usual,
                steps=max(trial["steps"] for trial in groups[key]),
                seeds=seeds,
                scores=scores,
                std=statistics.std(scores) if several else None,
                interquartile_mean=statistics.interquartile_mean(scores),
                interval=statistics.bootstrap_interval([scores], np.random.default_rng(0)) if several else None,
                published=None if task is None or data["substituted"] else task.published.get(method),
                digests=tuple(trial["digest"] for trial in groups[key]),
            )
        )
    # what the others are variants of comes first
    return sorted(rows, key=lambda row: (row.settings_text != "", *(_rank(row.settings.get(path)) for path in differing)))


def _usual(configurations: Sequence[dict[str, Any]], paths: Sequence[str]) -> dict[str, Any]:
    """By path the value of more than half of the configurations that have the path, where there is such a value."""
    usual = {}
    for path in paths:
        values = [settings[path] for settings in configurations if path in settings]
        value, number = Counter(values).most_common(1)[0]
        named_always = path == _SIMULATOR and value != _DEFAULT_SIMULATOR
        if 2 * number > len(values) and not named_always:
            usual[path] = value
    return usual


def _shown(settings: dict[str, Any], differing: list[str]) -> dict[str, Any]:
    shown = {path: settings[path] for path in differing if path in settings}
    simulator = settings.get(_SIMULATOR, _DEFAULT_SIMULATOR)
    return shown if simulator == _DEFAULT_SIMULATOR else {**shown, _SIMULATOR: simulator}


def _rank(value: Any) -> tuple[int, float, str]:
    """A sort key of settings of any type: none, then numbers, then words."""
    if isinstance(value, bool | int | float):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))


def _value_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)
