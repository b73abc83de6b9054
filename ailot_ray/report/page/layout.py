"""What the live page is made of: its layout, the table's columns, and one run in full."""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html
from dash_ag_grid import AgGrid

from ailot_ray.report.page import table
from ailot_ray.report.page.browser import VIEWS
from ailot_ray.report.page.details import facts, parts
from ailot_ray.report.page.portraits import video_of
from ailot_ray.report.page.sources import value_of
from ailot_ray.report.record import Trial

GRAPH: Any = {"displaylogo": False, "responsive": True}
"""How plotly shows a figure."""
_WIDTHS = {"state": 130, "score": 105, "method": 170, "task": 210, "data": 230, "sweeps": 150, "seed": 95, "detail": 340}
"""Pixels; other columns are as wide as their names."""
SHOWN: dict[str, str] = {}
HIDDEN = {"display": "none"}


def layout(where: str, refresh: float, can_make: bool) -> html.Main:
    """The page before anything is known of the stores `where`; `refresh` in seconds, `can_make` whether there is a maker."""
    session: dict[str, Any] = {"persistence": True, "persistence_type": "session"}
    tabs = [dcc.Tab(label=label, value=view, className="tab") for view, label in VIEWS.items()]
    grid = AgGrid(
        id="grid",
        columnDefs=[],
        rowData=[],
        getRowId="params.data.id",
        defaultColDef={"sortable": True, "filter": True, "floatingFilter": True, "resizable": True, "minWidth": 90},
        dashGridOptions={
            "suppressFieldDotNotation": True,
            "rowHeight": 32,
            "animateRows": False,
            "enableCellTextSelection": True,
        },
        style={"height": "560px"},
    )
    return html.Main(
        [
            dcc.Interval(id="tick", interval=int(refresh * 1000)),
            dcc.Store(id="version"),
            dcc.Store(id="shown"),
            html.Header(
                [html.H1("ailot_ray results"), html.Span(where, className="where"), html.Span(id="live", className="live")]
            ),
            html.Div(id="tiles", className="tiles"),
            html.Div(id="problems"),
            html.Div(
                html.Div(
                    [
                        html.Label("Filter: values of one setting are alternatives, different settings all hold"),
                        dcc.Dropdown(id="filter", multi=True, placeholder="all trials", maxHeight=360, **session),
                    ],
                    className="filter",
                ),
                className="bar",
            ),
            dcc.Tabs(id="view", value="trials", children=tabs, className="tabs", **session),
            html.Section(
                [html.P("Click a row to look at that trial.", className="explain"), grid], id="in-trials", className="card"
            ),
            html.Section(
                [
                    html.P(id="explain"),
                    html.Div(
                        [_control("by", "A line for each"), _control("across", "Across"), _control("up", "Up")],
                        className="controls",
                    ),
                    html.Div(dcc.Graph(id="figure", config=GRAPH), id="drawn"),  # an empty one has plotly.js fetched in time
                ],
                id="in-figure",
                className="card",
                style=HIDDEN,
            ),
            html.Section(
                [
                    html.Label("Trial", className="explain"),
                    dcc.Dropdown(id="chosen", placeholder="choose a trial", optionHeight=32, **session),
                    html.Div(
                        [
                            html.Button("Draw alignment and rewards", id="make-portrait", className="make"),
                            html.Button("Record a video", id="make-video", className="make"),
                            html.Span(id="making", className="explain"),
                        ],
                        id="buttons",
                        style={"margin": "12px 0 0"} if can_make else HIDDEN,
                    ),
                    html.Div(id="details"),
                ],
                id="in-trial",
                className="card",
                style=HIDDEN,
            ),
        ]
    )


def _control(name: str, label: str) -> html.Div:
    return html.Div([html.Label(label), dcc.Dropdown(id=name, clearable=False)], id=f"{name}-control")


def column_of(name: str, runs: Sequence[Trial]) -> dict[str, Any]:
    """A column of the table, as the grid wants it."""
    column: dict[str, Any] = {"field": name, "headerName": name, "width": _WIDTHS.get(name, max(120, 60 + 8 * len(name)))}
    numeric = name in ("score", "seed") or (
        name not in _WIDTHS and all(isinstance(value_of(run, name), int | float | None) for run in runs)
    )
    if numeric:
        digits = ".1f" if name == "score" else ".4~g"
        column |= {"filter": "agNumberColumnFilter", "type": "rightAligned"}
        column["valueFormatter"] = {"function": f"params.value == null ? '' : d3.format('{digits}')(params.value)"}
    if name == "state":
        column["cellClassRules"] = {f"state {state}": f"params.value == '{state}'" for state in table.MARKS}
    if name == "detail":
        column["tooltipField"] = "detail"
    return column


def run_in_full(run: Trial) -> list[Any]:
    """Facts, settings, video, figures and log of a run."""
    about = " · ".join(f"{name}: {value}" for name, value in facts(run).items())
    settings = [html.Div(f"{path} = {value}") for path, value in run.config.items()]
    shown: list[Any] = [
        html.P(about, className="explain", style={"marginTop": "12px"}),
        html.Details([html.Summary("All settings"), html.Div(settings, className="settings")]),
    ]
    if video_of(run):
        shown += [html.H3("The policy"), html.Video(src=f"/video/{run.short}", controls=True, muted=True, width=480)]
    for part in parts(run):
        body: list[Any] = [html.H3(part.title), html.P(part.explain)]
        if part.figure is not None:
            body.append(dcc.Graph(figure=part.figure, config=GRAPH))
        if part.text:
            body.append(html.Pre(part.text))
        shown.append(html.Div(body))
    return shown
