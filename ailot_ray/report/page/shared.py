"""The results as one HTML file for sharing: everything is inside, it opens without a server and without a network."""

import base64
import html
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ailot_ray.files import replacing
from ailot_ray.report.page import table
from ailot_ray.report.page.browser import EXPLAIN, NEEDS_PATHS, VIEWS, Page, name_of
from ailot_ray.report.page.details import Part, facts, parts
from ailot_ray.report.page.portraits import load_portrait, video_of
from ailot_ray.report.page.sources import Snapshot
from ailot_ray.report.record import Trial

MAX_TRIALS = 8
"""Trials with a portrait that are shown in full; the file grows by about 1 MB with each."""
VIDEO_BYTES = 4_000_000
"""Largest video that is put into the file."""
MAX_SETTINGS = 4
"""Settings that scores are drawn against."""


def write_shared(snapshot: Snapshot, path: Path, stores: Sequence[Path]) -> Path:
    """Write everything the page shows of `snapshot` into the HTML file `path`. Raises StoreError where it cannot be written."""
    page = Page(snapshot.runs)
    sections = [_overview(page, snapshot), *_figures(page), *_trials(page)]
    made = f"{', '.join(store.name or str(store) for store in stores)} · {time.strftime('%Y-%m-%d %H:%M')}"
    with replacing(path) as temporary:
        style, script = _text("assets/page.css"), _text("shared.js")
        text = _PAGE.format(style=style, plotly=get_plotlyjs(), script=script, made=html.escape(made), body="\n".join(sections))
        temporary.write_text(text, encoding="utf-8")
    return path


def _overview(page: Page, snapshot: Snapshot) -> str:
    tiles = [f"<div class='tile'><b>{len(page.runs):,}</b><span>trials</span></div>"]
    for state, number in table.count(page.runs).items():
        tiles.append(
            f"<div class='tile'><b>{number:,}</b><span class='state {state}'>{table.MARKS[state]} {state}</span></div>"
        )
    problems = [f"<div class='problem'>{html.escape(problem)}</div>" for problem in snapshot.problems]
    search = "<input type='search' id='search' placeholder='Filter: words that a row must have, such as reward.tau=0.5'>"
    rows = f"{search}<div class='scroll'>{table.as_html(page.runs)}</div>"
    inside = rows if page.runs else "<div class='empty'>No trials yet.</div>"
    return f"<div class='tiles'>{''.join(tiles)}</div>{''.join(problems)}{_card(VIEWS['trials'], '', inside)}"


def _figures(page: Page) -> list[str]:
    found = []
    for view in ("comparison", "curves", "against", "heat", "profile"):
        if not page.done or len(page.paths) < NEEDS_PATHS.get(view, 0):
            continue
        drawn = []
        for across in page.paths[:MAX_SETTINGS] if view == "against" else [None]:
            figure = page.figure(view, page.choice(view, across=across))
            drawn.append(_graph(figure) if isinstance(figure, go.Figure) else html.escape(figure))
        found.append(_card(VIEWS[view], " ".join([EXPLAIN[view], *(f"{note}." for note in page.notes)]), "".join(drawn)))
    return found


def _trials(page: Page) -> list[str]:
    failed = [run for run in page.runs if run.state == "failed"]
    drawn = [run for run in page.done if load_portrait(run) is not None]
    films = [run for run in page.done if video_of(run) is not None and run not in drawn]
    return [_trial(run, page) for run in [*failed[:MAX_TRIALS], *[*drawn, *films][:MAX_TRIALS]]]


def _trial(run: Trial, page: Page) -> str:
    about = " · ".join(f"{name}: {value}" for name, value in facts(run).items())
    return _card(name_of(run, page.telling), about, _film(run) + "".join(map(_part, parts(run))))


def _part(part: Part) -> str:
    figure = _graph(part.figure) if part.figure is not None else ""
    text = f"<pre>{html.escape(part.text)}</pre>" if part.text else ""
    return f"<h3>{html.escape(part.title)}</h3><p>{html.escape(part.explain)}</p>{figure}{text}"


def _film(run: Trial) -> str:
    path = video_of(run)
    if path is None or path.stat().st_size > VIDEO_BYTES:
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    return f"<h3>The policy</h3><video controls muted width='480' src='data:video/mp4;base64,{data}'></video>"


def _graph(figure: go.Figure) -> str:
    drawn: str = figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True})
    return drawn


def _card(title: str, explain: str, inside: str) -> str:
    return f"<section class='card'><h2>{html.escape(title)}</h2><p>{html.escape(explain)}</p>{inside}</section>"


def _text(name: str) -> str:
    """A file of this package."""
    return (resources.files(__package__ or "") / name).read_text(encoding="utf-8")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>ailot_ray results</title>
<style>{style}</style>
<script>{plotly}</script>
</head>
<body>
<main>
<header><h1>ailot_ray results</h1><span class="where">{made}</span></header>
{body}
</main>
<script>{script}</script>
</body>
</html>
"""
