"""A picture of how rewards are distributed, a panel for each trial: what collapsed, what saturated, what tells steps apart."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray

from ailot_ray.files import replacing
from ailot_ray.report.look import GREY, colour_of

_COLUMNS = 3
_EDGES = np.linspace(0.0, 1.0, 51)


def plot_histograms(shares: Mapping[str, ArrayLike], near: float, path: Path) -> Figure:
    """Draw histograms of rewards before the domain's rescaling to the PNG file `path`, a panel for each label.

    shares: by label (such as ``reward.tau=0.1``) the rewards as shares of α, exp(−τ·c/s), (N,) each, between 0 and 1.
    near: below `near` a reward counts as collapsed, above 1 − `near` as saturated; both bounds are drawn, and the shares of
        transitions beyond them written.

    Returns the figure. Raises ValueError for an empty array, StoreError where `path` cannot be written.
    """
    arrays = {label: np.asarray(values, dtype=np.float64).ravel() for label, values in shares.items()}
    if not arrays or not all(values.size for values in arrays.values()):
        raise ValueError("expected one reward or more under each label")
    columns = min(_COLUMNS, len(arrays))
    lines = math.ceil(len(arrays) / columns)
    figure = Figure(figsize=(max(3.4 * columns, 5.0), 1.75 * lines + 0.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    for i, (label, values) in enumerate(arrays.items()):
        axis = figure.add_subplot(lines, columns, i + 1)
        axis.hist(values, _EDGES.tolist(), weights=np.full(values.size, 1.0 / values.size), color=colour_of("ailot"))
        for bound in (near, 1 - near):
            axis.axvline(bound, color=colour_of("iql"), linestyle="--", linewidth=1.0)
        told = f"collapsed {_percent(values < near)}, saturated {_percent(values > 1 - near)}"
        axis.set_title(f"{label}\n{told}", fontsize=8, loc="left")
        axis.set_xlim(-0.02, 1.02)
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7.5)
        axis.grid(color="#DDDDDD", linewidth=0.6)
        axis.set_axisbelow(True)
    figure.supxlabel(f"reward / α;  dashed: collapse below {near:g}, saturation above {1 - near:g}", fontsize=8, color=GREY)
    figure.supylabel("transitions", fontsize=8, color=GREY)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return figure


def _percent(beyond: NDArray[np.bool_]) -> str:
    return f"{100 * float(np.mean(beyond)):.1f} %"
