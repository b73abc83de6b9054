"""A picture of measures side by side: a line for each trial, a panel for each measure, a dot for each seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ailot_ray.report.figures.canvas import empty, plain, save
from ailot_ray.report.look import GREY, colour_of

COLOUR = colour_of("ailot")
Measures = Mapping[str, Sequence[float]]
"""The values of each measure, one a seed; none where a trial does not have it."""


def plot_measures(trials: Sequence[tuple[str, Measures]], path: Path, shares: frozenset[str] = frozenset()) -> Figure:
    """Draw trials (label, measures) to the PNG file `path`; `shares` are the measures that are parts of one.

    Measures in which all trials are the same, or that none has, are left out. A mark stands at the mean over seeds, a dot at
    each seed. Returns the figure.
    """
    names = [name for name in trials[0][1] if _tells([measures[name] for _, measures in trials])]
    figure = empty(2.2 + 1.7 * len(names), 1.0 + 0.27 * len(trials))
    heights = [-i for i in range(len(trials))]
    for i, name in enumerate(names):
        axis = figure.add_subplot(1, len(names), i + 1)
        for height, (_, measures) in zip(heights, trials, strict=True):
            values = measures[name]
            if values:
                axis.plot(values, [height] * len(values), "o", color=COLOUR, alpha=0.35, markersize=4, markeredgewidth=0)
                axis.plot([sum(values) / len(values)], [height], "|", color=COLOUR, markersize=12, markeredgewidth=2)
        axis.set_yticks(heights, [label for label, _ in trials] if i == 0 else [])
        axis.set_ylim(heights[-1] - 0.6, 0.6)
        axis.set_title(name, fontsize=8.5, loc="left")
        plain(axis)
        axis.tick_params(labelsize=7.5, length=0)
        axis.spines["left"].set_visible(False)
        axis.xaxis.set_major_locator(MaxNLocator(3))
        axis.margins(x=0.15)
        if name in shares:
            axis.xaxis.set_major_formatter(PercentFormatter(1.0))
    figure.supxlabel("dots: seeds, marks: their mean", fontsize=7, color=GREY, x=0.02, ha="left")
    return save(figure, path)


def _tells(values: Sequence[Sequence[float]]) -> bool:
    return any(values) and (len(values) == 1 or any(list(one) != list(values[0]) for one in values))
