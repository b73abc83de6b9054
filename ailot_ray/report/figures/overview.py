"""Figures over all that was evaluated: learning curves, scores by seed, performance profiles."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from ailot_ray.errors import StoreError
from ailot_ray.report import statistics
from ailot_ray.report.figures.canvas import dataset_line, fold, grid, labels, legend, plain, save, tip, titles
from ailot_ray.report.figures.series import Panel, make_panels
from ailot_ray.report.grouping import Group, mean_curve
from ailot_ray.report.look import DATASET, GREY
from ailot_ray.report.tables import NOTHING_YET, usual_notes

_NAME_WIDTH = 36
"""Most characters a line of what a configuration is called beside a panel."""


MOST_DRAWN = 24
"""Configurations of a panel of a picture on disk: of more no eye tells colours or lines apart."""


def plot_learning_curves(groups: Sequence[Group], path: Path) -> Figure:
    """Draw `learning_curves` of the best configurations to the PNG file `path`. Raises StoreError where there is no trial."""
    return save(learning_curves(*_best(groups)), path)


def plot_scores(groups: Sequence[Group], path: Path) -> Figure:
    """Draw `final_scores` of the best configurations to the PNG file `path`. Raises StoreError where there is no trial."""
    return save(final_scores(*_best(groups)), path)


def learning_curves(panels: Sequence[Panel], notes: Sequence[str] = ()) -> Figure:
    """Mean score over gradient steps, a panel for each task and dataset.

    A line is the mean over its runs, its band one sample standard deviation to either side; the dashed line is the dataset's
    mean.
    """
    figure, axes = grid(len(panels), height=2.9)
    titles(axes, panels)
    for axis, panel in zip(axes, panels, strict=True):
        dataset_line(axis, panel)
        for series in panel.series:
            steps, centre, spread, counts = mean_curve(series.runs)
            (line,) = axis.plot(steps, centre, **series.line)
            told = zip(steps, centre, spread, counts, strict=True)
            tip(line, *(f"{series.label}: {c:.1f} ± {s:.1f} ({n} runs) at {step:,} steps" for step, c, s, n in told))
            axis.fill_between(steps, centre - spread, centre + spread, color=series.colour, alpha=0.18, linewidth=0)
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.xaxis.set_major_locator(MaxNLocator(5))
    labels(axes, "gradient steps", [panel.measure for panel in panels])
    several = any(len(series.runs) > 1 for panel in panels for series in panel.series)
    band = [Patch(color=GREY, alpha=0.18, linewidth=0, label="± standard deviation over seeds")] if several else []
    return legend(figure, [*_handles(panels), *band], panels, [*notes, *_usual(panels)])


def final_scores(panels: Sequence[Panel], notes: Sequence[str] = ()) -> Figure:
    """Scores of the final policies, a panel for each task and dataset and a line for each configuration.

    A dot is a seed, the upright bar their mean with its 95 % interval, a diamond the published score (only where the
    data are D4RL's own), the dashed line the dataset's mean.
    """
    looks = {series.label: series for panel in panels for series in panel.series}
    names = [[f"{one.title}\n{fold(one.settings_text, _NAME_WIDTH)}".rstrip() for one in panel.groups] for panel in panels]
    most = max(len(panel.groups) for panel in panels)
    lines = max(name.count("\n") + 1 for panel in names for name in panel)
    figure, axes = grid(len(panels), height=1.1 + max(0.3, 0.15 * lines) * most, columns=2, width=5.6)
    titles(axes, panels)
    for axis, panel, ticks in zip(axes, panels, names, strict=True):
        dataset_line(axis, panel, vertical=True)
        colours = [looks[one.name].colour for one in panel.groups]
        means = [statistics.mean(one.scores) for one in panel.groups]
        low, high = zip(*(one.interval or (mean, mean) for one, mean in zip(panel.groups, means, strict=True)), strict=True)
        told = [
            f"{one.name}: mean {mean:.1f}, " + (f"95 % {low[y]:.1f} to {high[y]:.1f}, " if one.interval else "") + _seeds(one)
            for y, (one, mean) in enumerate(zip(panel.groups, means, strict=True))
        ]
        rows = np.arange(len(means))
        tip(axis.vlines(means, rows - 0.3, rows + 0.3, colors=colours, linewidth=2.2, zorder=3), *told)
        tip(axis.hlines(rows, low, high, colors=colours, linewidth=1.2), *told)
        places = [
            (looks[one.name], score, y, f"{one.name}, seed {seed}: {score:.1f}")
            for y, one in enumerate(panel.groups)
            for seed, score in zip(one.seeds, one.scores, strict=True)
        ]
        for marker in dict.fromkeys(look.marker for look, *_ in places):
            shown, x, at, texts = zip(*(place for place in places if place[0].marker == marker), strict=True)
            tip(axis.scatter(x, at, s=30, c=[look.colour for look in shown], marker=marker, alpha=0.6), *texts)
        for y, one in enumerate(panel.groups):
            if one.published is not None:
                (mark,) = axis.plot(one.published, y, "D", color="black", fillstyle="none", markersize=7, linestyle="none")
                tip(mark, f"{one.label}, published: {one.published:.1f}")
        axis.set_yticks(range(len(ticks)), ticks)
        axis.set_ylim(most - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
        axis.yaxis.set_label_coords(0, 0)  # else its place is sought among hundreds of names, again and again
    labels(axes, [panel.measure for panel in panels], "")
    handles = [Line2D([], [], color=GREY, marker="o", alpha=0.6, linestyle="none", label="a seed")]
    bar_ends = {"marker": "|", "markersize": 11, "markeredgewidth": 2.2}
    several = any(one.interval for panel in panels for one in panel.groups)
    mean_label = "mean over seeds, 95 % interval" if several else "mean over seeds"
    handles.append(Line2D([], [], color=GREY, linewidth=1.2 if several else 0, label=mean_label, **bar_ends))  # type: ignore[arg-type]
    if any(one.published is not None for panel in panels for one in panel.groups):
        handles.append(Line2D([], [], color="black", marker="D", fillstyle="none", linestyle="none", label="published"))
    return legend(figure, handles, panels, [*notes, *_usual(panels)])


def performance_profile(panels: Sequence[Panel]) -> Figure:
    """Share of runs that score above a threshold, over all tasks together, with pointwise bootstrap 95 % bands."""
    figure, (axis,) = grid(1, height=3.6, width=7.5)
    every = [series for panel in panels for series in panel.series]
    scores = [score for series in every for score in series.scores]
    margin = 0.03 * (max(scores) - min(scores)) + 0.5
    thresholds = np.linspace(min(scores) - margin, max(scores) + margin, 201)
    for label in dict.fromkeys(series.label for series in every):
        members = [series for series in every if series.label == label]
        strata = [series.scores for series in members]
        share, low, high = statistics.performance_profile(strata, thresholds, np.random.default_rng(0))
        colour = members[0].colour
        if not np.isnan(low).any():
            axis.fill_between(thresholds, low, high, color=colour, alpha=0.18, linewidth=0)
        (line,) = axis.plot(thresholds, share, color=colour, linewidth=1.6, label=label)
        tip(line, f"{label}, share of {sum(map(len, strata))} runs")
    plain(axis)
    axis.set_ylim(-0.02, 1.02)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    labels([axis], f"{' or '.join(dict.fromkeys(panel.measure for panel in panels))} s", "share of runs above s")
    return legend(figure, axis.lines, notes=_usual(panels))


def _best(groups: Sequence[Group]) -> tuple[list[Panel], list[str]]:
    """Panels of at most MOST_DRAWN configurations each, of every method its best at least, and a note on the others."""
    kept: list[Group] = []
    most = 0
    for place in (one for one in groups if one.method == DATASET):
        inside = [one for one in groups if one.place == place.place and one.mean is not None and one.method != DATASET]
        ranked = sorted(inside, key=lambda one: -(one.mean or 0.0))
        first = {id(next(one for one in ranked if one.method == method)) for method in {one.method for one in inside}}
        chosen = {id(one) for one in sorted(ranked, key=lambda one: id(one) not in first)[:MOST_DRAWN]}
        kept += [place, *(one for one in inside if id(one) in chosen)]
        most = max(most, len(inside))
    panels = make_panels(kept)
    if not panels:
        raise StoreError(NOTHING_YET)
    return panels, [f"the best {MOST_DRAWN} of {most} configurations; the table has all"] if most > MOST_DRAWN else []


def _handles(panels: Sequence[Panel]) -> list[Line2D]:
    """Each series once."""
    found = {series.label: series for panel in panels for series in panel.series}
    ordered = sorted(found.items(), key=lambda item: item[1].rank)
    return [Line2D([], [], **{**one.line, "markersize": 4}, label=fold(label)) for label, one in ordered]


def _seeds(one: Group) -> str:
    return f"{len(one.seeds)} seed{'s' * (len(one.seeds) > 1)}"


def _usual(panels: Sequence[Panel]) -> list[str]:
    """What the names of configurations leave unsaid."""
    return usual_notes([one for panel in panels for one in panel.groups])
