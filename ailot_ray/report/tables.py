"""The results of a store as a table for the terminal, a page, a spreadsheet, a paper or a program."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ailot_ray.report.grouping import Group, format_settings
from ailot_ray.report.layout import NONE, Style, aligned, csv_text, latex_lines, markdown_lines, note
from ailot_ray.report.look import DATASET
from ailot_ray.report.record import value_of
from ailot_ray.tasks import Reference

NOTHING_YET = "nothing is evaluated yet: run `python -m ailot_ray run --task hopper-builtin` first"
SUBSTITUTED_NOTE = "* not D4RL's own file: scores on it are comparable with each other only, never with published ones"
RETURNS_NOTE = "† returns as they are: the task has no reference returns to normalise them by"


def as_json(rows: Sequence[Group]) -> list[dict[str, Any]]:
    """The rows as plain dictionaries, with null where a value is not known (never NaN)."""
    return [
        {
            "task": row.task,
            "data": row.data,
            "data_digest": row.data_digest,
            "substituted": row.substituted,
            "normalised": row.normalised,
            "method": row.method,
            "label": row.label,
            "settings": dict(row.settings),
            "steps": row.steps,
            "seeds": list(row.seeds),
            "scores": [_finite(score) for score in row.scores],
            "mean": _finite(row.mean),
            "std": _finite(row.std),
            "interquartile_mean": _finite(row.interquartile_mean),
            "interval_95": None if row.interval is None else [_finite(end) for end in row.interval],
            "best": None if row.best is None else {"seed": row.best[0], "score": _finite(row.best[1])},
            "worst": None if row.worst is None else {"seed": row.worst[0], "score": _finite(row.worst[1])},
            "labelling_seconds": _finite(row.labelling),
            "published": row.published,
            "references": [asdict(reference) for reference in row.references],
            "digests": list(row.digests),
        }
        for row in rows
    ]


def format_table(rows: Sequence[Group], style: Style = "text", columns: Sequence[str] = ()) -> str:
    """Lay the rows out for the terminal, as a Markdown or LaTeX table, or as CSV (unrounded numbers, empty where not known).

    `columns`: names of COLUMNS or paths of settings, in place of all that hold something (not of CSV). Without rows it is
    NOTHING_YET, or for CSV the header alone.
    """
    if style == "csv":
        return _csv(rows)
    if not rows:
        return NOTHING_YET
    lines = {"markdown": _markdown, "latex": _latex, "text": _text}[style](rows, columns)
    for text in usual_notes(rows) if not columns or "settings" in columns else ():
        lines += ["", note(text, style)]
    lines += substituted_note(any(row.substituted for row in rows), style)
    if not all(row.normalised for row in rows):
        lines += ["", note(RETURNS_NOTE, style)]
    return "\n".join(lines)


def substituted_note(needed: bool, style: Style) -> list[str]:
    """The lines below a table with starred data."""
    if not needed or style == "csv":
        return []
    return ["", note(SUBSTITUTED_NOTE, style)]


def usual_notes(rows: Sequence[Group]) -> list[str]:
    """What the rows that do not say otherwise have, a line for each method and dataset of which there are such."""
    places = len({(row.task, row.data_digest) for row in rows})
    notes: list[str] = []
    for row in {(row.task, row.data_digest, row.method): row for row in rows if row.usual}.values():
        where = f" on {row.task}, {row.data}," if places > 1 else ""
        notes.append(f"{row.label}{where} unless its line says otherwise: {format_settings(row.usual)}")
    return notes


COLUMNS = ("method", "settings", "labelling", "steps", "seeds", "score", "ends", "published")
"""What the columns are called where some are asked for."""
_HEADER = ("method", "settings", "labelling", "gradient steps", "seeds", "score", "best / worst seed", "published")
_LEFT = (True, True, False, False, False, False, False, False)


def _cells(row: Group) -> tuple[str, ...]:
    if row.mean is None:
        score = NONE
    elif row.method == DATASET:
        score = f"{row.mean:.1f}"
    elif row.std is None:
        score = f"{row.mean:.1f} (1 seed)"
    else:
        score = f"{row.mean:.1f} ± {row.std:.1f} ({len(row.seeds)} seeds)"
    ends = NONE if row.best is None or row.worst is None else f"{row.best[1]:.1f} / {row.worst[1]:.1f}"
    steps = NONE if row.steps is None else f"{row.steps:,}"
    labelling = "" if row.labelling is None else f"{row.labelling:,.1f} s"
    return row.label, row.settings_text, labelling, steps, _seeds_text(row.seeds), score, ends, published_text(row.references)


def published_text(references: Sequence[Reference]) -> str:
    """The first source's score, and the range over all where there are several: ``91.5 (88.0–107.4)``."""
    if not references:
        return NONE
    scores = [f"{reference.score:.1f}" for reference in sorted(references, key=lambda one: one.score)]
    return f"{references[0].score:.1f}" + (f" ({scores[0]}–{scores[-1]})" if len(scores) > 1 else "")


def _columns(
    rows: Sequence[Group], columns: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[bool, ...], list[tuple[str, ...]]]:
    """Header, alignment to the left, and cells; a column of nothing is left out, unless it is asked for."""
    table = [_cells(row) for row in rows]
    if columns:
        places = {name: COLUMNS.index(name) for name in columns if name in COLUMNS}
        header = tuple(_HEADER[places[name]] if name in places else name for name in columns)
        left = tuple(name in places and _LEFT[places[name]] for name in columns)
        return (
            header,
            left,
            [
                tuple(cells[places[name]] if name in places else _setting(row, name) for name in columns)
                for row, cells in zip(rows, table, strict=True)
            ],
        )
    shown = [c for c in range(len(_HEADER)) if any(cells[c] for cells in table)]

    def kept(cells: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(cells[c] for c in shown)

    return kept(_HEADER), kept(_LEFT), [kept(cells) for cells in table]


def _setting(row: Group, path: str) -> str:
    value = value_of(row.trials[0], path) if row.trials else None
    return NONE if value is None else format_settings({path: value}).partition("=")[2]


def _text(rows: Sequence[Group], columns: Sequence[str]) -> list[str]:
    """A heading for each task and dataset, and the columns aligned over all of them."""
    header, left, table = _columns(rows, columns)
    widths = [max(map(len, column)) for column in zip(header, *table, strict=True)]
    lines: list[str] = []
    for i, row in enumerate(rows):
        if not i or (row.task, row.data_digest) != (rows[i - 1].task, rows[i - 1].data_digest):
            lines += [*([""] if lines else []), f"{row.task}  {row.data_text}", aligned(header, widths, left)]
        lines.append(aligned(table[i], widths, left))
    return lines


def _with_places(
    rows: Sequence[Group], columns: Sequence[str]
) -> tuple[tuple[str, ...], list[tuple[str, ...]], tuple[bool, ...]]:
    header, left, table = _columns(rows, columns)
    body = [(row.task, row.data_text, *cells) for row, cells in zip(rows, table, strict=True)]
    return ("task", "data", *header), body, (True, True, *left)


def _markdown(rows: Sequence[Group], columns: Sequence[str]) -> list[str]:
    return markdown_lines(*_with_places(rows, columns))


def _latex(rows: Sequence[Group], columns: Sequence[str]) -> list[str]:
    return latex_lines(*_with_places(rows, columns), [i for i, row in enumerate(rows) if i and row.method == DATASET])


def _csv(rows: Sequence[Group]) -> str:
    names = ["task", "data", "data_digest", "substituted", "method", "settings", "steps", "seeds", "mean", "std"]
    names += [
        "interquartile_mean",
        "low_95",
        "high_95",
        "best_seed",
        "best",
        "worst_seed",
        "worst",
        "published",
        "labelling_seconds",
    ]
    body = []
    for row in rows:
        substituted, seeds = str(row.substituted).lower(), " ".join(map(str, row.seeds))
        numbers = (row.mean, row.std, row.interquartile_mean, *(row.interval or (None, None)))
        ends = (*(row.best or (None, None)), *(row.worst or (None, None)))
        place = (row.task, row.data, row.data_digest, substituted, row.label, format_settings(row.settings))
        body.append((*place, row.steps, seeds, *numbers, *ends, row.published, row.labelling))
    return csv_text(names, body)


def _seeds_text(seeds: Sequence[int]) -> str:
    """Sorted seeds with runs of three or more joined: 0, 1, 2, 5 is ``0–2, 5``."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs) or NONE


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
