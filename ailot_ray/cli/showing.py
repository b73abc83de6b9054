"""The verbs that only look: tasks, results, and data inspect, fetch and export."""

import importlib
import json as jsonlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from ailot_ray.cli.listing import domain_settings, format_tasks
from ailot_ray.config import Config, flatten
from ailot_ray.data import load_dataset
from ailot_ray.data.export import export_d4rl
from ailot_ray.data.fetch import fetch
from ailot_ray.data.inspection import format_inspection, inspect_dataset
from ailot_ray.errors import ConfigError, DataError, StoreError
from ailot_ray.pipeline import Experiment, load_rewards, relabel
from ailot_ray.pipeline.physics import check_physics, format_physics
from ailot_ray.report.aggregates import format_statistics, statistics_json
from ailot_ray.report.comparison import comparison_table
from ailot_ray.report.grouping import group
from ailot_ray.report.layout import Style
from ailot_ray.report.page.sources import Sources, find_stores
from ailot_ray.report.plots import plot_learning_curves, plot_scores
from ailot_ray.report.record import Trial, load_trials
from ailot_ray.report.results import write_results
from ailot_ray.report.tables import NOTHING_YET, as_json, format_table
from ailot_ray.store import Store
from ailot_ray.task_files import names_in, on_disk
from ailot_ray.tasks import TASKS, Task, get_task


@dataclass(frozen=True)
class Tasks:
    """List the tasks with their domain's settings, published scores, and which of their files are on disk."""

    data_dir: Path = Path("data")
    """Where the tasks' own files lie."""
    file: Path | None = None
    """Also list the tasks of a TOML file of your own."""
    json: bool = False
    """End with one JSON object on the last line of standard output."""

    def execute(self) -> dict[str, Any]:
        own = [get_task(name) for name in names_in(self.file)] if self.file else []
        tasks = (*TASKS.values(), *own)
        where = {task.name: "built in" for task in TASKS.values() if task.file_name is None}
        where |= {task.name: task.data for task in own if task.data and on_disk(task.data)}
        for task in tasks:
            if task.file_name and (self.data_dir / task.file_name).exists():
                where[task.name] = "on disk"
        print(format_tasks(tasks, where))
        return {"tasks": {task.name: self._described(task, where.get(task.name)) for task in tasks}}

    def _described(self, task: Task, where: str | None) -> dict[str, Any]:
        path = str(self.data_dir / task.file_name) if task.file_name and where else where
        about = {"domain": task.domain, "environment": task.environment, "horizon": task.horizon, "url": task.url}
        reference = {"reference_min": task.reference_min, "reference_max": task.reference_max}
        return {**about, **reference, "data": path, "published": task.published, "settings": domain_settings(task)}


@dataclass(frozen=True)
class Inspect:
    """Show what is in a dataset: episodes, lengths, returns, ends by kind, gaps, what was dropped or clipped."""

    task: str = Config.task
    """The task whose data it is: says the sizes and where the file lies."""
    data: Path | None = None
    """A file in D4RL's HDF5 schema, or minari:ID, in place of the task's own."""
    data_dir: Path = Config.data_dir
    """Where the tasks' own files lie."""
    physics: bool = False
    """Also take recorded steps again in the simulator: tells whether the file was recorded in it."""
    json: bool = False
    """End with one JSON object on the last line of standard output."""

    def execute(self) -> dict[str, Any]:
        dataset = load_dataset(Config(task=self.task, data=self.data, data_dir=self.data_dir))
        report = inspect_dataset(dataset)
        print(format_inspection(report))
        if self.physics:
            physics = check_physics(dataset)
            print(format_physics(physics))
            report["physics"] = asdict(physics)
        return report


@dataclass(frozen=True)
class Fetch:
    """Download a task's file as D4RL publishes it."""

    task: str
    """A task of `python -m ailot_ray tasks`."""
    data_dir: Path = Config.data_dir
    """Where to put it."""
    sha256: str | None = None
    """The checksum it must have, in hexadecimal."""
    json: bool = False
    """End with one JSON object on the last line of standard output."""

    def execute(self) -> dict[str, Any]:
        path = fetch(get_task(self.task), self.data_dir, sha256=self.sha256)
        print(f"{self.task}: {path}")
        return {"file": str(path)}


@dataclass(frozen=True)
class Export:
    """Write the relabelled dataset in D4RL's schema, for any other learner; relabels first if need be."""

    output: Path
    """The HDF5 file to write."""
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    seed: int = 0
    """Whose intents."""
    store: Path = Path("store")
    """Folder of artefacts."""
    overwrite: bool = False
    """Replace the file if it is there."""
    json: bool = False
    """End with one JSON object on the last line of standard output."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"--seed is {self.seed}, but it must be 0 or more")

    def execute(self) -> dict[str, Any]:
        if self.output.exists() and not self.overwrite:
            raise DataError(f"{self.output} exists: choose another --output or pass --overwrite")
        experiment = Experiment.open(self.config, Store(self.store))
        rewards = relabel(experiment, [self.seed])[0]
        provenance = flatten(experiment.config) | {
            "seed": self.seed,
            "rewards": rewards.digest,
            "file": experiment.dataset.digest,
        }
        text = jsonlib.dumps(provenance, sort_keys=True)
        export_d4rl(experiment.dataset, load_rewards(rewards), self.output, provenance=text, overwrite=self.overwrite)
        print(f"{len(experiment.dataset):,} transitions with the rewards of {rewards.folder}: {self.output}")
        return {"file": str(self.output), "rewards": str(rewards.folder)}


@dataclass(frozen=True)
class Results:
    """Print the table of everything evaluated in a store, and plot it."""

    store: Path = Path("store")
    """Folder of artefacts."""
    style: Style = "text"
    """text for the terminal, markdown, csv, or latex (booktabs)."""
    statistics: bool = False
    """Over all tasks instead: interquartile means with 95 % intervals, and how probably AILOT improves on each method."""
    compare: bool = False
    """One line a task and one column a method instead, with the published scores beside: the table that papers print."""
    html: Path | None = None
    """Also write the results page as one self-contained HTML file for sharing."""
    json: bool = False
    """End with one JSON object on the last line of standard output."""

    def execute(self) -> dict[str, Any]:
        if not self.store.is_dir():
            raise StoreError(f"--store {self.store} is not there: {NOTHING_YET}")
        if self.statistics and self.compare:
            raise ConfigError("--statistics and --compare are two tables: ask for one at a time")
        shown = self._table(load_trials(self.store))
        if self.html is not None:
            stores = find_stores([self.store])
            page = importlib.import_module("ailot_ray.report.page.shared")  # plotly, which no other verb needs
            page.write_shared(Sources(stores).read(), self.html, stores)
            shown["html"] = str(self.html)
            if self.style == "text":
                print(f"{self.html}, the results page as one file")
        return shown

    def _table(self, trials: Sequence[Trial]) -> dict[str, Any]:
        if self.statistics:
            rows = group(trials)
            print(format_statistics(rows, self.style))
            return statistics_json(rows)
        if self.compare:
            rows = group(trials)
            print(comparison_table(rows, self.style))
            return {"rows": as_json(rows)}
        return show_results(trials, self.store, self.style)


def show_results(trials: Sequence[Trial], folder: Path, style: Style = "text") -> dict[str, Any]:
    """Print the results table of `trials`, and write results.parquet and the plots into `folder`."""
    rows = group(trials)
    print(format_table(rows, style))
    if not rows:
        return {"rows": []}
    parquet = write_results(trials, folder)
    curves, scores = folder / "learning_curves.png", folder / "scores.png"
    plot_learning_curves(trials, curves)
    plot_scores(trials, scores)
    if style == "text":
        print(f"\n{parquet}, one row a trial\n{curves}\n{scores}")
    return {"rows": as_json(rows), "results": str(parquet), "plots": [str(curves), str(scores)]}
