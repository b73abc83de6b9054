"""The table that papers print: a task a line, a method a column, with the published scores beside ours."""

from collections.abc import Sequence

from ailot_ray.report.grouping import Group
from ailot_ray.report.layout import NONE, Style, table
from ailot_ray.report.look import label_of, rank_of
from ailot_ray.report.tables import NOTHING_YET, substituted_note
from ailot_ray.tasks import PUBLISHED, TASKS, Task

Place = tuple[str, str]
"""A task and the digest of its data."""


def comparison_table(rows: Sequence[Group], style: Style = "text", tasks: Sequence[str] = ()) -> str:
    """Lay the rows out with methods as columns: ours as mean ± standard deviation over seeds, then the published scores.

    A configuration of a method is a column. Tasks without a row of their own, named by `tasks`, stand with their published
    scores alone. A star marks data that are not D4RL's own, beside which a published score is no yardstick. The last line
    sums columns of which every score is known.
    """
    if not rows and not tasks:
        return NOTHING_YET
    ours = {(row.task, row.data_digest, row.name): row for row in rows}
    first = {row.name: row for row in rows}.values()
    columns = sorted(first, key=lambda row: (rank_of(row.method), -(row.steps or 0), row.settings_text))
    places = {(row.task, row.data_digest): row for row in rows}
    found = {row.task for row in rows}
    lines: list[tuple[str, Place | None, Task | None]] = [
        (f"{row.task}{' *' if row.substituted else ''}", place, TASKS.get(row.task)) for place, row in places.items()
    ]
    lines += [(name, None, TASKS[name]) for name in tasks if name not in found]
    names = list(tasks)
    lines.sort(key=lambda line: names.index(line[2].name) if line[2] and line[2].name in names else len(names))
    published = [m for m in PUBLISHED if any(task and m in task.published for _, _, task in lines)]
    means = [
        [ours[*place, c.name].mean if place and (*place, c.name) in ours else None for c in columns] for _, place, _ in lines
    ]
    told = [[task.published.get(m) if task else None for m in published] for _, _, task in lines]
    header = ["task", *(c.name for c in columns), *(f"{label_of(m)}, published" for m in published)]
    body = [
        [name, *(_ours(ours.get((*place, c.name)) if place else None) for c in columns), *map(_number, known)]
        for (name, place, _), known in zip(lines, told, strict=True)
    ]
    if len(body) > 1:
        sums = [_sum(column) for column in zip(*([*x, *y] for x, y in zip(means, told, strict=True)), strict=True)]
        body.append(["sum", *map(_number, sums)])
    text = table(header, body, (True, *[False] * (len(header) - 1)), style)
    return "\n".join([text, *substituted_note(any(row.substituted for row in rows), style)])


def _ours(row: Group | None) -> str:
    if row is None or row.mean is None:
        return NONE
    return _number(row.mean) if row.std is None else f"{row.mean:.1f} ± {row.std:.1f}"


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"
