"""Figures of one trial, from its rewards and, where one was drawn, its portrait (see `ailot_ray.pipeline.diagnose`)."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from ailot_ray.mazes import CELL, MAZES, TARGET_RADIUS, Maze
from ailot_ray.report.look import CYCLE, GREY, colour_of
from ailot_ray.report.page.canvas import band_of, finish, grid
from ailot_ray.report.page.runs import video_path
from ailot_ray.report.record import Trial
from ailot_ray.store import MANIFEST

DEGENERATE_MARGIN = 0.02
"""Rewards within this fraction of α of 0, or of α, count as collapsed or saturated; as in `ailot_ray.method.diagnostics`."""
COLOURS = {"expert": "#000000", "best": "#009E73", "worst": "#D55E00"}
SPACES = {"intents": colour_of("ailot"), "standardised states": GREY}
HEIGHT = 380


@dataclass(frozen=True)
class Portrait:
    """The files of one portrait."""

    lines: dict[str, dict[str, Any]]
    """Length and true return of the drawn trajectories, by name."""
    environment: str
    steps: pa.Table
    isometry: pa.Table
    coupling: pa.Table | None
    places: pa.Table | None


def rewards_folder(run: Trial) -> Path | None:
    """Where the run's rewards lie; None where it has none, or they are gone."""
    folder = run.root / "rewards" / run.artefacts.get("rewards", "none")
    return folder if (folder / MANIFEST).exists() else None


def portrait_of(run: Trial) -> Path | None:
    """The folder of the portrait of the run's rewards; None where none was drawn."""
    rewards = rewards_folder(run)
    if rewards is None:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError):
        digest = json.loads((rewards / MANIFEST).read_text())["digest"]
        keys = {path.parent: _key(path) for path in (run.root / "diagnostics").glob(f"{run.task}-*/{MANIFEST}")}
        drawn = [folder for folder, key in keys.items() if key["rewards"] == digest]
        return max(drawn, key=lambda folder: int(keys[folder]["version"]), default=None)
    return None


def _key(manifest: Path) -> Any:
    return json.loads(manifest.read_text())["key"]


def load_portrait(run: Trial) -> Portrait | None:
    """The portrait of the run's rewards; None where none was drawn, or it cannot be read."""
    folder = portrait_of(run)
    with contextlib.suppress(OSError, ValueError, KeyError, pa.ArrowException):
        return None if folder is None else _read(folder)
    return None


def _read(folder: Path) -> Portrait:
    tables = {name: _table(folder / f"{name}.parquet") for name in ("steps", "isometry", "coupling", "places")}
    about = json.loads((folder / "diagnostics.json").read_text())
    lines = {line["name"]: line for line in about["lines"]}
    steps, isometry = tables["steps"], tables["isometry"]
    if steps is None or isometry is None:
        raise ValueError(f"{folder} is not whole")
    return Portrait(lines, about.get("environment", ""), steps, isometry, tables["coupling"], tables["places"])


def _table(path: Path) -> pa.Table | None:
    return pq.ParquetFile(path).read() if path.exists() else None


def video_of(run: Trial) -> Path | None:
    """The film of the run's policy, where there is one."""
    path = None if not run.done else video_path(run.root, run.folder)
    return path if path is not None and path.is_file() else None


def reward_histogram(run: Trial) -> go.Figure | None:
    """The rewards before the domain's rescaling, with the bounds of collapse and saturation; None where they are not there."""
    folder = rewards_folder(run)
    if folder is None:
        return None
    try:
        file = pq.ParquetFile(folder / "rewards.parquet")
        own = "squashed" in file.schema_arrow.names
        values = file.read(columns=["squashed" if own else "reward"]).column(0).to_numpy()
    except (OSError, pa.ArrowException):
        return None
    alpha = float(run.config.get("reward.alpha") or 1.0)
    shares, edges = np.histogram(values, 100, (0.0, max(alpha, float(values.max()))) if own else None)
    figure = grid([], "reward before the domain's rescaling" if own else "reward", "transitions (%)", HEIGHT)
    percent, centres = 100.0 * shares / max(1, values.size), (edges[:-1] + edges[1:]) / 2
    says = "%{y:.2f} % near %{x:.3g}<extra></extra>"
    colour = colour_of(run.method)
    figure.add_trace(go.Bar(x=centres, y=percent, marker={"color": colour}, width=np.diff(edges), hovertemplate=says))
    if own:
        low, high = DEGENERATE_MARGIN * alpha, (1 - DEGENERATE_MARGIN) * alpha
        _bound(figure, low, f"collapsed: {(values < low).mean():.1%}", "left")
        _bound(figure, high, f"saturated: {(values > high).mean():.1%}", "right")
    figure.update_layout(showlegend=False)
    return _small(figure)


def _bound(figure: go.Figure, at: float, text: str, side: str) -> None:
    """A dashed line at a reward beyond which it says nothing, with the share that is beyond."""
    colour = colour_of("iql")
    figure.add_vline(at, line={"color": colour, "dash": "dash", "width": 1.4})
    place = {"x": at, "y": 0.98, "yref": "paper", "yanchor": "top", "xanchor": side, "xshift": 6 if side == "left" else -6}
    figure.add_annotation(
        text=text, showarrow=False, font={"color": colour, "size": 12}, bgcolor="rgba(255,255,255,0.8)", **place
    )


def reward_along(portrait: Portrait, alpha: float) -> go.Figure:
    """The reward of every step of the expert's, the best and the worst trajectory."""
    figure = grid([], "step of the trajectory", "reward before the domain's rescaling", HEIGHT)
    for name in portrait.lines:
        table = _of(portrait.steps, name)
        line = {"color": COLOURS[name], "width": 1.6}
        says = "%{y:.3g} at step %{x}"
        figure.add_trace(
            go.Scatter(
                x=table["step"], y=table["reward"], mode="lines", line=line, name=_label(portrait, name), hovertemplate=says
            )
        )
    figure.update_yaxes(range=[-0.03 * alpha, 1.05 * alpha])
    return _small(figure)


def couplings(portrait: Portrait) -> go.Figure | None:
    """P of the drawn trajectories as heat maps, each row relative to its largest entry; the line is the mean matched step."""
    if portrait.coupling is None:
        return None
    shown = [name for name in portrait.lines if len(_of(portrait.coupling, name)["mass"])]
    titles = [_label(portrait, name) for name in shown]
    figure = make_subplots(1, len(shown), subplot_titles=titles, horizontal_spacing=0.07)
    for i, name in enumerate(shown):
        x, y, share = _coupling(portrait.coupling, name)
        says = "expert step %{x:.0f}, own step %{y:.0f}: %{customdata:.1%} of the step's mass<extra></extra>"
        relative = share / np.maximum(share.max(axis=1, keepdims=True), 1e-300)
        cells = go.Heatmap(x=x, y=y, z=relative, customdata=share, coloraxis="coloraxis", hovertemplate=says)
        figure.add_trace(cells, 1, i + 1)
        line = {"color": "#E69F00", "width": 2}
        mean = go.Scatter(
            x=share @ x, y=y, mode="lines", line=line, name="mean matched step", showlegend=not i, legendgroup="mean"
        )
        figure.add_trace(mean, 1, i + 1)
    bar = {"title": {"text": "relative to the step's largest", "side": "right"}, "tickformat": ".0%"}
    figure.update_layout(height=HEIGHT + 60, coloraxis={"colorscale": "Blues", "colorbar": bar, "cmin": 0})
    figure.update_xaxes(title="expert's step")
    figure.update_yaxes(title="trajectory's step", col=1)
    return _small(figure)


def isometry(portrait: Portrait) -> go.Figure:
    """Distance of states by the steps between them, relative to its median at the farthest: straight is good, flat is blind."""
    figure = grid([], "steps between two states of a trajectory", "distance ÷ its median at the farthest", HEIGHT)
    for name, colour in SPACES.items():
        table = _of(portrait.isometry, name, "space")
        if not len(table["horizon"]):
            continue
        unit = float(table["median"][-1]) or 1.0
        figure.add_trace(band_of(table["horizon"], table["low"] / unit, table["high"] / unit, colour, name))
        marks = {"mode": "lines+markers", "line": {"color": colour, "width": 2.2}, "marker": {"size": 6}}
        says = "%{y:.2f} at %{x} steps"
        figure.add_trace(
            go.Scatter(x=table["horizon"], y=table["median"] / unit, name=name, legendgroup=name, hovertemplate=says, **marks)
        )
    figure.update_yaxes(rangemode="tozero")
    return _small(figure)


def over_maze(portrait: Portrait, alpha: float) -> go.Figure | None:
    """On mazes: the reward at some of the dataset's states over the map, and the drawn trajectories' paths."""
    if portrait.places is None:
        return None
    figure = grid([], "x (m)", "y (m)", 560)
    columns = {name: portrait.places[name].to_numpy() for name in ("x", "y", "reward")}
    bar = {"title": {"text": "reward", "side": "right"}}
    marker = {"color": columns["reward"], "colorscale": "Cividis", "cmin": 0, "cmax": alpha, "size": 5, "colorbar": bar}
    says = "reward %{marker.color:.3g} at (%{x:.1f}, %{y:.1f})<extra></extra>"
    figure.add_trace(
        go.Scattergl(
            x=columns["x"], y=columns["y"], mode="markers", marker=marker, hovertemplate=says, name="states of the data"
        )
    )
    for name in portrait.lines:
        table = _of(portrait.steps, name)
        line = {"color": COLOURS[name], "width": 2.4}
        figure.add_trace(go.Scatter(x=table["x"], y=table["y"], mode="lines", line=line, name=_label(portrait, name)))
    if portrait.environment in MAZES:
        _draw_maze(figure, MAZES[portrait.environment])
    figure.update_yaxes(scaleanchor="x", scaleratio=1)
    return _small(figure)


def _draw_maze(figure: go.Figure, maze: Maze) -> None:
    """Walls and target, in metres, y upwards."""
    half = CELL / 2
    walls = [
        {"type": "rect", "x0": x - half, "x1": x + half, "y0": y - half, "y1": y + half, "line": {"width": 0}}
        | {"fillcolor": "#B8C2CC", "layer": "below"}
        for x, y in maze.walls.tolist()
    ]
    (x, y), r = maze.goal.tolist(), TARGET_RADIUS
    target = {
        "type": "circle",
        "x0": x - r,
        "x1": x + r,
        "y0": y - r,
        "y1": y + r,
        "line": {"color": colour_of("iql"), "width": 3},
    }
    left, right, bottom, top = maze.extent
    figure.update_layout(shapes=[*walls, target])
    figure.update_xaxes(range=[left, right], constrain="domain", showgrid=False)
    figure.update_yaxes(range=[bottom, top], showgrid=False)


def _coupling(table: pa.Table, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Middles of the expert's bins (C,) and of the trajectory's (R,), and each row's shares (R, C)."""
    columns = _of(table, name)
    rows, first = np.unique(columns["row"], return_index=True)
    y = (rows + columns["row_end"][first]) / 2
    across, seen = np.unique(columns["column"], return_index=True)
    x = (across + columns["column_end"][seen]) / 2
    mass = columns["mass"].reshape(len(rows), len(across))
    return x, y, mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-300)


def _of(table: pa.Table, name: str, column: str = "name") -> dict[str, NDArray[Any]]:
    wanted = np.array(table[column].to_pylist(), dtype=object) == name
    return {field: table[field].to_numpy()[wanted] for field in table.column_names if field != column}


def _label(portrait: Portrait, name: str) -> str:
    line = portrait.lines[name]
    number = f" (trajectory {line['trajectory']})" if "trajectory" in line else ""
    known = line.get("true_return")
    return f"{name}{number}" + ("" if known is None else f", true return {known:,.0f}")


def _small(figure: go.Figure, panels: Sequence[Any] = ()) -> go.Figure:
    return finish(figure, panels, lines=False).update_layout(margin={"t": 40}, colorway=CYCLE)
