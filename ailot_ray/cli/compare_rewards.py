"""A sweep's trials compared by their rewards alone: what an alignment says before any policy is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import to_builtins
from numpy.typing import NDArray

from ailot_ray.cli.jobs import run_all
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.sweep import Sweep
from ailot_ray.errors import AilotError, ConfigError
from ailot_ray.method.diagnostics import DEGENERATE_MARGIN
from ailot_ray.methods import get_method
from ailot_ray.pipeline import Experiment, load_report, load_shares
from ailot_ray.report.figures.histograms import plot_histograms
from ailot_ray.report.figures.measures import plot_measures
from ailot_ray.report.layout import NONE, Style, table
from ailot_ray.store import Store, write_json

MEASURES: dict[str, tuple[tuple[str, ...], str]] = {
    "ρ of return": (("rank_correlation", "return"), ".2f"),
    "ρ per step": (("rank_correlation", "mean_reward_per_step"), ".2f"),
    "order of time": (("coherence", "correlation"), ".2f"),
    "steps back": (("coherence", "backward"), ".0%"),
    "look-ahead distance": (("look_ahead_distance",), ".2f"),
    "isometry, 50 steps": (("isometry", "intent", "50"), ".2f"),
    "collapsed": (("collapse_share",), ".1%"),
    "saturated": (("saturation_share",), ".1%"),
    "ms a trajectory": (("seconds_per_trajectory",), ".0f"),
}
"""Columns of the comparison: where a relabel report has the number, and its form."""
NOT_DRAWN = "ms a trajectory"


def compare_rewards(sweep: Sweep, store: Path, options: ClusterOptions, style: Style = "text") -> dict[str, Any]:
    """Relabel for every trial of a grid, and print the reports' measures, the mean over seeds, one line a trial.

    Cloning and the true rewards have no report and are left out; a trial that cannot be relabelled stands with the reason. What
    is printed is also in ``sweeps/<name>/rewards.json`` of the store, and drawn in ``rewards.png`` beside it;
    ``histograms.png`` has the rewards themselves, of the first seed. Raises ConfigError for a search, which has no list.
    """
    if sweep.space:
        raise ConfigError(f"sweep {sweep.name} is a search: there is no list of trials whose rewards could be compared")
    lines, found, drawn = [], [], []
    shares: dict[str, NDArray[np.float64]] = {}
    experiment: Experiment | None = None
    trials = [settings for settings in sweep.settings() if get_method(sweep.config(settings).method).aligned]
    several = {path for settings in trials for path in settings if len({str(other.get(path)) for other in trials}) > 1}
    for settings in trials:
        config = sweep.config(settings)
        label = " ".join(f"{path}={value}" for path, value in settings.items() if path in several) or config.method
        try:
            run_all("relabel", config, [config.method], sweep.seeds, store, options)
            experiment = experiment.with_config(config) if experiment else Experiment.open(config, Store(store))
            reports = [
                to_builtins(load_report(experiment, seed))
                for seed in (sweep.seeds if experiment.uses_intents else sweep.seeds[:1])
            ]
            shares[label] = load_shares(experiment, sweep.seeds[0])
        except AilotError as error:
            lines.append([label, *[NONE] * len(MEASURES), str(error)])
            found.append({"settings": dict(settings), "failure": str(error)})
            continue
        measures = {
            name: [value for report in reports if (value := _at(report, path)) is not None]
            for name, (path, _) in MEASURES.items()
        }
        unsolved = max(report["unconverged"] for report in reports)
        lines.append(
            [
                label,
                *(_text(values, MEASURES[name][1]) for name, values in measures.items()),
                f"{unsolved} unsolved" if unsolved else "",
            ]
        )
        drawn.append((label, {name: values for name, values in measures.items() if name != NOT_DRAWN}))
        found.append({"settings": dict(settings), "measures": measures, "warnings": [report["warnings"] for report in reports]})
    print(table(["", *MEASURES, ""], lines, (True, *[False] * len(MEASURES), True), style))
    result = {"trials": found}
    folder = store / "sweeps" / sweep.name
    write_json(folder / "rewards.json", result)
    if drawn:
        plot_measures(
            drawn, folder / "rewards.png", frozenset(name for name, (_, form) in MEASURES.items() if form.endswith("%"))
        )
        plot_histograms(shares, DEGENERATE_MARGIN, folder / "histograms.png")
        print(f"\n{folder / 'rewards.json'}\n{folder / 'rewards.png'}\n{folder / 'histograms.png'}")
    return result


def _at(report: Mapping[str, Any], path: Sequence[str]) -> float | None:
    value: Any = report
    for name in path:
        value = None if value is None else value.get(name)
    return None if value is None else float(value) * (1000.0 if path[-1] == "seconds_per_trajectory" else 1.0)


def _text(values: Sequence[float], form: str) -> str:
    """The mean, and the range where seeds differ."""
    if not values:
        return NONE
    low, mean, high = (format(value, form) for value in (min(values), float(np.mean(values)), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"
