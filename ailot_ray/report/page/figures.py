"""Figures over many runs: learning curves, score against a setting, heat map, performance profiles, comparison."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ailot_ray.report import statistics
from ailot_ray.report.grouping import Group, mean_curve
from ailot_ray.report.look import GREY, colour_of
from ailot_ray.report.page.canvas import band, dataset_line, finish, grid, line_of, places, value_axis
from ailot_ray.report.page.series import Panel, Series
from ailot_ray.report.page.sources import value_of, values_of

SCORE = "normalised score"
_RESAMPLES = 2000
_MANY_CELLS = 60


def learning_curves(panels: Sequence[Panel]) -> go.Figure:
    """Mean score over gradient steps, a line a series; its band one sample standard deviation over its runs."""
    figure = grid(panels, "gradient steps", SCORE)
    for panel, row, column in places(panels):
        dataset_line(figure, panel, row, column)
        for series in panel.series:
            steps, centre, spread, counts = mean_curve(series.runs)
            band(figure, steps, centre - spread, centre + spread, series, row, column)
            figure.add_trace(
                go.Scatter(
                    x=steps,
                    y=centre,
                    customdata=np.stack([spread, counts], axis=1),
                    hovertemplate="%{y:.1f} ± %{customdata[0]:.1f} (%{customdata[1]:.0f} runs) at %{x:,} steps",
                    **line_of(series),
                ),
                row,
                column,
            )
    return finish(figure, panels)


def score_against(panels: Sequence[Panel], path: str) -> go.Figure:
    """Mean score against the values of a configuration path; the band is the bootstrap 95 % interval, dots are runs.

    A series with one value there, or none, was not asked: its mean is a level line beside the others.
    """
    figure = grid(panels, path, SCORE)
    asked = [series for panel in panels for series in panel.series if len(values_of(series.runs, path)) > 1]
    values = values_of([run for series in asked for run in series.runs], path)
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    x = values if numeric else [str(value) for value in values]
    for panel, row, column in places(panels):
        dataset_line(figure, panel, row, column)
        for series in panel.series:
            by_value: dict[Any, list[float]] = {value: [] for value in values}
            for run in series.runs:
                if run.done and value_of(run, path) in by_value:
                    by_value[value_of(run, path)].append(run.score)
            if len(values_of(series.runs, path)) > 1:
                _answer(figure, series, {x[i]: scores for i, scores in enumerate(by_value.values()) if scores}, row, column)
            elif values:
                mean, level = statistics.mean(series.scores), line_of(series) | {"mode": "lines"}
                level["line"] = {"color": series.colour, "dash": "dot", "width": 1.8}
                figure.add_trace(
                    go.Scatter(x=[x[0], x[-1]], y=[mean, mean], hovertemplate=f"%{{y:.1f}} at any {path}", **level), row, column
                )
    value_axis(figure, values, numeric)
    figure.update_xaxes(matches="x")
    return finish(figure, panels)


def _answer(figure: go.Figure, series: Series, found: dict[Any, list[float]], row: int, column: int) -> None:
    """One series of `score_against`: by each value of the setting the scores of its runs."""
    x, scores = list(found), list(found.values())
    ends = [_interval(values) for values in scores]
    band(figure, x, [low for low, _ in ends], [high for _, high in ends], series, row, column)
    about = [[f"{low:.1f} to {high:.1f}", len(values)] for (low, high), values in zip(ends, scores, strict=True)]
    says = "%{y:.1f}, 95 % %{customdata[0]} (%{customdata[1]} runs) at %{x}"
    means = [statistics.mean(values) for values in scores]
    figure.add_trace(go.Scatter(x=x, y=means, customdata=about, hovertemplate=says, **line_of(series)), row, column)
    dots = {"color": series.colour, "size": 4, "opacity": 0.45}
    single = [(value, score) for value, values in found.items() for score in values]
    quiet: dict[str, Any] = {"mode": "markers", "marker": dots, "hoverinfo": "skip", "showlegend": False}
    figure.add_trace(
        go.Scatter(x=[value for value, _ in single], y=[score for _, score in single], legendgroup=series.label, **quiet),
        row,
        column,
    )


def heat_map(panels: Sequence[Panel], across: str, up: str) -> go.Figure:
    """Mean score by two configuration paths; every cell says the mean, its deviation over runs, and how many they are."""
    figure = grid(panels, across, up, height=380)
    for panel, row, column in places(panels):
        columns, lines = values_of(panel.runs, across), values_of(panel.runs, up)
        cells: dict[tuple[Any, Any], list[float]] = {}
        for run in panel.runs:
            if run.done:
                cells.setdefault((value_of(run, across), value_of(run, up)), []).append(run.score)
        scores = [[cells.get((x, y), []) for x in columns] for y in lines]
        means = [[statistics.mean(cell) if cell else None for cell in line] for line in scores]
        small = len(columns) * len(lines) <= _MANY_CELLS
        text = [[_cell_text(cell, small) for cell in line] for line in scores]
        figure.add_trace(
            go.Heatmap(
                x=[str(value) for value in columns],
                y=[str(value) for value in lines],
                z=means,
                text=text,
                texttemplate="%{text}" if len(columns) <= 14 else None,
                hovertemplate=f"{across} %{{x}}<br>{up} %{{y}}<br>%{{text}}<extra></extra>",
                coloraxis="coloraxis",
                xgap=2,
                ygap=2,
            ),
            row,
            column,
        )
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(type="category", showgrid=False)
    figure.update_layout(coloraxis={"colorscale": "Cividis", "colorbar": {"title": {"text": SCORE, "side": "right"}}})
    return finish(figure, panels, lines=False)


def performance_profile(panels: Sequence[Panel]) -> go.Figure:
    """Share of runs that score above a threshold, over all tasks together, with pointwise bootstrap 95 % bands."""
    figure = grid([], "", "")
    scores = [score for panel in panels for series in panel.series for score in series.scores]
    if scores:
        margin = 0.03 * (max(scores) - min(scores)) + 0.5
        thresholds = np.linspace(min(scores) - margin, max(scores) + margin, 201)
        for label in dict.fromkeys(series.label for panel in panels for series in panel.series):
            members = [series for panel in panels for series in panel.series if series.label == label]
            strata = [series.scores for series in members]
            share, low, high = statistics.performance_profile(strata, thresholds, np.random.default_rng(0))
            if not np.isnan(low).any():
                band(figure, thresholds, low, high, members[0])
            line = line_of(members[0]) | {"mode": "lines"}
            hover = "%{y:.0%} of " + str(sum(map(len, strata))) + " runs above %{x:.1f}"
            figure.add_trace(go.Scatter(x=thresholds, y=share, hovertemplate=hover, **line))
    figure.update_xaxes(title=f"{SCORE} s")
    figure.update_yaxes(title="share of runs above s", range=[-0.02, 1.02], tickformat=".0%")
    figure.update_layout(height=440)
    return finish(figure, [])


def comparison(panels: Sequence[Panel], rows: Sequence[Group]) -> go.Figure:
    """Scores of every configuration: dots are seeds, the bar is the mean with its bootstrap 95 % interval, a diamond what was
    published (only where the data are D4RL's own), the dashed line the dataset's mean."""
    by_panel = [[row for row in rows if (row.task, row.data_digest) == (p.task, p.data_digest)] for p in panels]
    shares = [1.5 + len(found) for found in by_panel]  # the dataset's own row makes up for the margin
    figure = grid(panels, SCORE, "", height=105 + int(28 * sum(shares) / max(1, len(shares))), columns=1, shares=shares)
    for (panel, line, column), found in zip(places(panels, 1), by_panel, strict=True):
        dataset_line(figure, panel, line, column, vertical=True)
        evaluated = [row for row in found if row.method != "dataset" and row.mean is not None]
        names = [row.name for row in evaluated]
        cut = [name if len(name) <= 46 else f"{name[:45]}…" for name in names]
        labels = cut if len(set(cut)) == len(names) else names  # one label would be one line
        for row, name, label in zip(evaluated, names, labels, strict=True):
            assert row.mean is not None
            colour = colour_of(row.method)
            ends = row.interval or (row.mean, row.mean)
            error = {"type": "data", "symmetric": False, "array": [ends[1] - row.mean], "arrayminus": [row.mean - ends[0]]}
            bar = {"symbol": "line-ns", "size": 15, "line": {"width": 3, "color": colour}, "color": colour}
            dots = {"color": colour, "size": 7, "opacity": 0.5}
            shared: dict[str, Any] = {"mode": "markers", "showlegend": False}
            says = f"{name}<br>mean %{{x:.1f}}, 95 % {ends[0]:.1f} to {ends[1]:.1f}, {len(row.seeds)} seeds<extra></extra>"
            figure.add_trace(
                go.Scatter(x=list(row.scores), y=[label] * len(row.scores), marker=dots, hoverinfo="x", **shared), line, column
            )
            figure.add_trace(
                go.Scatter(x=[row.mean], y=[label], error_x=error, marker=bar, hovertemplate=says, **shared), line, column
            )
            if row.published is not None:
                mark = {"symbol": "diamond-open", "size": 11, "color": "black", "line": {"width": 2}}
                says = f"published: %{{x:.1f}}<extra>{row.label}</extra>"
                figure.add_trace(
                    go.Scatter(x=[row.published], y=[label], marker=mark, hovertemplate=says, **shared), line, column
                )
    figure.update_yaxes(autorange="reversed", automargin=True, type="category")
    _keys(figure, published=any(row.published is not None for row in rows))
    return finish(figure, panels)


def _keys(figure: go.Figure, published: bool) -> None:
    """Legend entries of the comparison, which no single trace stands for."""
    keys = [("a seed", {"color": GREY, "size": 7, "opacity": 0.5})]
    keys.append(("mean over seeds, 95 % interval", {"symbol": "line-ns", "size": 13, "line": {"width": 3, "color": GREY}}))
    if published:
        keys.append(("published", {"symbol": "diamond-open", "size": 10, "color": "black", "line": {"width": 2}}))
    for name, marker in keys:
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=name))


def _interval(scores: Sequence[float]) -> tuple[float, float]:
    """Bootstrap 95 % interval of the mean; of a single run the run itself."""
    if len(scores) < 2:
        return scores[0], scores[0]
    return statistics.bootstrap_interval([scores], np.random.default_rng(0), resamples=_RESAMPLES)


def _cell_text(scores: Sequence[float], small: bool) -> str:
    if not scores:
        return ""
    spread = f" ± {statistics.std(scores):.1f}" if len(scores) > 1 else ""
    return f"{statistics.mean(scores):.1f}{spread}<br>n = {len(scores)}" if small else f"{statistics.mean(scores):.0f}"
