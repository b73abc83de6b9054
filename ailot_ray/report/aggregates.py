"""What a store says over all its tasks: aggregates of each method with intervals, and who improves on whom."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ailot_ray.report import statistics
from ailot_ray.report.grouping import Group
from ailot_ray.report.layout import NONE, Style, note, table
from ailot_ray.report.look import DATASET
from ailot_ray.report.tables import NOTHING_YET, substituted_note, usual_notes

Place = tuple[str, str]
"""A task and the digest of its data."""


@dataclass(frozen=True)
class Series:
    """A configuration of a method over all datasets on which it was evaluated."""

    method: str
    label: str
    settings: str
    scores: dict[Place, tuple[float, ...]]
    """One score a run (a seed), by task and data."""

    @property
    def name(self) -> str:
        return f"{self.label} {self.settings}".rstrip()

    @property
    def strata(self) -> list[tuple[float, ...]]:
        return list(self.scores.values())


@dataclass(frozen=True)
class Improvement:
    """How `better` does beside `other` on the same data, averaged over the data of both."""

    better: Series
    other: Series
    datasets: int
    difference: float
    """Of their mean scores."""
    difference_interval: tuple[float, float]
    """Welch's 95 % interval."""
    probability: float
    """That a run of `better` scores above one of `other`."""
    probability_interval: tuple[float, float]
    """Bootstrap 95 % interval."""


def all_series(rows: Iterable[Group]) -> list[Series]:
    """The methods' configurations, in the order of their first row."""
    found: dict[str, Series] = {}
    for row in rows:
        if row.method != DATASET:
            series = Series(row.method, row.title, row.settings_text, {})
            found.setdefault(row.name, series).scores[row.place] = row.scores
    return list(found.values())


def improvements(series: Sequence[Series], method: str = "ailot") -> list[Improvement]:
    """`method` against all other series with which it shares data; each pair once.

    Where one of its configurations is the usual one (`Group.usual`), that one stands against the other methods and its other
    configurations against it; else each configuration stands against all.
    """
    own = [line for line in series if line.method == method]
    others = [line for line in series if line.method != method]
    usual = [line for line in own if not line.settings]
    pairs = [(line, other) for line in usual or own for other in others]
    pairs += [(line, base) for base in usual for line in own if line is not base] if usual else combinations(own, 2)
    return [found for pair in pairs if (found := _improvement(*pair)) is not None]


def _improvement(better: Series, other: Series) -> Improvement | None:
    shared = [place for place in better.scores if place in other.scores]
    if not shared:
        return None
    x, y = [better.scores[place] for place in shared], [other.scores[place] for place in shared]
    return Improvement(
        better,
        other,
        len(shared),
        statistics.difference_of_means(x, y),
        statistics.welch_interval(x, y),
        statistics.probability_of_improvement(x, y),
        statistics.improvement_interval(x, y, np.random.default_rng(0)),
    )


def format_statistics(rows: Sequence[Group], style: Style = "text", method: str = "ailot") -> str:
    """Two tables: aggregates of each configuration with 95 % intervals, and the improvement of `method` on the others."""
    series = all_series(rows)
    if not series:
        return NOTHING_YET
    header = (
        "method",
        "settings",
        "datasets",
        "runs",
        "interquartile mean",
        "IQM's 95 % interval",
        "mean",
        "mean's 95 % interval",
    )
    left = (True, True, *[False] * 6)
    blocks = [table(header, [_aggregate(line) for line in series], left, style)]
    pairs = improvements(series, method)
    if pairs:
        columns = ("improvement of", "on", "datasets", "by", "Welch's 95 % interval", "probability", "its 95 % interval")
        blocks.append(table(columns, [_compared(pair) for pair in pairs], (True, True, *[False] * 5), style))
    notes = [] if style == "csv" else [note(text, style) for text in (*_notes(series), *usual_notes(rows))]
    notes += substituted_note(any(row.substituted for row in rows), style)[1:]
    return "\n\n".join([*blocks, *notes])


def statistics_json(rows: Sequence[Group], method: str = "ailot") -> dict[str, Any]:
    """The same as plain numbers, null where a value is not known."""
    series = all_series(rows)
    return {
        "aggregates": [
            {
                "method": line.method,
                "settings": line.settings,
                "datasets": len(line.scores),
                "runs": sum(map(len, line.strata)),
                "interquartile_mean": statistics.aggregate_interquartile_mean(line.strata),
                "interquartile_mean_95": _known(statistics.interquartile_interval(line.strata, np.random.default_rng(0))),
                "mean": float(np.mean([np.mean(scores) for scores in line.strata])),
                "mean_95": _known(statistics.mean_interval(line.strata, np.random.default_rng(0))),
            }
            for line in series
        ],
        "improvements": [
            {
                "of": pair.better.name,
                "on": pair.other.name,
                "datasets": pair.datasets,
                "difference": pair.difference,
                "difference_95": _known(pair.difference_interval),
                "probability": pair.probability,
                "probability_95": _known(pair.probability_interval),
            }
            for pair in improvements(series, method)
        ],
    }


def _aggregate(series: Series) -> tuple[str, ...]:
    strata, rng = series.strata, np.random.default_rng(0)
    middle = statistics.aggregate_interquartile_mean(strata)
    mean = float(np.mean([np.mean(scores) for scores in strata]))
    return (
        series.label,
        series.settings,
        str(len(strata)),
        str(sum(map(len, strata))),
        f"{middle:.1f}",
        _interval(statistics.interquartile_interval(strata, rng), ".1f"),
        f"{mean:.1f}",
        _interval(statistics.mean_interval(strata, np.random.default_rng(0)), ".1f"),
    )


def _compared(pair: Improvement) -> tuple[str, ...]:
    return (
        pair.better.name,
        pair.other.name,
        str(pair.datasets),
        f"{pair.difference:z.1f}",
        _interval(pair.difference_interval, "z.1f"),
        f"{pair.probability:.2f}",
        _interval(pair.probability_interval, ".2f"),
    )


def _notes(series: Sequence[Series]) -> list[str]:
    notes = []
    if len({frozenset(line.scores) for line in series}) > 1:
        notes.append("the methods were not all evaluated on the same data: compare only aggregates over the same datasets")
    few = [len(scores) for line in series for scores in line.strata if 1 < len(scores) < 5]
    if few:
        notes.append(
            f"some intervals rest on {min(few)} seeds a dataset: those of means are Student's t there, those of the "
            "interquartile mean and of probabilities are a bootstrap's, too narrow with so few"
        )
    return notes


def _known(interval: tuple[float, float]) -> list[float] | None:
    return None if np.isnan(interval[0]) else list(interval)


def _interval(interval: tuple[float, float], form: str) -> str:
    low, high = interval
    return NONE if np.isnan(low) else f"{low:{form}} to {high:{form}}"
