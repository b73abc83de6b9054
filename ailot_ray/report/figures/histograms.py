"""How rewards are distributed, a panel for each trial: what collapsed, what saturated, what tells steps apart."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray

from ailot_ray.report.figures.canvas import grid, save
from ailot_ray.report.look import GREY, colour_of


def plot_histograms(shares: Mapping[str, ArrayLike], near: float, path: Path) -> Figure:
    """Draw `reward_histograms` to the PNG file `path`. Raises StoreError where it cannot be written."""
    return save(reward_histograms(shares, near), path)


def reward_histograms(values: Mapping[str, ArrayLike], near: float | None, colour: str = "") -> Figure:
    """Histograms of rewards, a panel for each label (such as ``reward.tau=0.1``).

    values: by label the rewards (N,): with `near` those before the domain's rescaling as shares of α, exp(−τ·c/s), between 0
        and 1; without, rewards of any size.
    near: below `near` a reward counts as collapsed, above 1 − `near` as saturated; both bounds are drawn, and the shares of
        transitions beyond them written.

    Raises ValueError for an empty array.
    """
    arrays = {label: np.asarray(one, dtype=np.float64).ravel() for label, one in values.items()}
    if not arrays or not all(one.size for one in arrays.values()):
        raise ValueError("expected one reward or more under each label")
    figure, axes = grid(len(arrays), height=1.75, width=3.4)
    for axis, (label, one) in zip(axes, arrays.items(), strict=True):
        edges = np.linspace(0.0, 1.0, 51) if near is not None else np.histogram_bin_edges(one, 50)
        axis.hist(one, edges.tolist(), weights=np.full(one.size, 1.0 / one.size), color=colour or colour_of("ailot"))
        lines = [label] if label else []
        if near is not None:
            for bound in (near, 1 - near):
                axis.axvline(bound, color=colour_of("iql"), linestyle="--", linewidth=1.0)
            lines.append(f"collapsed {_percent(one < near)}, saturated {_percent(one > 1 - near)}")
            axis.set_xlim(-0.02, 1.02)
        axis.set_title("\n".join(lines), fontsize=8, loc="left")
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    told = "reward" if near is None else f"reward / α;  dashed: collapse below {near:g}, saturation above {1 - near:g}"
    figure.supxlabel(told, fontsize=8, color=GREY)
    figure.supylabel("transitions", fontsize=8, color=GREY)
    return figure


def _percent(beyond: NDArray[np.bool_]) -> str:
    return f"{100 * float(np.mean(beyond)):.1f} %"
