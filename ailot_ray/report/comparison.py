"""The table that papers print: a task a line, a method a column, with the published scores beside ours."""

from collections.abc import Sequence

from ailot_ray.report.grouping import Group
from ailot_ray.report.layout import NONE, Style, table
from ailot_ray.report.look import DATASET, label_of, rank_of
from ailot_ray.report.tables import NOTHING_YET, published_text, substituted_note
from ailot_ray.tasks import PUBLISHED, TASKS, Task

Place = tuple[str, str]
"""A task and the digest of its data."""


def comparison_table(rows: Sequence[Group], style: Style = "text", tasks: Sequence[str] = ()) -> str:
    """Lay the rows out with methods as columns: ours as mean ± standard deviation over seeds, then the published scores.

    A configuration of a method is a column, with its gradient steps where rows have one number of them; a score says how many
    seeds it is of. Tasks without a row of their own, named by `tasks`, stand with their published scores alone. A star marks
    data that are not D4RL's own: no published score stands beside them. The last line sums columns of which every score is
    known; of published scores it takes the first source's, where a cell also shows the range over all.
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
    means = [
        [ours[*place, c.name].mean if place and (*place, c.name) in ours else None for c in columns] for _, place, _ in lines
    ]
    stands_in = {place for place, row in places.items() if row.substituted}
    compared = [task for _, place, task in lines if task and place not in stands_in]
    published = [m for m in PUBLISHED if any(m in task.published for task in compared)]
    told = [[task.references_of(m) if task and place not in stands_in else () for m in published] for _, place, task in lines]
    header = ["task", *(_column(c, rows) for c in columns), *(f"{label_of(m)}, published" for m in published)]
    body = [
        [name, *(_ours(ours.get((*place, c.name)) if place else None) for c in columns), *map(published_text, known)]
        for (name, place, _), known in zip(lines, told, strict=True)
    ]
    if len(body) > 1:
        mains = [[references[0].score if references else None for references in known] for known in told]
        sums = [_sum(column) for column in zip(*([*x, *y] for x, y in zip(means, mains, strict=True)), strict=True)]
        body.append(["sum", *map(_number, sums)])
    text = table(header, body, (True, *[False] * (len(header) - 1)), style)
    return "\n".join([text, *substituted_note(any(row.substituted for row in rows), style)])


def _ours(row: Group | None) -> str:
    if row is None or row.mean is None:
        return NONE
    if row.method == DATASET:
        return _number(row.mean)
    return f"{row.mean:.1f} (1 seed)" if row.std is None else f"{row.mean:.1f} ± {row.std:.1f} ({len(row.seeds)} seeds)"


def _column(row: Group, rows: Sequence[Group]) -> str:
    """Its name, with the gradient steps where all rows of the column have the same and the name does not tell them."""
    steps = {other.steps for other in rows if other.name == row.name}
    return row.name if row.names_steps or len(steps) > 1 or row.steps is None else f"{row.name} ({row.steps:,} steps)"


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"
