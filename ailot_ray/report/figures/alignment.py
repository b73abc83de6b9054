"""Figures of one alignment, from its diagnosis (see `ailot_ray.pipeline.diagnose`)."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ailot_ray.mazes import MAZES
from ailot_ray.report.figures.canvas import empty, grid, labels, legend, plain, tip
from ailot_ray.report.figures.maps import draw_maze
from ailot_ray.report.look import GREY, colour_of
from ailot_ray.report.portraits import Portrait

COLOURS = {"expert": "#000000", "best": "#009E73", "worst": "#D55E00"}
SPACES = {"intents": colour_of("ailot"), "standardised states": GREY}
_WIDTH, _HEIGHT = 7.5, 3.1


def reward_along(portrait: Portrait, alpha: float) -> Figure:
    """The reward of every step of the expert's, the best and the worst trajectory."""
    figure, (axis,) = grid(1, _HEIGHT, width=_WIDTH)
    for name in portrait.lines:
        steps = portrait.steps_of(name)
        (line,) = axis.plot(steps["step"], steps["reward"], color=COLOURS[name], linewidth=1.2, label=portrait.label(name))
        tip(line, portrait.label(name))
    axis.set_ylim(-0.03 * alpha, 1.05 * alpha)
    labels([axis], "step of the trajectory", "reward before the domain's rescaling")
    return legend(figure, axis.lines)


def couplings(portrait: Portrait) -> Figure | None:
    """P of the drawn trajectories as heat maps, each row relative to its largest entry; the line is the mean matched step."""
    found = {name: portrait.coupling_of(name) for name in portrait.lines if portrait.coupling is not None}
    shown = {name: coupling for name, coupling in found.items() if coupling[2].size}
    if not shown:
        return None
    figure, axes = grid(len(shown), _HEIGHT, width=3.6)
    for axis, (name, (x, y, share)) in zip(axes, shown.items(), strict=True):
        relative = share / np.maximum(share.max(axis=1, keepdims=True), 1e-300)
        mesh = axis.pcolormesh(x, y, relative, cmap="Blues", vmin=0.0, vmax=1.0, shading="nearest", rasterized=True)
        (line,) = axis.plot(share @ x, y, color="#E69F00", linewidth=1.6, label="mean matched step")
        tip(line, f"{portrait.label(name)}: mean matched step")
        axis.set_title(portrait.label(name), fontsize=8.5, loc="left")
        axis.grid(visible=False)
    bar = figure.colorbar(mesh, ax=axes, shrink=0.85, pad=0.01)
    bar.set_label("relative to the step's largest", fontsize=8.5)
    labels(axes, "expert's step", "trajectory's step")
    return legend(figure, axes[0].lines)


def isometry(portrait: Portrait) -> Figure:
    """Distance of states by the steps between them, relative to its median at the farthest: straight is good, flat is blind."""
    figure, (axis,) = grid(1, _HEIGHT, width=_WIDTH)
    for name, colour in SPACES.items():
        table = portrait.isometry_of(name)
        if not len(table["horizon"]):
            continue
        unit = float(table["median"][-1]) or 1.0
        axis.fill_between(table["horizon"], table["low"] / unit, table["high"] / unit, color=colour, alpha=0.18, linewidth=0)
        (line,) = axis.plot(table["horizon"], table["median"] / unit, "o-", color=colour, markersize=3.5, label=name)
        told = zip(table["horizon"], table["median"] / unit, strict=True)
        tip(line, *(f"{name}: {distance:.2f} at {steps} steps" for steps, distance in told))
    axis.set_ylim(bottom=0.0)
    labels([axis], "steps between two states of a trajectory", "distance ÷ its median at the farthest")
    return legend(figure, axis.lines)


def over_maze(portrait: Portrait, alpha: float) -> Figure | None:
    """On mazes: the reward at some of the dataset's states over the map, and the drawn trajectories' paths."""
    if portrait.places is None:
        return None
    figure = empty(_WIDTH, 5.0)
    axis = figure.add_subplot()
    plain(axis)
    x, y, reward = (portrait.places[name].to_numpy() for name in ("x", "y", "reward"))
    look: dict[str, Any] = {"cmap": "cividis", "vmin": 0.0, "vmax": alpha, "s": 6, "linewidths": 0, "rasterized": True}
    dots = axis.scatter(x, y, c=reward, **look)
    for name in portrait.lines:
        steps = portrait.steps_of(name)
        (line,) = axis.plot(steps["x"], steps["y"], color=COLOURS[name], linewidth=1.8, label=portrait.label(name), zorder=5)
        tip(line, portrait.label(name))
    if portrait.environment in MAZES:
        draw_maze(axis, MAZES[portrait.environment])
    axis.grid(visible=False)
    figure.colorbar(dots, ax=axis, shrink=0.85, pad=0.01).set_label("reward", fontsize=8.5)
    labels([axis], "x (m)", "y (m)")
    return legend(figure, axis.lines)
