"""The table of runs: its columns, its rows, and both as HTML."""

import html
from collections.abc import Callable, Sequence
from typing import Any

from ailot_ray.report.look import label_of
from ailot_ray.report.page.sources import swept_paths, varying_paths
from ailot_ray.report.record import STATES, Trial, value_of

MARKS = {"done": "●", "running": "◐", "waiting": "○", "failed": "✕", "stopped": "◼", "interrupted": "◌"}
"""A sign beside the word, so that states do not differ in colour alone."""


def columns(runs: Sequence[Trial]) -> list[str]:
    """Columns of the table: fixed ones, then the paths in which runs differ, those of one method first."""
    several = [name for name in ("task", "data", "sweeps") if len({value_of(run, name) or str(run.sweeps) for run in runs}) > 1]
    swept = swept_paths(runs)
    rest = [path for path in varying_paths(runs) if path not in swept]
    told = ["detail"] if any(run.detail for run in runs) else []
    return ["state", "score", "method", *several, *swept, "seed", *told, *rest]


def record(run: Trial, names: Sequence[str]) -> dict[str, Any]:
    """One run as a row of the table."""
    row: dict[str, Any] = {name: value_of(run, name) for name in names}
    row |= {"state": run.state, "method": label_of(run.method), "sweeps": ", ".join(run.sweeps)}
    row["data"] = f"{run.data}{' *' if run.substituted else ''}"
    row["score"] = None if not run.done else round(run.score, 2)
    return row | {"id": run.short, "detail": run.detail}


def count(runs: Sequence[Trial]) -> dict[str, int]:
    """How many runs are in each state that occurs."""
    counts = {state: sum(run.state == state for run in runs) for state in STATES}
    return {state: number for state, number in counts.items() if number}


def as_html(runs: Sequence[Trial], link: Callable[[Trial], str]) -> str:
    """The table of runs as HTML; numbers stand in their cells for sorting, `link` gives a run's address or nothing."""
    names = columns(runs)
    head = "".join(f"<th scope='col' tabindex='0'>{html.escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(_cell(name, row[name], link(run)) for name in names)}</tr>"
        for run in runs
        for row in [record(run, names)]
    )
    return f"<table id='runs'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(name: str, value: Any, link: str) -> str:
    if name == "state":
        told = f"{MARKS[value]} {value}"
        inside = f"<a href='{html.escape(link)}'>{told}</a>" if link else told
        return f"<td class='state {value}'>{inside}</td>"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{html.escape('' if value is None else str(value))}</td>"
    return (
        f"<td class='number' data-value='{value}'>{value:.1f}</td>"
        if name == "score"
        else f"<td class='number' data-value='{value}'>{value:g}</td>"
    )
