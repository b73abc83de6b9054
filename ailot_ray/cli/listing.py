"""The table of tasks for the terminal."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from ailot_ray.config import Config
from ailot_ray.report.look import label_of
from ailot_ray.resolve import resolve
from ailot_ray.tasks import PUBLISHED, Task


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
        heads = "".join(f"{label_of(method).split()[0]:>7}" for method in PUBLISHED)
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
