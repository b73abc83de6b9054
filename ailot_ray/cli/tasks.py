"""Verb tasks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from ailot_ray.cli.options import Verb
from ailot_ray.config import Config
from ailot_ray.methods import get_method
from ailot_ray.resolve import resolve
from ailot_ray.task_files import names_in, on_disk
from ailot_ray.tasks import PUBLISHED, TASKS, Task, get_task


@dataclass(frozen=True, kw_only=True)
class Tasks(Verb):
    """List the tasks with their domain's settings, published scores, and which of their files are on disk."""

    data_dir: Path = Path("data")
    """Where the tasks' own files lie."""
    file: Path | None = None
    """Also list the tasks of a TOML file of your own."""

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


def domain_settings(task: Task) -> dict[str, Any]:
    """What AILOT takes in the task's domain for settings left alone, by path."""
    config = resolve(Config(task=task.name))
    return {
        "iql.expectile": config.iql.expectile,
        "iql.temperature": config.iql.temperature,
        "iql.dropout": config.iql.dropout,
        "reward.shift": config.reward.shift,
        "evaluation.episodes": config.evaluation.episodes,
    }


def format_tasks(tasks: Iterable[Task], where: Mapping[str, str]) -> str:
    """A block for each domain and each custom task, its settings above; `where` holds the place of data that are on disk."""
    lines: list[str] = []
    for (domain, _), members in groupby(tasks, key=lambda task: (task.domain, task.domain == "custom" and task.name)):
        block = list(members)
        settings = "   ".join(f"{path} {value:g}" for path, value in domain_settings(block[0]).items())
        heads = "".join(f"{get_method(method).label.split()[0]:>7}" for method in PUBLISHED)
        lines += [*([""] if lines else []), f"{domain}: {settings}"]
        lines.append(f"{'task':<29}{'simulator':<23}{'states':>6}{'actions':>8}{'horizon':>8}{heads}  data")
        for task in block:
            sizes = f"{task.observation_size:>6}{task.action_size:>8}{task.horizon:>8}"
            scores = "".join(f"{task.published.get(method, '–'):>7}" for method in PUBLISHED)
            lines.append(f"{task.name:<29}{task.environment:<23}{sizes}{scores}  {where.get(task.name, '–')}")
    lines += [
        "",
        "Columns of scores: published means with one expert demonstration (IQL: on true rewards); – where none is known.",
    ]
    return "\n".join(lines)
