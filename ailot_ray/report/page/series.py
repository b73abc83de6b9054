"""Runs put together for a figure: panels of one task and file, in them a series for each method, setting or configuration."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from plotly.colors import sample_colorscale

from ailot_ray.report.page.runs import Run
from ailot_ray.report.page.sources import value_of, values_of
from ailot_ray.report.palette import CYCLE, METHODS, OTHER
from ailot_ray.report.results import Trial, tabulate
from ailot_ray.report.rows import LABELS, Row, results_table
from ailot_ray.store import SHORT

CONFIGURATION, METHOD = "configuration", "method"
MANY = 12
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
    runs: tuple[Run, ...]

    @property
    def trials(self) -> list[Trial]:
        return [run.trial for run in self.runs if run.trial is not None]

    @property
    def scores(self) -> list[float]:
        return [trial.score for trial in self.trials]


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
    def runs(self) -> list[Run]:
        return [run for series in self.series for run in series.runs]


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """The rows of the results table over finished runs."""
    return results_table(tabulate([run.trial for run in runs if run.trial is not None]))


def panels(runs: Sequence[Run], rows: Sequence[Row], by: str) -> list[Panel]:
    """Finished `runs` by task and file, and in each a series for each value of `by`: a path, METHOD, or CONFIGURATION.

    `rows` are those of the same runs. A series looks the same in every panel.
    """
    done = [run for run in runs if run.trial is not None]
    labels = _labels(done, rows, by)
    looks = _looks(labels, done, by)
    found = []
    for task, digest in dict.fromkeys((run.task, run.data_digest) for run in done):
        inside = [run for run in done if (run.task, run.data_digest) == (task, digest)]
        members = {label: tuple(run for run in inside if labels.get(run.digest) == label) for label in looks}
        series = tuple(Series(label, *looks[label], group) for label, group in members.items() if group)
        first = inside[0]
        assert first.trial is not None
        found.append(Panel(task, first.source, digest, first.substituted, first.trial.dataset_score, series))
    return found


def split(panels: Sequence[Panel], paths: Sequence[str]) -> list[Panel]:
    """A panel for each series with more than one value at any of `paths`: what one method is asked says nothing of others."""
    return [
        replace(panel, task=f"{panel.task} · {one.label}", series=(one,))
        for panel in panels
        for one in panel.series
        if any(len(values_of(one.runs, path)) > 1 for path in paths)
    ]


def choices(runs: Sequence[Run], rows: Sequence[Row], paths: Sequence[str]) -> tuple[list[str], str]:
    """What a figure's series may be, and what they are unless told otherwise: configurations while they are few."""
    configurations = len([row for row in rows if row.method != "dataset"])
    default = CONFIGURATION if configurations <= MANY else METHOD
    if default == METHOD and len({run.method for run in runs}) == 1 and paths:
        default = paths[0]
    return [CONFIGURATION, METHOD, *paths], default


def _labels(done: Sequence[Run], rows: Sequence[Row], by: str) -> dict[str, str]:
    """By each run's digest the label of its series, in the order in which series are drawn."""
    if by == CONFIGURATION:
        return {digest[:SHORT]: row.name for row in rows for digest in row.digests}
    if by == METHOD:
        order = list(LABELS)
        known = sorted(done, key=lambda run: (order.index(run.method) if run.method in order else len(order), run.method))
        return {run.digest: LABELS.get(run.method, run.method) for run in known}
    texts = {value: f"{by} = {value}" for value in values_of(done, by)}
    have = sorted((run for run in done if value_of(run, by) is not None), key=lambda run: list(texts).index(value_of(run, by)))
    rest = {run.digest: LABELS.get(run.method, run.method) for run in done if value_of(run, by) is None}
    return {run.digest: texts[value_of(run, by)] for run in have} | rest


def _looks(labels: dict[str, str], done: Sequence[Run], by: str) -> dict[str, tuple[str, str, str]]:
    """Colour, dash and marker by label: a method's own colour where it has one series, else from a scale or a cycle."""
    methods: dict[str, set[str]] = {label: set() for label in labels.values()}
    for run in done:
        if run.digest in labels:
            methods[labels[run.digest]].add(run.method)
    series_of = Counter(method for found in methods.values() for method in found)
    ordered = len(methods) > len(CYCLE) or (len(methods) > 2 and all(isinstance(v, int | float) for v in values_of(done, by)))
    looks = {}
    for i, (label, found) in enumerate(methods.items()):
        symbol, dash = _SYMBOLS[i % len(_SYMBOLS)], _DASHES[i // len(CYCLE) % len(_DASHES)]
        colour = CYCLE[i % len(CYCLE)]
        if len(found) == 1 and (by == METHOD or series_of[next(iter(found))] == 1):
            colour, dash = METHODS.get(next(iter(found)), OTHER), "solid"
        elif ordered:
            colour, dash = sample_colorscale("Viridis", [0.92 * i / (len(methods) - 1)])[0], "solid"
        looks[label] = (colour, dash, symbol)
    return looks
