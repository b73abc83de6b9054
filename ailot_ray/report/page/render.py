"""The results page as HTML: whole for a browser that watches stores, and as one file to share, which needs no server."""

import base64
import html
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from urllib.parse import urlencode

from ailot_ray.files import replacing
from ailot_ray.report.figures.canvas import to_svg
from ailot_ray.report.page import table
from ailot_ray.report.page.browser import CONTROLS, EXPLAIN, VIEWS, Page, name_of
from ailot_ray.report.page.details import facts, parts
from ailot_ray.report.page.sources import Snapshot, conditions
from ailot_ray.report.portraits import load_portrait, video_of
from ailot_ray.report.record import Trial

MAX_TRIALS = 8
"""Most trials that are shown in full in a shared file."""
VIDEO_BYTES = 4_000_000
"""Largest video that is put into the file."""
MAX_SETTINGS = 4
"""Most settings that scores are drawn against in a shared file."""
Query = Mapping[str, Sequence[str]]
"""What the address of the live page asks for: `view`, `filter` (any number), `by`, `across`, `up`, `trial`."""
_SEARCH = "<input type='search' id='search' placeholder='Filter: words that a row must have, such as reward.tau=0.5'>"
_LABELS = {"by": "A line for each", "across": "Across", "up": "Up"}


def live_page(
    snapshot: Snapshot, page: Page, query: Query, where: str, version: str, status: Callable[[Trial], str] | None
) -> str:
    """The page that the live server answers with, of the stores `where` as they are at `version`.

    `status` tells what is being made of a trial; None where nothing can be made.
    """
    view = _one(query, "view") if _one(query, "view") in VIEWS else "trials"
    tabs = "".join(
        f"<a class='tab' href='?{urlencode({**query, 'view': name}, doseq=True)}'{_current(name == view)}>{label}</a>"
        for name, label in VIEWS.items()
    )
    if view == "trials":
        shown = _trials_card(page, lambda run: "?" + urlencode({**query, "view": "trial", "trial": run.short}, doseq=True))
    elif view == "trial":
        shown = _trial_card(page, snapshot.find(_one(query, "trial")), query, status)
    else:
        shown = _figure_card(page, view, query)
    kept = {"view": view} if view == "trial" else {"view": view, "trial": _one(query, "trial")}
    hidden = "".join(f"<input type='hidden' name='{name}' value='{_text(value)}'>" for name, value in kept.items())
    body = [
        _overview(page, snapshot),
        f"<form id='controls' method='get'>{hidden}{_filter(snapshot, query)}<nav class='tabs'>{tabs}</nav>{shown}</form>",
    ]
    told = f"{_text(where)}</span><span class='live'>looked at {time.strftime('%H:%M:%S')}"
    return _whole(told, "\n".join(body), version)


def write_shared(snapshot: Snapshot, path: Path, stores: Sequence[Path]) -> Path:
    """Write everything the page shows of `snapshot` into the HTML file `path`. Raises StoreError where it cannot be written."""
    page = Page(snapshot.runs)
    shown = _shown_in_full(page)
    body = [_overview(page, snapshot), _trials_card(page, lambda run: f"#{run.short}" if run in shown else "")]
    for view in ("comparison", "curves", "against", "heat", "profile"):
        choices = [page.choice(view, across=path) for path in (page.paths[:MAX_SETTINGS] if view == "against" else [None])]
        drawn = [svg for choice in choices if (svg := page.svg(view, choice)) is not None]
        if drawn:
            body.append(_card(VIEWS[view], _explain(page, view), "".join(drawn)))
    for run in shown:
        film = video_of(run)
        small = film is not None and film.stat().st_size <= VIDEO_BYTES
        source = f"data:video/mp4;base64,{base64.b64encode(film.read_bytes()).decode()}" if film and small else ""
        body.append(_card(name_of(run, page.telling), _about(run), _in_full(run, source), run.short))
    made = f"{', '.join(store.name or str(store) for store in stores)} · {time.strftime('%Y-%m-%d %H:%M')}"
    with replacing(path) as temporary:
        temporary.write_text(_whole(_text(made), "\n".join(body)), encoding="utf-8", errors="replace")  # names may be none
    return path


def _shown_in_full(page: Page) -> list[Trial]:
    failed = [run for run in page.runs if run.state == "failed"]
    drawn = [run for run in page.done if load_portrait(run) is not None]
    films = [run for run in page.done if video_of(run) is not None and run not in drawn]
    return [*failed[:MAX_TRIALS], *[*drawn, *films][:MAX_TRIALS]]


def _overview(page: Page, snapshot: Snapshot) -> str:
    tiles = [f"<div class='tile'><b>{len(page.runs):,}</b><span>trials</span></div>"]
    for state, number in table.count(page.runs).items():
        tiles.append(
            f"<div class='tile'><b>{number:,}</b><span class='state {state}'>{table.MARKS[state]} {state}</span></div>"
        )
    problems = "".join(f"<div class='problem'>{_text(problem)}</div>" for problem in snapshot.problems)
    return f"<div class='tiles'>{''.join(tiles)}</div>{problems}"


def _filter(snapshot: Snapshot, query: Query) -> str:
    """Every value that tells trials apart, to tick; they lie in the address, so that they can be kept and sent."""
    ticked, found = query.get("filter", ()), conditions(snapshot.runs)
    options = "".join(
        f"<label><input type='checkbox' name='filter' value='{_text(value)}'{' checked' * (value in ticked)}> "
        f"{_text(label)}</label>"
        for label, value in found
    )
    told = ", ".join(label for label, value in found if value in ticked) or "all trials"
    hint = "values of one setting are alternatives, different settings all hold"
    summary = f"<summary>Filter: <b>{_text(told)}</b> ({hint})</summary>"
    return f"<details id='filter'{' open' * bool(ticked)}>{summary}{options}</details>"


def _trials_card(page: Page, link: Callable[[Trial], str]) -> str:
    rows = f"{_SEARCH}<div class='scroll'>{table.as_html(page.runs, link)}</div>"
    return _card(VIEWS["trials"], "", rows if page.runs else "<div class='empty'>No trials yet.</div>")


def _figure_card(page: Page, view: str, query: Query) -> str:
    choice = page.choice(view, *(_one(query, name) for name in _LABELS))
    drawn = page.svg(view, choice)
    if drawn is None:
        return _card(VIEWS[view], "", f"<div class='empty'>{_text(page.lacks(view, choice))}</div>")
    options = {"by": choice.options_by, "across": choice.options_path, "up": choice.options_path}
    controls = "".join(
        f"<label>{_LABELS[name]} {_select(name, {value: value for value in options[name]}, getattr(choice, name))}</label>"
        for name in CONTROLS[view]
    )
    return _card(VIEWS[view], _explain(page, view), f"<div class='controls'>{controls}</div><div id='drawn'>{drawn}</div>")


def _trial_card(page: Page, run: Trial | None, query: Query, status: Callable[[Trial], str] | None) -> str:
    names = {"": "choose a trial"} | {one.short: name_of(one, page.telling) for one in page.runs}
    chosen = _select("trial", names, _one(query, "trial"))
    if run is None:
        return _card(VIEWS["trial"], "", f"{chosen}<div class='empty'>Choose a trial above, or one in the table.</div>")
    made = ""
    if status is not None and run.done:
        buttons = {"portrait": "Draw alignment and rewards", "video": "Record a video"}
        made = "".join(f"<button name='make' value='{w}' formmethod='post'>{label}</button>" for w, label in buttons.items())
        made = f"<p>{made} <span id='making'>{_text(status(run))}</span></p>"
    settings = "".join(f"<div>{_text(f'{path} = {value}')}</div>" for path, value in run.config.items())
    all_settings = f"<details><summary>All settings</summary><div class='settings'>{settings}</div></details>"
    film = f"/video/{run.short}" if video_of(run) else ""
    inside = f"{chosen}{made}<p>{_text(_about(run))}</p>{all_settings}<div id='details'>{_in_full(run, film)}</div>"
    return _card(VIEWS["trial"], "", inside)


def _in_full(run: Trial, film: str) -> str:
    """A trial's video, from the address `film` where it has one, its figures and its log."""
    found = [f"<h3>The policy</h3><video controls muted width='480' src='{film}'></video>"] if film else []
    for number, part in enumerate(parts(run)):
        drawn = to_svg(part.figure, f"{run.short} {number}") if part.figure is not None else ""
        text = f"<pre>{_text(part.text)}</pre>" if part.text else ""
        found.append(f"<h3>{_text(part.title)}</h3><p>{_text(part.explain)}</p>{drawn}{text}")
    return "".join(found)


def _explain(page: Page, view: str) -> str:
    return " ".join([EXPLAIN[view], *(f"{note}." for note in page.notes)])


def _about(run: Trial) -> str:
    return " · ".join(f"{name}: {value}" for name, value in facts(run).items())


def _select(name: str, options: Mapping[str, str], chosen: str) -> str:
    inside = "".join(
        f"<option value='{_text(value)}'{' selected' * (value == chosen)}>{_text(label)}</option>"
        for value, label in options.items()
    )
    return f"<select name='{name}' id='{name}'>{inside}</select>"


def _card(title: str, explain: str, inside: str, anchor: str = "") -> str:
    told = f"<p class='explain'>{_text(explain)}</p>" if explain else ""
    return f"<section class='card' id='{_text(anchor)}'><h2>{_text(title)}</h2>{told}{inside}</section>"


def _current(is_current: bool) -> str:
    return " aria-current='page'" if is_current else ""


def _one(query: Query, name: str) -> str:
    return next(iter(query.get(name, ())), "")


def _text(text: str) -> str:
    return html.escape(text)


def _whole(told: str, body: str, version: str = "") -> str:
    """The document; with a `version` it looks for a newer one every few seconds."""
    folder = resources.files(__package__ or "") / "assets"
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>ailot_ray results</title>
<style>{style}</style>
</head>
<body data-version="{version}">
<main>
<header><h1>ailot_ray results</h1><span class="where">{told}</span></header>
{body}
</main>
<script>{script}</script>
</body>
</html>
"""
