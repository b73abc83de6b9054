"""What the page's figures show, against the same numbers computed by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from ailot_ray.report import statistics
from ailot_ray.report.page import series
from ailot_ray.report.page.browser import EXPLAIN, Browser, Page, name_of
from ailot_ray.report.page.sources import Sources
from ailot_ray.report.tables import SUBSTITUTED_NOTE

from .conftest import WriteTrial


@pytest.fixture
def page(store: Path) -> Page:
    return Browser(Sources([store])).page()[1]


def drawn(page: Page, view: str, **controls: Any) -> go.Figure:
    figure = page.figure(view, page.choice(view, **controls))
    assert isinstance(figure, go.Figure), figure
    return figure


def named(figure: go.Figure, name: str, axis: str | None = None) -> Any:
    """The traces of this name, those of one panel where an axis is given."""
    return [trace for trace in figure.data if trace.name == name and (axis is None or trace.xaxis == axis)]


def test_curves_are_means_over_seeds_with_their_deviation(page: Page) -> None:
    figure = drawn(page, "curves", by=series.CONFIGURATION)
    (line,) = named(figure, "AILOT reward.tau=0.1")
    trials = [run for run in page.done if run.method == "ailot" and run.config["reward.tau"] == 0.1]
    curves = np.array([list(trial.curve().values()) for trial in trials])
    assert curves.shape == (3, 10)
    np.testing.assert_allclose(line.y, curves.mean(0))
    np.testing.assert_allclose(np.asarray(line.customdata)[:, 0], curves.std(0, ddof=1))
    assert set(np.asarray(line.customdata)[:, 1]) == {3}


def test_every_series_is_in_the_legend_once(page: Page) -> None:
    for view in ("curves", "against", "profile", "comparison"):
        shown = [trace.name for trace in drawn(page, view).data if trace.showlegend is not False]
        assert shown and len(shown) == len(set(shown)), view


def test_score_against_a_setting_has_intervals_and_the_others_beside_it(page: Page) -> None:
    figure = drawn(page, "against", across="reward.tau")
    (line,) = named(figure, "AILOT", "x")
    mine = [run for run in page.done if (run.task, run.method) == ("hopper-medium-v2", "ailot")]
    scores = {tau: [run.score or 0.0 for run in mine if run.config["reward.tau"] == tau] for tau in (0.1, 0.5)}
    assert list(line.x) == [0.1, 0.5]
    np.testing.assert_allclose(line.y, [np.mean(values) for values in scores.values()])
    low, high = statistics.bootstrap_interval([scores[0.1]], np.random.default_rng(0), resamples=2000)
    assert line.customdata[0][0] == f"{low:.1f} to {high:.1f}" and low < line.y[0] < high
    (beside,) = named(figure, "OTR")
    assert beside.line.dash == "dot" and beside.y[0] == beside.y[1]
    dots = [trace for trace in figure.data if trace.legendgroup == "AILOT" and trace.mode == "markers"]
    assert sorted(dots[0].y) == sorted(scores[0.1] + scores[0.5])


def test_a_setting_is_varied_alone_where_the_others_have_a_usual_value(tmp_path: Path, write_trial: WriteTrial) -> None:
    usual = {"reward__tau": 0.5, "transport__k": 2, "transport__space": "intent"}
    variants: tuple[dict[str, Any], ...] = (
        {},
        {"transport__space": "raw"},
        {"reward__tau": 5.0},
        {"reward__tau": 9.0},
        {"transport__k": 0},
    )
    for i, variant in enumerate(variants):
        write_trial("ailot", 0, {1000: [10.0 * i]}, **(usual | variant))
    page = Browser(Sources([tmp_path / "store"])).page()[1]
    (line,) = named(drawn(page, "against", across="reward.tau"), "AILOT", "x")
    assert (list(line.x), list(line.y)) == ([0.5, 5.0, 9.0], [0.0, 20.0, 30.0])  # raw states are another question
    (line,) = named(drawn(page, "against", across="transport.k"), "AILOT", "x")
    assert (list(line.x), list(line.y)) == ([0, 2], [40.0, 0.0])
    dots = {y for trace in drawn(page, "against", by="transport.k", across="reward.tau").data for y in trace.y if y is not None}
    assert dots == {0.0, 20.0, 30.0, 40.0}  # a setting that tells the lines apart may vary as well
    (cells,) = drawn(page, "heat", across="reward.tau", up="transport.k").data
    told = {(x, y): z for y, row in zip(cells.y, cells.z, strict=True) for x, z in zip(cells.x, row, strict=True)}
    assert (told["0.5", "2"], told["0.5", "0"], told["9.0", "2"]) == (0.0, 40.0, 30.0)


def test_a_heat_map_is_of_one_method_and_tells_its_numbers(store: Path, write_trial: WriteTrial) -> None:
    for tau in (0.1, 0.5):
        for seed in range(3):
            write_trial(
                "ailot", seed, {1_000_000: [10.0 * seed + 100 * tau]}, reward__tau=tau, transport__k=5, iql__steps=1_000_000
            )
    page = Browser(Sources([store])).page()[1]
    figure = drawn(page, "heat", across="reward.tau", up="transport.k")
    (cells,) = figure.data
    assert list(cells.x) == ["0.1", "0.5"] and list(cells.y) == ["2", "5"]
    assert cells.z[1][0] == pytest.approx(20.0) and cells.z[1][1] == pytest.approx(60.0)
    assert cells.text[1][0] == "20.0 ± 10.0<br>n = 3"
    assert "AILOT" in figure.layout.annotations[0].text


def test_profiles_are_shares_of_runs(page: Page) -> None:
    figure = drawn(page, "profile", by=series.METHOD)
    (line,) = named(figure, "BC")
    scores = np.array([run.score for run in page.done if run.method == "bc"], float)
    assert len(scores) == 6
    for at, share in zip(line.x[::25], line.y[::25], strict=True):
        assert share == pytest.approx((scores > at).mean())
    assert line.y[0] == 1.0 and line.y[-1] == 0.0


def test_published_scores_stand_beside_own_files_only(page: Page) -> None:
    figure = drawn(page, "comparison")
    diamonds = [trace for trace in figure.data if trace.marker.symbol == "diamond-open" and trace.x[0] is not None]
    assert not diamonds  # hopper's file is not D4RL's own, and of walker2d only methods without a published score ran
    assert "hopper-medium.hdf5 (a1b2c3d4) *" in figure.layout.annotations[0].text
    assert "*" not in figure.layout.annotations[1].text
    assert page.notes == [SUBSTITUTED_NOTE]
    bars = [trace for trace in figure.data if trace.error_x.array is not None]
    means = {trace.y[0]: trace.x[0] for trace in bars if trace.xaxis == "x"}
    assert means["SEABO"] == pytest.approx(np.mean([run.score for run in page.done if run.method == "seabo"]))


def test_a_published_score_is_drawn_where_there_is_one(write_trial: WriteTrial, tmp_path: Path) -> None:
    for seed in range(2):
        write_trial("otr", seed, task="walker2d-medium-v2")
    page = Browser(Sources([tmp_path / "store"])).page()[1]
    (diamond,) = [t for t in drawn(page, "comparison").data if t.marker.symbol == "diamond-open" and t.x[0] is not None]
    assert diamond.x[0] == 79.4 and page.notes == []


def test_configurations_with_long_names_keep_their_lines(tmp_path: Path, write_trial: WriteTrial) -> None:
    common = "demonstrations/of/an/expert/that/was/trained/for/long"
    for i, score in enumerate((10.0, 20.0, 30.0)):
        write_trial("ailot", 0, {1000: [score]}, expert=f"{common}/{i}.hdf5", transport__k=2)
    write_trial("ailot", 0, {1000: [40.0]}, expert=f"{common}/0.hdf5", transport__k=0)
    page = Browser(Sources([tmp_path / "store"])).page()[1]
    bars = [trace for trace in drawn(page, "comparison").data if trace.error_x.array is not None]
    assert len({trace.y[0] for trace in bars}) == len(bars) == 4
    assert page.notes[0] == "AILOT unless its line says otherwise: transport.k=2"


def test_views_without_enough_to_draw_say_so(tmp_path: Path, write_trial: WriteTrial) -> None:
    (tmp_path / "store" / ".locks").mkdir(parents=True)
    browser = Browser(Sources([tmp_path / "store"]))
    for view in EXPLAIN:
        page = browser.page()[1]
        assert page.figure(view, page.choice(view)) == "No trial matches the filter."
    write_trial()
    page = browser.page()[1]
    assert "at least one setting" in str(page.figure("against", page.choice("against")))
    assert "at least two settings" in str(page.figure("heat", page.choice("heat")))
    for view in ("curves", "profile", "comparison"):
        assert isinstance(page.figure(view, page.choice(view)), go.Figure)


def test_controls_fall_back_to_what_can_be_had(page: Page) -> None:
    choice = page.choice("against", by="nothing", across="no.path")
    assert (choice.by, choice.across) == (series.METHOD, "reward.tau")
    assert page.choice("curves").by == series.CONFIGURATION
    names = {name_of(run, page.telling) for run in page.runs}
    assert len(names) == 24 and any(name.startswith("hopper-medium-v2 · AILOT · reward.tau=0.1 · seed 2 · ") for name in names)


def test_many_configurations_are_taken_together(tmp_path: Path, write_trial: WriteTrial) -> None:
    for i in range(20):
        write_trial(seed=0, curve={1000: [float(i)]}, reward__tau=float(i % 5), transport__k=i // 5)
    page = Browser(Sources([tmp_path / "store"])).page()[1]
    assert page.choice("curves").by == "reward.tau"
    figure = drawn(page, "curves", by=series.CONFIGURATION)
    assert len([trace for trace in figure.data if trace.mode == "lines+markers"]) == 20
    assert len({trace.line.color for trace in figure.data if trace.mode == "lines+markers"}) == 20


def test_figures_are_kept_while_nothing_changes(store: Path, write_trial: WriteTrial) -> None:
    browser = Browser(Sources([store]))
    page = browser.page(["reward.tau=0.5"])[1]
    figure = drawn(page, "curves")
    assert drawn(browser.page(["reward.tau=0.5"])[1], "curves") is figure
    write_trial(seed=9)
    assert drawn(browser.page(["reward.tau=0.5"])[1], "curves") is not figure
