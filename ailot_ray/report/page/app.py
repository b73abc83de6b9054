"""The live page: a Dash application over the stores, refreshed while sweeps run. For this machine's own browser only."""

import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

import flask
from dash import Dash, Input, Output, State, dcc, html, no_update
from werkzeug.serving import make_server

from ailot_ray.errors import StoreError
from ailot_ray.report.page import table
from ailot_ray.report.page.browser import EXPLAIN, Browser, name_of
from ailot_ray.report.page.layout import GRAPH, HIDDEN, SHOWN, column_of, layout, run_in_full
from ailot_ray.report.page.portraits import portrait_of, video_of
from ailot_ray.report.page.sources import Sources, conditions
from ailot_ray.report.record import Trial

REFRESH = 3.0
"""Seconds between two looks at the stores."""
CONTROLS = {"curves": ("by",), "against": ("by", "across"), "heat": ("across", "up"), "profile": ("by",), "comparison": ()}
"""What of a figure can be chosen, by view."""


class Maker(Protocol):
    """Makes on request what takes more than reading: a trial's portrait, or its video."""

    def start(self, run: Trial, what: str) -> None: ...

    def status(self, run: Trial) -> str:
        """What is being made of this run, or why it could not be; empty where there is nothing to tell."""


def build(sources: Sources, maker: Maker | None = None, refresh: float = REFRESH) -> Dash:
    """The application. Without a maker it only shows what the stores have."""
    app = Dash(__name__, title="ailot_ray results", update_title="", assets_folder="assets")
    app.server.config["TRUSTED_HOSTS"] = ["localhost", "127.0.0.1"]  # no other site's name may lead here
    browser = Browser(sources)
    page = browser.page()[1]
    page.figure("curves", page.choice("curves"))  # reads, counts and imports before anybody waits for it
    where = "  ".join(str(store) for store in sources.stores)
    app.layout = lambda: layout(where, refresh, maker is not None)  # a fresh one for every browser that comes
    _watch(app, browser, maker)
    _show_runs(app, browser)
    _show_figures(app, browser)
    _show_trial(app, browser, maker)

    def video(digest: str) -> flask.Response:
        run = sources.read().find(digest)
        path = video_of(run) if run else None
        if path is None:
            flask.abort(404)
        return flask.send_file(path.resolve(), conditional=True)  # browsers ask for parts of it

    app.server.add_url_rule("/video/<digest>", view_func=video)
    return app


def serve(app: Dash, port: int, ready: Callable[[], None] = lambda: None) -> None:
    """Serve on localhost until interrupted; `ready` is called before the first request.

    Raises StoreError where the port cannot be had.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreError(f"--port {port} cannot be had ({reason}): choose another with --port N") from error
        listener.listen()
        ready()
        make_server("127.0.0.1", port, app.server, threaded=True, fd=listener.fileno()).serve_forever()


def _watch(app: Dash, browser: Browser, maker: Maker | None) -> None:
    @app.callback(Output("version", "data"), Output("live", "children"), Input("tick", "n_intervals"), State("version", "data"))
    def look(ticks: int | None, known: str | None) -> tuple[Any, str]:
        snapshot = browser.sources.read()
        made = "".join(maker.status(run) for run in snapshot.runs) if maker else ""
        version = snapshot.version + made
        return (no_update if version == known else version), f"looked at {time.strftime('%H:%M:%S')}"

    @app.callback(
        Output("tiles", "children"),
        Output("problems", "children"),
        Output("filter", "options"),
        Input("version", "data"),
    )
    def overview(version: str) -> tuple[Any, ...]:
        snapshot, page = browser.page()
        counts = table.count(page.runs)
        tiles = [html.Div([html.B(f"{len(page.runs):,}"), html.Span("trials")], className="tile")]
        for state, number in counts.items():
            label = html.Span(f"{table.MARKS[state]} {state}", className=f"state {state}")
            tiles.append(html.Div([html.B(f"{number:,}"), label], className="tile"))
        options = [{"label": label, "value": value} for label, value in conditions(page.runs)]
        return tiles, [html.Div(problem, className="problem") for problem in snapshot.problems], options

    @app.callback(
        Output("in-trials", "style"), Output("in-figure", "style"), Output("in-trial", "style"), Input("view", "value")
    )
    def turn(view: str) -> tuple[dict[str, str], ...]:
        figure = view not in ("trials", "trial")
        return tuple(SHOWN if shown else HIDDEN for shown in (view == "trials", figure, view == "trial"))


def _show_runs(app: Dash, browser: Browser) -> None:
    @app.callback(
        Output("grid", "rowData"),
        Output("grid", "columnDefs"),
        Input("version", "data"),
        Input("filter", "value"),
        State("grid", "columnDefs"),
    )
    def rows(version: str, filters: list[str] | None, shown: list[dict[str, Any]]) -> tuple[Any, Any]:
        _, page = browser.page(filters or ())
        names = table.columns(page.runs)
        defined = [column_of(name, page.runs) for name in names]
        # the grid keeps its own filters and sorting only while its columns stay the same
        same = [column["field"] for column in shown or ()] == names
        return [table.record(run, names) for run in page.runs], no_update if same else defined

    @app.callback(
        Output("view", "value"),
        Output("chosen", "value"),
        Input("grid", "cellClicked"),
        prevent_initial_call=True,
    )
    def choose(clicked: dict[str, Any] | None) -> tuple[Any, Any]:
        return ("trial", clicked["rowId"]) if clicked else (no_update, no_update)


def _show_figures(app: Dash, browser: Browser) -> None:
    controls = ("by", "across", "up")

    @app.callback(
        Output("drawn", "children"),
        Output("explain", "children"),
        *[Output(name, "options") for name in controls],
        *[Output(name, "value") for name in controls],
        *[Output(f"{name}-control", "style") for name in controls],
        Input("version", "data"),
        Input("filter", "value"),
        Input("view", "value"),
        *[Input(name, "value") for name in controls],
    )
    def draw(version: str, filters: list[str] | None, view: str, by: str, across: str, up: str) -> tuple[Any, ...]:
        if view not in CONTROLS:
            return (no_update,) * 11
        _, page = browser.page(filters or ())
        choice = page.choice(view, by, across, up)
        drawn = page.figure(view, choice)
        figure = (
            html.Div(drawn, className="empty") if isinstance(drawn, str) else dcc.Graph(id="figure", figure=drawn, config=GRAPH)
        )
        shown = [SHOWN if name in CONTROLS[view] and not isinstance(drawn, str) else HIDDEN for name in controls]
        values = (choice.by, choice.across, choice.up)
        explain = [EXPLAIN[view], *(part for note in page.notes for part in (html.Br(), note))]
        return figure, explain, choice.options_by, choice.options_path, choice.options_path, *values, *shown


def _show_trial(app: Dash, browser: Browser, maker: Maker | None) -> None:
    @app.callback(Output("chosen", "options"), Input("version", "data"), Input("filter", "value"))
    def offer(version: str, filters: list[str] | None) -> list[dict[str, str]]:
        _, page = browser.page(filters or ())
        return [{"label": name_of(run, page.telling), "value": run.short} for run in page.runs]

    @app.callback(
        Output("details", "children"),
        Output("making", "children"),
        Output("shown", "data"),
        Input("version", "data"),
        Input("chosen", "value"),
        State("shown", "data"),
    )
    def show(version: str, digest: str | None, known: str | None) -> tuple[Any, str, str]:
        snapshot, _ = browser.page()
        run = snapshot.find(digest) if digest else None
        if run is None:
            return html.Div("Choose a trial above, or click one in the table.", className="empty"), "", ""
        # figures that somebody is looking at are left alone while only other trials change
        state = " ".join(map(str, (run.root, run.short, run.state, run.detail, portrait_of(run), video_of(run))))
        status = maker.status(run) if maker else ""
        return (no_update if state == known else run_in_full(run)), status, state

    for what in ("portrait", "video") if maker else ():
        _on_request(app, browser, maker, what)


def _on_request(app: Dash, browser: Browser, maker: Any, what: str) -> None:
    @app.callback(
        Output("making", "children", allow_duplicate=True),
        Input(f"make-{what}", "n_clicks"),
        State("chosen", "value"),
        prevent_initial_call=True,
    )
    def make(clicks: int | None, digest: str | None) -> str:
        run = browser.sources.read().find(digest or "")
        if run is None or not run.done:
            return "choose a finished trial first"
        maker.start(run, what)
        return str(maker.status(run))
