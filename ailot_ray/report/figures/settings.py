"""Figures of what a setting does: scores against one, and a heat map over two."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ailot_ray.report import statistics
from ailot_ray.report.figures.canvas import dataset_line, grid, labels, legend, tip, titles
from ailot_ray.report.figures.series import Panel, Series
from ailot_ray.report.record import value_of, values_of

_RESAMPLES = 2000
_MANY_CELLS = 60
"""Cells above which only the mean is written in each."""
_MANY_TICKS = 12


def score_against(panels: Sequence[Panel], path: str) -> Figure:
    """Mean score against the values of a configuration path; the band is the 95 % interval, dots are runs.

    A series with one value there, or none, was not asked: its mean is a dotted level line beside the others.
    """
    figure, axes = grid(len(panels), height=2.9)
    titles(axes, panels)
    asked = {id(series) for panel in panels for series in panel.series if len(values_of(series.runs, path)) > 1}
    values = values_of([run for panel in panels for one in panel.series if id(one) in asked for run in one.runs], path)
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    at = {value: value if numeric else i for i, value in enumerate(values)}
    for axis, panel in zip(axes, panels, strict=True):
        dataset_line(axis, panel)
        for series in panel.series:
            if id(series) in asked:
                _answer(axis, series, path, at)
            else:
                mean = statistics.mean(series.scores)
                level = axis.axhline(mean, color=series.colour, linestyle=":", linewidth=1.6)
                tip(level, f"{series.label}: {mean:.1f} at any {path}")
        _value_axis(axis, values, numeric)
    labels(axes, path, [panel.measure for panel in panels])
    found = {one.label: one for panel in panels for one in panel.series}
    levels = {"linestyle": ":", "marker": ""}
    drawn = [Line2D([], [], label=label, **one.line | ({} if id(one) in asked else levels)) for label, one in found.items()]
    return legend(figure, drawn, panels)


def _answer(axis: Axes, series: Series, path: str, at: dict[Any, Any]) -> None:
    """One series of `score_against`: at each value of the setting the scores of its runs."""
    by_value: dict[Any, list[float]] = {value: [] for value in at}
    for run in series.runs:
        if value_of(run, path) in by_value:
            by_value[value_of(run, path)].append(run.score)
    found = {value: scores for value, scores in by_value.items() if scores}
    x = [at[value] for value in found]
    means = [statistics.mean(scores) for scores in found.values()]
    low, high = zip(*(_interval(scores) for scores in found.values()), strict=True)
    axis.fill_between(x, low, high, color=series.colour, alpha=0.18, linewidth=0)
    (line,) = axis.plot(x, means, **series.line)
    told = zip(found.items(), means, low, high, strict=True)
    tip(
        line,
        *(f"{series.label}: {m:.1f}, 95 % {a:.1f} to {b:.1f} ({len(s)} runs) at {path}={v}" for (v, s), m, a, b in told),
    )
    single = [(at[value], score) for value, scores in found.items() for score in scores]
    dots: dict[str, Any] = {"color": series.colour, "markersize": 3, "alpha": 0.45, "linestyle": "none"}
    axis.plot([x for x, _ in single], [score for _, score in single], "o", **dots)


def _value_axis(axis: Axes, values: Sequence[Any], numeric: bool) -> None:
    """Ticks at a setting's values: logarithmic where they span orders of magnitude, by name where they are words."""
    if not numeric:
        axis.set_xticks(range(len(values)), [str(value) for value in values])
        return
    if min(values) > 0 and max(values) / min(values) >= 10:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")  # its own are formulas, which no text of a figure is
    if len(values) <= _MANY_TICKS:
        axis.set_xticks(values, [f"{value:g}" for value in values])
        axis.minorticks_off()


def heat_map(panels: Sequence[Panel], across: str, up: str) -> Figure:
    """Mean score by two configuration paths; every cell says the mean, its deviation over runs, and how many they are."""
    figure, axes = grid(len(panels), height=3.2, columns=2, width=5.2)
    titles(axes, panels)
    scores = [_cells(panel, across, up) for panel in panels]
    means = [statistics.mean(cell) for cells in scores for cell in cells.values()]
    norm = Normalize(min(means), max(means) if max(means) > min(means) else min(means) + 1.0)
    for axis, panel, cells in zip(axes, panels, scores, strict=True):
        columns, lines = values_of(panel.runs, across), values_of(panel.runs, up)
        grid_of = np.full((len(lines), len(columns)), np.nan)
        small = grid_of.size <= _MANY_CELLS
        told = []
        for (x, y), cell in sorted(cells.items(), key=lambda item: (lines.index(item[0][1]), columns.index(item[0][0]))):
            i, j = lines.index(y), columns.index(x)
            grid_of[i, j] = statistics.mean(cell)
            text = _cell_text(cell)
            told.append(f"{across}={x} {up}={y}: {text}".replace("\n", ", "))
            ink = "white" if norm(grid_of[i, j]) < 0.5 else "black"
            if len(columns) <= _MANY_TICKS + 2:
                axis.text(j, i, text if small else f"{grid_of[i, j]:.0f}", ha="center", va="center", color=ink, fontsize=7)
        edges = [np.arange(n + 1) - 0.5 for n in grid_of.shape]
        masked = np.ma.masked_invalid(grid_of)
        mesh = axis.pcolormesh(edges[1], edges[0], masked, cmap="cividis", norm=norm, edgecolors="white", linewidth=1.5)
        tip(mesh, *told)
        axis.set_xticks(range(len(columns)), [str(value) for value in columns])
        axis.set_yticks(range(len(lines)), [str(value) for value in lines])
        axis.grid(visible=False)
    labels(axes, across, up)
    measure = " or ".join(dict.fromkeys(panel.measure for panel in panels))
    figure.colorbar(ScalarMappable(norm, "cividis"), ax=axes, shrink=0.85, pad=0.01).set_label(measure, fontsize=8.5)
    return figure


def _cells(panel: Panel, across: str, up: str) -> dict[tuple[Any, Any], list[float]]:
    cells: dict[tuple[Any, Any], list[float]] = {}
    for run in panel.runs:
        place = value_of(run, across), value_of(run, up)
        if None not in place:
            cells.setdefault(place, []).append(run.score)
    return cells


def _interval(scores: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean; of a single run the run itself."""
    if len(scores) < 2:
        return scores[0], scores[0]
    return statistics.mean_interval([scores], np.random.default_rng(0), resamples=_RESAMPLES)


def _cell_text(scores: Sequence[float]) -> str:
    spread = f" ± {statistics.std(scores):.1f}" if len(scores) > 1 else ""
    return f"{statistics.mean(scores):.1f}{spread}\nn = {len(scores)}"
