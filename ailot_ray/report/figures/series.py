"""Groups put together for a figure: panels of one task and file, in them a series for each method, setting or configuration."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb

from ailot_ray.report.grouping import Group
from ailot_ray.report.look import CYCLE, DATASET, colour_of, label_of, rank_of
from ailot_ray.report.record import Trial, value_of, values_of

CONFIGURATION, METHOD = "configuration", "method"
MAX_SERIES = 12
"""Series that eyes still tell apart in one panel."""
_MARKERS = "osD^vPX"


@dataclass(frozen=True)
class Series:
    """Trials drawn as one."""

    label: str
    colour: str
    marker: str
    rank: int
    """Its place among the series of all panels."""
    runs: tuple[Trial, ...]

    @property
    def scores(self) -> list[float]:
        return [run.score for run in self.runs]

    @property
    def line(self) -> dict[str, Any]:
        """How it is drawn as a line."""
        return {"color": self.colour, "marker": self.marker, "markersize": 3.5, "linewidth": 1.6, "zorder": 3}


@dataclass(frozen=True)
class Panel:
    """One task and data file."""

    title: str
    data: str
    data_digest: str
    substituted: bool
    normalised: bool
    dataset_score: float | None
    groups: tuple[Group, ...]
    series: tuple[Series, ...]

    @property
    def note(self) -> str:
        """Why its scores do not compare with others'."""
        own = "not D4RL's own file: compare among these" if self.substituted else ""
        return own if self.normalised else "returns as they are: no reference returns are known"

    @property
    def measure(self) -> str:
        """What its scores are."""
        return "normalised score" if self.normalised else "return"

    @property
    def runs(self) -> list[Trial]:
        return [run for series in self.series for run in series.runs]


def make_panels(groups: Sequence[Group], by: str = CONFIGURATION, kept: Collection[str] | None = None) -> list[Panel]:
    """The trials behind `groups` by task and file, a series for each value of `by`: a path, METHOD or CONFIGURATION.

    A series has one label, colour and marker in all panels, and trials of one number of gradient steps. Trials without a value
    at the path are told by their method. `kept`: digests of the only trials to draw; None draws all.
    """
    drawn = [run for one in groups for run in one.trials if kept is None or run.digest in kept]
    labels = _labels(groups, drawn, by)
    looks = _looks(labels, groups, drawn, by)
    ranks = {label: i for i, label in enumerate(dict.fromkeys(labels.values()))}
    made = []
    for place in (one for one in groups if one.method == DATASET):
        inside = tuple(one for one in groups if one.place == place.place and one.method != DATASET)
        own = {run.digest: run for one in inside for run in one.trials}
        by_label: dict[str, list[Trial]] = {}
        for digest in (digest for digest in labels if digest in own):
            by_label.setdefault(labels[digest], []).append(own[digest])
        series = tuple(Series(label, *looks[label], ranks[label], tuple(runs)) for label, runs in by_label.items())
        about = (place.task, place.data, place.data_digest, place.substituted, place.normalised, place.mean)
        if series:
            made.append(Panel(*about, inside, series))
    return made


def split(panels: Sequence[Panel], paths: Sequence[str]) -> list[Panel]:
    """A panel for each series that has more than one value at one of `paths`."""
    return [
        replace(panel, title=f"{panel.title} · {one.label}", series=(one,))
        for panel in panels
        for one in panel.series
        if any(len(values_of(one.runs, path)) > 1 for path in paths)
    ]


def choices(groups: Sequence[Group], paths: Sequence[str]) -> tuple[list[str], str]:
    """What a figure's series may be, and what they are unless told otherwise: configurations while they are few."""
    methods = [one.method for one in groups if one.method != DATASET]
    default = CONFIGURATION if len(methods) <= MAX_SERIES else METHOD
    if default == METHOD and len(set(methods)) == 1 and paths:
        default = paths[0]
    return [CONFIGURATION, METHOD, *paths], default


def _labels(groups: Sequence[Group], drawn: Sequence[Trial], by: str) -> dict[str, str]:
    """By each trial's digest the label of its series, in the order in which series are drawn.

    Trials of unequal gradient steps are never one series: where there are such, every label tells its own.
    """
    if by == CONFIGURATION:
        wanted = {run.digest for run in drawn}
        ranked = sorted(groups, key=lambda one: rank_of(one.method))
        return {digest: one.name for one in ranked for digest in one.digests if digest in wanted}
    order = {value: i for i, value in enumerate(values_of(drawn, by))} if by != METHOD else {}
    unequal = len({run.trained for run in drawn}) > 1

    def place(run: Trial) -> tuple[Any, ...]:
        return order.get(value_of(run, by), len(order)), rank_of(run.method), -run.trained

    def label(run: Trial) -> str:
        value = value_of(run, by) if by != METHOD else None
        text = label_of(run.method) if value is None else f"{by} = {value}"
        return f"{text} ({run.trained:,} steps)" if unequal else text

    return {run.digest: label(run) for run in sorted(drawn, key=place)}


def _looks(labels: dict[str, str], groups: Sequence[Group], drawn: Sequence[Trial], by: str) -> dict[str, tuple[str, str]]:
    """Colour and marker by label: a hue for each method, dark to light over its series; of a setting's values a scale."""
    if by not in (CONFIGURATION, METHOD):
        names = list(dict.fromkeys(labels.values()))
        ordered = len(names) > 2 and all(isinstance(value, int | float) for value in values_of(drawn, by))
        scale = colormaps["viridis"](np.linspace(0.0, 0.92, len(names)))
        colours = [to_hex(colour) for colour in scale] if ordered or len(names) > len(CYCLE) else CYCLE
        return {name: (colours[i], _MARKERS[i % len(_MARKERS)]) for i, name in enumerate(names)}
    plain = {one.name for one in groups if not one.settings_text}
    by_method: dict[str, dict[str, None]] = {}
    method_of = {run.digest: run.method for run in drawn}
    for digest, label in labels.items():
        by_method.setdefault(method_of[digest], {})[label] = None
    looks = {}
    for method, names_of in by_method.items():
        base = np.array(to_rgb(colour_of(method)))
        # the first series that is no variant of others keeps the method's own hue
        own = next((name for name in names_of if name in plain or by == METHOD), None)
        swept = [name for name in names_of if name != own]
        steps = np.linspace(-0.45, 0.55, len(swept)) if len(swept) > 1 else [0.45 if own else 0.0] * len(swept)
        shades = dict(zip(swept, steps, strict=True))
        for i, name in enumerate(names_of):
            shade = shades.get(name, 0.0)
            colour = base * (1 + shade) if shade < 0 else base + (1 - base) * shade
            looks[name] = (to_hex(colour), _MARKERS[i % len(_MARKERS)])
    return looks
