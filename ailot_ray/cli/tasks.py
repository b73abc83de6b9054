"""Verb tasks."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ailot_ray.cli.options import Verb
from ailot_ray.config import Config
from ailot_ray.lazy import Lazy
from ailot_ray.methods import get_method
from ailot_ray.ogbench_tasks import format_families
from ailot_ray.resolve import resolve
from ailot_ray.task_files import names_in, on_disk
from ailot_ray.tasks import SOURCES, TASKS, Task, get_task

if TYPE_CHECKING:
    from ailot_ray.report import tables
else:
    tables = Lazy("ailot_ray.report.tables")

BUILT_IN = "built in"
COLUMNS = {"iql": 21, "otr": 6, "seabo": 6, "ailot": 6, "bc": 6, "bc10": 6}
"""Methods with published scores, and how wide their columns are."""


@dataclass(frozen=True, kw_only=True)
class Tasks(Verb):
    """List the tasks with their domain's settings, published scores, and which of their files are on disk."""

    data_dir: Path = Path("data")
    """Where the tasks' own files lie."""
    file: Path | None = None
    """Also list the tasks of a TOML file of your own."""
    task: tuple[str, ...] = ()
    """One or more tasks to tell all of: data, digest, simulator, and every published score with its source."""

    def execute(self) -> dict[str, Any]:
        own = [get_task(name) for name in names_in(self.file)] if self.file else []
        tasks = [get_task(name) for name in self.task] or [*TASKS.values(), *own]
        where = {task.name: place for task in tasks if (place := self._place(task))}
        if self.task:
            print("\n\n".join(format_task(task, where.get(task.name)) for task in tasks))
        else:
            print(format_tasks(tasks, {name: _short(name, place) for name, place in where.items()}))
            print(format_families(self.data_dir))
        return {"tasks": {task.name: _described(task, where.get(task.name)) for task in tasks}}

    def _place(self, task: Task) -> str | None:
        """Where its data lie; None where they are not on this machine."""
        if task.domain == "custom":
            return task.data if task.data and on_disk(task.data) else None
        if task.file_name is None:
            return BUILT_IN
        path = self.data_dir / task.file_name
        return str(path) if path.exists() else None


def _short(name: str, place: str) -> str:
    return "on disk" if name in TASKS and place != BUILT_IN else place


def _described(task: Task, where: str | None) -> dict[str, Any]:
    about = {"domain": task.domain, "environment": task.environment, "horizon": task.horizon, "url": task.url}
    scale = {"reference_min": task.reference_min, "reference_max": task.reference_max}
    size, digest = task.published_file or (None, None)
    file = {"data": where, "size": size, "sha256": digest, "published": task.published}
    references = [asdict(reference) for reference in task.references]
    return {**about, **scale, **file, "references": references, "settings": domain_settings(task)}


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


def format_task(task: Task, where: str | None) -> str:
    """All that is known of a task, a line each."""
    size, digest = task.published_file or (None, None)
    known = f"{size / 1e6:,.1f} MB, SHA-256 {digest}" if size else "its digest is not known: what is fetched is unverified"
    lines = [
        f"{task.name}  ({task.domain})",
        f"  simulator   {task.environment}: {task.observation_size} numbers a state, {task.action_size} an action, "
        f"{task.horizon} steps an episode",
        *(
            ["  physics     of D4RL's MuJoCo on the file below, today's on any other; --evaluation.physics chooses"]
            if task.of_d4rl
            else []
        ),
        f"  score       100 · (return − {task.reference_min:g}) / {task.reference_max - task.reference_min:g}"
        if task.normalised
        else "  score       the return itself",
        f"  data        {where or 'not on this machine'}",
        *([f"  published   {task.url}", f"              {known}"] if task.url else []),
    ]
    for reference in task.references:
        score = f"{reference.score:.1f}" + ("" if reference.deviation is None else f" ± {reference.deviation:.1f}")
        lines.append(f"  {score:>12}  {get_method(reference.method).label}: {SOURCES[reference.source]}")
    return "\n".join(lines)


def format_tasks(tasks: Iterable[Task], where: Mapping[str, str]) -> str:
    """A block for each domain and each custom task, its settings above; `where` holds the place of data that are on disk."""
    lines: list[str] = []
    for (domain, _), members in groupby(tasks, key=lambda task: (task.domain, task.domain == "custom" and task.name)):
        block = list(members)
        settings = "   ".join(f"{path} {value:g}" for path, value in domain_settings(block[0]).items())
        heads = "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
        lines += [*([""] if lines else []), f"{domain}: {settings}"]
        lines.append(f"{'task':<27}{'states':>6}{'actions':>8}{'horizon':>8}{'digest':>7}{heads}  data")
        for task in block:
            digest = "known" if task.published_file else "–"
            sizes = f"{task.observation_size:>6}{task.action_size:>8}{task.horizon:>8}{digest:>7}"
            scores = "".join(f"{tables.published_text(task.references_of(name)):>{width}}" for name, width in COLUMNS.items())
            lines.append(f"{task.name:<27}{sizes}{scores}  {where.get(task.name, '–')}")
    lines += [
        "",
        "Scores are published ones, with one expert demonstration; iql: on true rewards, with the range over implementations.",
        "`python -m ailot_ray tasks --task NAME` names the source of each, the data's address and digest, and the simulator.",
    ]
    return "\n".join(lines)
