"""Pictures of results: learning curves and scores by seed. PNG files, drawn without a display."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from ailot_ray.errors import StoreError
from ailot_ray.files import replacing
from ailot_ray.report import statistics
from ailot_ray.report.grouping import Group, group, mean_curve
from ailot_ray.report.look import DATASET, GREY, colour_of, label_of, rank_of
from ailot_ray.report.record import Trial
from ailot_ray.report.tables import NOTHING_YET, usual_notes

_DPI = 130
_COLUMNS = 3
_MARKERS = "osD^vP"
_NAME_WIDTH, _LEGEND_WIDTH = 36, 75
"""Characters a line of what a row's settings are called, beside a panel and below the figure."""


def plot_learning_curves(evaluated: Sequence[Trial], path: Path) -> Figure:
    """Draw mean score over gradient steps to the PNG file `path`, a panel for each task and dataset.

    A line is the mean over seeds, its band one sample standard deviation to either side; the dashed line is the dataset's
    mean. Returns the figure. Raises StoreError where there is no trial or `path` cannot be written.
    """
    panels = _panels(evaluated)
    styles = _styles(panels)
    noted = any(rows[0].substituted or not rows[0].normalised for rows in panels)
    figure, axes = _grid(len(panels), height=2.9)
    for axis, rows in zip(axes, panels, strict=True):
        _title(axis, rows[0], noted)
        _dataset_line(axis, rows[0], vertical=False)
        for row in rows[1:]:
            steps, centre, spread, _ = mean_curve(row.trials)
            colour, marker = styles[row.name]
            axis.plot(steps, centre, color=colour, marker=marker, markersize=3.5, linewidth=1.6, zorder=3)
            axis.fill_between(steps, centre - spread, centre + spread, color=colour, alpha=0.18, linewidth=0)
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.xaxis.set_major_locator(MaxNLocator(5))
    _label(axes, "gradient steps", "normalised score")
    handles = [
        Line2D([], [], color=c, marker=m, markersize=4, label=_fold(label, _LEGEND_WIDTH)) for label, (c, m) in styles.items()
    ]
    several = any(len(row.seeds) > 1 for rows in panels for row in rows)
    band = [Patch(color=GREY, alpha=0.18, linewidth=0, label="± standard deviation over seeds")] if several else []
    _legend(figure, [*handles, *band, *_dataset_handle(panels), *_usual_handles(panels)])
    return _save(figure, path)


def plot_scores(evaluated: Sequence[Trial], path: Path) -> Figure:
    """Draw the final scores of trials to the PNG file `path`, a panel for each task and dataset.

    A line of the panel is a configuration: each dot a seed, the upright bar their mean; the dashed line is the dataset's mean.
    Returns the figure. Raises StoreError where there is no trial or `path` cannot be written.
    """
    panels = _panels(evaluated)
    styles = _styles(panels)
    noted = any(rows[0].substituted or not rows[0].normalised for rows in panels)
    most = max(len(rows) - 1 for rows in panels)
    names = [[_name(row) for row in rows[1:]] for rows in panels]
    lines = max((name.count("\n") + 1 for panel in names for name in panel), default=1)
    figure, axes = _grid(len(panels), height=1.1 + max(0.3, 0.15 * lines) * most, columns=2)
    for axis, rows, labels in zip(axes, panels, names, strict=True):
        _title(axis, rows[0], noted)
        _dataset_line(axis, rows[0], vertical=True)
        for y, row in enumerate(rows[1:]):
            colour, marker = styles[row.name]
            axis.vlines(statistics.mean(row.scores), y - 0.3, y + 0.3, color=colour, linewidth=2.2, zorder=3)
            axis.plot(row.scores, [y] * len(row.scores), marker, color=colour, markersize=5.5, alpha=0.6, linestyle="none")
        axis.set_yticks(range(len(rows) - 1), labels)
        axis.set_ylim(most - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
    _label(axes, "normalised score", "")
    seed = Line2D([], [], color=GREY, marker="o", alpha=0.6, linestyle="none", label="a seed")
    mean = Line2D([], [], color=GREY, marker="|", markersize=11, markeredgewidth=2.2, linestyle="none", label="mean over seeds")
    _legend(figure, [seed, mean, *_dataset_handle(panels), *_usual_handles(panels)])
    return _save(figure, path)


def _panels(trials: Sequence[Trial]) -> list[list[Group]]:
    """The rows of each task and dataset; the first of each is the dataset's own."""
    panels: list[list[Group]] = []
    for row in group(trials):
        if row.method == DATASET:
            panels.append([])
        panels[-1].append(row)
    if not panels:
        raise StoreError(NOTHING_YET)
    return panels


def _name(row: Group) -> str:
    """Method and settings beside a panel, in lines that leave room for it."""
    return f"{row.title}\n{_fold(row.settings_text, _NAME_WIDTH)}".rstrip()


def _fold(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def _styles(panels: Sequence[Sequence[Group]]) -> dict[str, tuple[tuple[float, float, float], str]]:
    """Colour and marker by series: a hue for each method, from dark to light over its configurations."""
    rows = [row for panel in panels for row in panel[1:]]
    by_method: dict[str, dict[str, Group]] = {}
    for row in sorted(rows, key=lambda row: rank_of(row.method)):
        by_method.setdefault(row.method, {}).setdefault(row.name, row)
    styles = {}
    for method, named in by_method.items():
        base = np.array(to_rgb(colour_of(method)))
        # the first configuration that is no variant of others keeps the method's own hue
        plain = next((name for name, row in named.items() if not row.settings_text), None)
        swept = [name for name in named if name != plain]
        for i, name in enumerate(named):
            shade = -0.45 + swept.index(name) / (len(swept) - 1) if len(swept) > 1 and name in swept else 0.0
            red, green, blue = base * (1 + shade) if shade < 0 else base + (1 - base) * shade
            styles[name] = ((float(red), float(green), float(blue)), _MARKERS[i % len(_MARKERS)])
    return styles


def _grid(panels: int, height: float, columns: int = _COLUMNS, width: float = 3.9) -> tuple[Figure, list[Axes]]:
    columns = min(columns, panels)
    lines = math.ceil(panels / columns)
    # A single narrow panel would leave no room for the legend.
    figure = Figure(figsize=(max(width * columns, 5.6), height * lines + 0.4), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(lines, columns, i + 1) for i in range(panels)]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#DDDDDD", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=8)
    return figure, axes


def _title(axis: Axes, row: Group, noted: bool) -> None:
    """Task and file above a panel; `noted` leaves a line for the note in every panel, so that they stand level."""
    own = "not D4RL's own file: compare among these" if row.substituted else ""
    note = own if row.normalised else "returns as they are: no reference returns are known"
    # D4RL's AntMaze names are longer than a panel is wide.
    data = row.data if len(row.data) <= 40 else f"{row.data[:18]}…{row.data[-21:]}"
    lines = f"{data} ({row.data_digest[:8]})" + (f"\n{note}" if noted else "")
    axis.set_title(lines, fontsize=7, loc="left", color=GREY)
    axis.annotate(row.task, (0, 1), (0, 27 if noted else 17), "axes fraction", "offset points", fontsize=9.5, fontweight="bold")


def _label(axes: Sequence[Axes], x: str, y: str) -> None:
    for axis in axes:
        axis.set_xlabel(x, fontsize=8.5)
        place = axis.get_subplotspec()
        if place is not None and place.is_first_col():
            axis.set_ylabel(y, fontsize=8.5)


def _dataset_line(axis: Axes, row: Group, vertical: bool) -> None:
    if row.mean is not None:
        draw = axis.axvline if vertical else axis.axhline
        draw(row.mean, color=GREY, linestyle="--", linewidth=1.2)


def _dataset_handle(panels: Sequence[Sequence[Group]]) -> list[Line2D]:
    known = any(rows[0].mean is not None for rows in panels)
    return [Line2D([], [], color=GREY, linestyle="--", linewidth=1.2, label=label_of(DATASET))] if known else []


def _usual_handles(panels: Sequence[Sequence[Group]]) -> list[Line2D]:
    """What the names of configurations leave unsaid, as entries of the legend without a mark."""
    notes = usual_notes([row for rows in panels for row in rows])
    return [Line2D([], [], linestyle="none", label=_fold(note, _LEGEND_WIDTH)) for note in notes]


def _legend(figure: Figure, handles: Sequence[Artist]) -> None:
    # About 15 characters an inch at this size, and 5 for the line in front.
    labels = [str(handle.get_label()).split("\n") for handle in handles]
    longest = max(len(line) for lines in labels for line in lines) + 5
    columns = max(1, min(len(handles), int(figure.get_figwidth() * 15 / longest)))
    figure.set_figheight(figure.get_figheight() + 0.18 * math.ceil(sum(len(lines) for lines in labels) / columns))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def _save(figure: Figure, path: Path) -> Figure:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return figure
