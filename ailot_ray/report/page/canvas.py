"""What all of the page's figures share: panels in a grid, the dataset's line, lines with bands, one style."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.colors import hex_to_rgb
from plotly.subplots import make_subplots

from ailot_ray.report.look import DATASET, GREY, label_of
from ailot_ray.report.page.series import Panel, Series

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
COLUMNS = 2
LINE = "#E4E7EB"


def grid(
    panels: Sequence[Panel], x: str, y: str, height: int = 340, columns: int = COLUMNS, shares: Sequence[float] | None = None
) -> go.Figure:
    """An empty figure with a place for each panel, or one place where there is no panel.

    height: of one line of panels, in pixels, on average where `shares` gives each line its own part.
    """
    columns = max(1, min(columns, len(panels)))
    lines = max(1, math.ceil(len(panels) / columns))
    total = height * lines + 90
    figure = make_subplots(
        lines,
        columns,
        row_heights=list(shares) if shares else None,
        subplot_titles=[panel.title for panel in panels] or None,
        horizontal_spacing=0.09,
        vertical_spacing=min(0.9 / lines, 105 / total) if lines > 1 else 0.0,
    )
    figure.update_layout(height=total)
    figure.update_xaxes(title={"text": x, "standoff": 8})
    figure.update_yaxes(title={"text": y, "standoff": 8}, col=1)
    return figure


def places(panels: Sequence[Panel], columns: int = COLUMNS) -> Iterator[tuple[Panel, int, int]]:
    """Each panel with its row and column, from 1."""
    columns = max(1, min(columns, len(panels)))
    for i, panel in enumerate(panels):
        yield panel, i // columns + 1, i % columns + 1


def dataset_line(figure: go.Figure, panel: Panel, row: int, column: int, vertical: bool = False) -> None:
    """The mean of the dataset's own episodes, where it is known."""
    if panel.dataset_score is not None:
        draw = figure.add_vline if vertical else figure.add_hline
        look = {"color": GREY, "dash": "dash", "width": 1.2}
        draw(panel.dataset_score, line=look, row=row, col=column, exclude_empty_subplots=False)


def line_of(series: Series) -> dict[str, Any]:
    """How a series is drawn as a line, and its one entry in the legend."""
    return {
        "name": series.label,
        "legendgroup": series.label,
        "mode": "lines+markers",
        "line": {"color": series.colour, "dash": series.dash, "width": 2.2},
        "marker": {"symbol": series.symbol, "size": 6},
    }


def band(
    figure: go.Figure,
    x: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    series: Series,
    row: int | None = None,
    column: int | None = None,
) -> None:
    """A filled area between two lines over `x`, (S,) each."""
    figure.add_trace(band_of(x, low, high, series.colour, series.label), row, column)


def band_of(x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, group: str) -> go.Scatter:
    """The area between two lines, shown and hidden with the rest of its legend group."""
    ahead, top, bottom = np.asarray(x), np.asarray(high), np.asarray(low)
    return go.Scatter(
        x=np.concatenate([ahead, ahead[::-1]]).tolist(),
        y=np.concatenate([top, bottom[::-1]]).tolist(),
        fill="toself",
        fillcolor=translucent(colour),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        legendgroup=group,
    )


def translucent(colour: str, opacity: float = 0.15) -> str:
    """A colour, ``#rrggbb`` or ``rgb(r, g, b)``, that lets others show through."""
    parts = hex_to_rgb(colour) if colour.startswith("#") else colour.removeprefix("rgb(").removesuffix(")").split(",")
    return f"rgba({','.join(str(part).strip() for part in parts)},{opacity})"


def value_axis(figure: go.Figure, values: Sequence[Any], numeric: bool) -> None:
    """An x axis for a setting's values: logarithmic where they span orders of magnitude, by name where they are words."""
    if not numeric:
        figure.update_xaxes(type="category")
    elif values and min(values) > 0 and max(values) / min(values) >= 10:
        figure.update_xaxes(type="log", tickvals=list(values), ticktext=[f"{value:g}" for value in values])
    elif len(values) <= 12:
        figure.update_xaxes(tickvals=list(values), ticktext=[f"{value:g}" for value in values])


def finish(figure: go.Figure, panels: Sequence[Panel], lines: bool = True) -> go.Figure:
    """Give a figure the page's style and its legend, with the dataset's line in it where that was drawn (`lines`)."""
    if lines and any(panel.dataset_score is not None for panel in panels):
        dashed = {"color": GREY, "dash": "dash", "width": 1.2}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="lines", line=dashed, name=label_of(DATASET)))
    figure.update_layout(
        template="plotly_white",
        font={"family": FONT, "size": 13, "color": "#1F2933"},
        margin={"l": 66, "r": 24, "t": 56 if panels else 30, "b": 60},
        legend={"orientation": "h", "yanchor": "top", "y": -70 / (figure.layout.height - 120), "x": 0, "font": {"size": 12}},
        modebar={"bgcolor": "rgba(255,255,255,0.8)", "color": "#9AA5B1", "activecolor": GREY},
        hoverlabel={"font": {"family": FONT, "size": 12}},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_annotations(font={"size": 13})
    small = {"size": 13}
    figure.update_xaxes(title_font=small, gridcolor=LINE, zerolinecolor=LINE, linecolor="#9AA5B1", showline=True)
    figure.update_yaxes(title_font=small, gridcolor=LINE, zerolinecolor=LINE)
    names: set[str] = set()
    for trace in figure.data:  # a series is in several panels, and once in the legend
        if trace.legendgroup and trace.showlegend is None:
            trace.showlegend = trace.legendgroup not in names
            names.add(trace.legendgroup)
    return figure
