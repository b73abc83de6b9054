"""Runs put together for a figure: panels of one task and file, in them a series for each method, setting or configuration."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from plotly.colors import sample_colorscale

from ailot_ray.report.grouping import Group, group
from ailot_ray.report.look import CYCLE, colour_of, label_of, rank_of
from ailot_ray.report.page.sources import value_of, values_of
from ailot_ray.report.record import Trial
from ailot_ray.store import SHORT

CONFIGURATION, METHOD = "configuration", "method"
MAX_SERIES = 12
"""Series that eyes still tell apart in one panel."""
_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x")


@dataclass(frozen=True)
class Series:
    """Runs drawn as one."""

    label: str
    colour: str
    dash: str
    symbol: str
    runs: tuple[Trial, ...]

    @property
    def scores(self) -> list[float]:
        return [run.score for run in self.runs]


@dataclass(frozen=True)
class Panel:
    """One task and data file."""

    task: str
    data: str
    data_digest: str
    substituted: bool
    dataset_score: float | None
    series: tuple[Series, ...]

    @property
    def title(self) -> str:
        """Task and file, the file starred where it is not D4RL's own."""
        return f"<b>{self.task}</b><br><span style='font-size:11px'>{self.data} ({self.data_digest[:8]}){self.star}</span>"

    @property
    def star(self) -> str:
        return " *" if self.substituted else ""

    @property
    def runs(self) -> list[Trial]:
        return [run for series in self.series for run in series.runs]


def rows_of(runs: Sequence[Trial]) -> list[Group]:
    """The rows of the results table over finished runs."""
    return group(runs)


def panels(runs: Sequence[Trial], rows: Sequence[Group], by: str) -> list[Panel]:
    """Finished `runs` by task and file, and in each a series for each value of `by`: a path, METHOD, or CONFIGURATION.

    `rows` are those of the same runs. A series looks the same in every panel.
    """
    done = [run for run in runs if run.done]
    labels = _labels(done, rows, by)
    looks = _looks(labels, done, by)
    found = []
    for task, digest in dict.fromkeys((run.task, run.data_digest) for run in done):
        inside = [run for run in done if (run.task, run.data_digest) == (task, digest)]
        members = {label: tuple(run for run in inside if labels.get(run.short) == label) for label in looks}
        series = tuple(Series(label, *looks[label], group) for label, group in members.items() if group)
        first = inside[0]
        assert first.done
        found.append(Panel(task, first.data, digest, first.substituted, first.dataset_score, series))
    return found


def split(panels: Sequence[Panel], paths: Sequence[str]) -> list[Panel]:
    """A panel for each series with more than one value at any of `paths`: what one method is asked says nothing of others."""
    return [
        replace(panel, task=f"{panel.task} · {one.label}", series=(one,))
        for panel in panels
        for one in panel.series
        if any(len(values_of(one.runs, path)) > 1 for path in paths)
    ]


def choices(runs: Sequence[Trial], rows: Sequence[Group], paths: Sequence[str]) -> tuple[list[str], str]:
    """What a figure's series may be, and what they are unless told otherwise: configurations while they are few."""
    configurations = len([row for row in rows if row.method != "dataset"])
    default = CONFIGURATION if configurations <= MAX_SERIES else METHOD
    if default == METHOD and len({run.method for run in runs}) == 1 and paths:
        default = paths[0]
    return [CONFIGURATION, METHOD, *paths], default


def _labels(done: Sequence[Trial], rows: Sequence[Group], by: str) -> dict[str, str]:
    """By each run's digest the label of its series, in the order in which series are drawn.

    Runs of unequal gradient steps are never one series: where there are such, every label tells its own.
    """
    if by == CONFIGURATION:
        return {digest[:SHORT]: row.name for row in rows for digest in row.digests}
    order = {value: i for i, value in enumerate(values_of(done, by))} if by != METHOD else {}
    unequal = len({run.trained for run in done}) > 1

    def place(run: Trial) -> tuple[Any, ...]:
        return order.get(value_of(run, by), len(order)), rank_of(run.method), -run.trained

    def label(run: Trial) -> str:
        value = value_of(run, by) if by != METHOD else None
        text = label_of(run.method) if value is None else f"{by} = {value}"
        return f"{text} ({run.trained:,} steps)" if unequal else text

    return {run.short: label(run) for run in sorted(done, key=place)}


def _looks(labels: dict[str, str], done: Sequence[Trial], by: str) -> dict[str, tuple[str, str, str]]:
    """Colour, dash and marker by label: a method's own colour where it has one series, else from a scale or a cycle."""
    methods: dict[str, set[str]] = {label: set() for label in labels.values()}
    for run in done:
        if run.short in labels:
            methods[labels[run.short]].add(run.method)
    series_of = Counter(method for found in methods.values() for method in found)
    ordered = len(methods) > len(CYCLE) or (len(methods) > 2 and all(isinstance(v, int | float) for v in values_of(done, by)))
    looks = {}
    for i, (label, found) in enumerate(methods.items()):
        symbol, dash = _SYMBOLS[i % len(_SYMBOLS)], _DASHES[i // len(CYCLE) % len(_DASHES)]
        colour = CYCLE[i % len(CYCLE)]
        if len(found) == 1 and (by == METHOD or series_of[next(iter(found))] == 1):
            colour, dash = colour_of(next(iter(found))), "solid"
        elif ordered:
            colour, dash = sample_colorscale("Viridis", [0.92 * i / (len(methods) - 1)])[0], "solid"
        looks[label] = (colour, dash, symbol)
    return looks
