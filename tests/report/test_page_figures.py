"""What the page's figures show, against the same numbers computed by hand."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ailot_ray.report import statistics
from ailot_ray.report.figures import series
from ailot_ray.report.figures.canvas import tips, to_svg
from ailot_ray.report.page.browser import EXPLAIN, Browser, Page, name_of
from ailot_ray.report.page.sources import Sources
from ailot_ray.report.tables import SUBSTITUTED_NOTE

from .conftest import DATA, WriteTrial

HOVER = "{http://www.w3.org/2000/svg}title"


@pytest.fixture
def page(store: Path) -> Page:
    return Browser(Sources([store])).page()[1]


def drawn(page: Page, view: str, **controls: Any) -> Figure:
    choice = page.choice(view, **controls)
    assert page.lacks(view, choice) == ""
    return page.figure(view, choice)


def told_of(axis: Axes, name: str) -> tuple[Line2D, list[str]]:
    """The line whose hover texts begin with this name, and those texts."""
    found = [(line, tips(line)) for line in axis.lines if tips(line) and tips(line)[0].startswith(name)]
    assert len(found) == 1, found
    return found[0]


def points(line: Line2D) -> list[list[float]]:
    listed: list[list[float]] = np.asarray(line.get_xydata(), float).tolist()
    return listed


def test_curves_are_means_over_seeds_with_their_deviation(page: Page) -> None:
    figure = drawn(page, "curves", by=series.CONFIGURATION)
    line, told = told_of(figure.axes[0], "AILOT reward.tau=0.1:")
    trials = [run for run in page.done if run.method == "ailot" and run.config["reward.tau"] == 0.1]
    curves = np.array([list(trial.curve().values()) for trial in trials])
    assert curves.shape == (3, 10)
    np.testing.assert_allclose(np.asarray(line.get_ydata(), float), curves.mean(0))
    mean, deviation = curves.mean(0)[-1], curves.std(0, ddof=1)[-1]
    assert told[-1] == f"AILOT reward.tau=0.1: {mean:.1f} ± {deviation:.1f} (3 runs) at 1,000,000 steps"


def test_every_series_is_in_the_legend_once(page: Page) -> None:
    for view in ("curves", "against", "profile", "comparison"):
        (legend,) = drawn(page, view).legends
        shown = [text.get_text() for text in legend.get_texts()]
        assert shown and len(shown) == len(set(shown)), view


def test_hover_texts_stand_at_their_points(page: Page) -> None:
    figure = drawn(page, "curves", by=series.CONFIGURATION)
    wanted = sorted(text for axis in figure.axes for line in axis.lines for text in tips(line))
    root = ElementTree.fromstring(to_svg(figure, "one"))
    assert sorted(title.text or "" for title in root.iter(HOVER)) == wanted
    heights = {title.text: float(use.attrib["y"]) for use in root.iter() for title in use.findall(HOVER) if "y" in use.attrib}
    of_otr = {text: height for text, height in heights.items() if text and text.startswith("OTR")}
    (first,) = [height for text, height in of_otr.items() if text.endswith(" 100,000 steps")]
    (last,) = [height for text, height in of_otr.items() if text.endswith(" 1,000,000 steps")]
    assert first > last + 20, "scores rise with the steps, and y counts downwards in SVG"


def test_files_of_one_task_are_panels_of_their_own(
    tmp_path: Path, write_trial: WriteTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_trial("bc", 0, {10: [20.0]})
    monkeypatch.setitem(DATA, "hopper-medium-v2", ("/data/other.hdf5", "ff" * 32, True, None))
    write_trial("bc", 0, {10: [60.0]})
    page = Browser(Sources([tmp_path / "store"])).page()[1]
    for view in ("curves", "comparison"):
        axes = drawn(page, view).axes
        assert [axis.get_title(loc="left").split(" ")[0] for axis in axes] == ["hopper-medium.hdf5", "other.hdf5"]
    curves = drawn(page, "curves").axes
    assert [points(axis.lines[-1]) for axis in curves] == [[[10, 20.0]], [[10, 60.0]]]


def test_score_against_a_setting_has_intervals_and_the_others_beside_it(page: Page) -> None:
    hopper = drawn(page, "against", across="reward.tau").axes[0]
    line, told = told_of(hopper, "AILOT:")
    mine = [run for run in page.done if (run.task, run.method) == ("hopper-medium-v2", "ailot")]
    scores = {tau: [run.score for run in mine if run.config["reward.tau"] == tau] for tau in (0.1, 0.5)}
    assert points(line) == pytest.approx(np.array([[tau, np.mean(values)] for tau, values in scores.items()]))
    low, high = statistics.mean_interval([scores[0.1]], np.random.default_rng(0), resamples=2000)
    assert f"95 % {low:.1f} to {high:.1f} (3 runs) at reward.tau=0.1" in told[0] and low < np.mean(scores[0.1]) < high
    beside, _ = told_of(hopper, "OTR:")
    otr = np.mean([run.score for run in page.done if run.method == "otr"])
    assert beside.get_linestyle() == ":" and np.asarray(beside.get_ydata()).tolist() == pytest.approx([otr, otr])
    (dots,) = [one for one in hopper.lines if one.get_linestyle() == "None"]
    assert sorted(np.asarray(dots.get_ydata())) == pytest.approx(sorted(scores[0.1] + scores[0.5]))


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
    line, _ = told_of(drawn(page, "against", across="reward.tau").axes[0], "AILOT:")
    assert points(line) == [[0.5, 0.0], [5.0, 20.0], [9.0, 30.0]]  # raw states are another question
    line, _ = told_of(drawn(page, "against", across="transport.k").axes[0], "AILOT:")
    assert points(line) == [[0, 40.0], [2, 0.0]]
    lines = drawn(page, "against", by="transport.k", across="reward.tau").axes[0].lines
    dots = {y for line in lines if line.get_linestyle() in ("None", ":") for y in np.asarray(line.get_ydata())}
    assert dots == {0.0, 20.0, 30.0, 40.0}  # a setting that tells the lines apart may vary as well
    assert cells(drawn(page, "heat", across="reward.tau", up="transport.k")) == [[40.0, None, None], [0.0, 20.0, 30.0]]


def cells(figure: Figure) -> list[list[float | None]]:
    """The means of the first heat map, line by line from below."""
    (mesh,) = [one for one in figure.axes[0].collections if isinstance(one, QuadMesh)]
    values: Any = mesh.get_array()
    listed: list[list[float | None]] = values.tolist()
    return listed


def test_a_heat_map_is_of_one_method_and_tells_its_numbers(store: Path, write_trial: WriteTrial) -> None:
    for tau in (0.1, 0.5):
        for seed in range(3):
            write_trial(
                "ailot", seed, {1_000_000: [10.0 * seed + 100 * tau]}, reward__tau=tau, transport__k=5, iql__steps=1_000_000
            )
    page = Browser(Sources([store])).page()[1]
    figure = drawn(page, "heat", across="reward.tau", up="transport.k")
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0.1", "0.5"]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["2", "5"]
    np.testing.assert_allclose(np.array(cells(figure)[1], float), [20.0, 60.0])
    written = [text.get_text() for text in axis.texts]
    assert "20.0 ± 10.0\nn = 3" in written and "hopper-medium-v2 · AILOT" in written
    told = ElementTree.fromstring(to_svg(figure, "one")).iter(HOVER)
    assert "reward.tau=0.1 transport.k=5: 20.0 ± 10.0, n = 3" in {title.text for title in told}


def test_profiles_are_shares_of_runs(page: Page) -> None:
    line, told = told_of(drawn(page, "profile", by=series.METHOD).axes[0], "BC,")
    scores = np.array([run.score for run in page.done if run.method == "bc"], float)
    assert len(scores) == 6 and told == ["BC, share of 6 runs"]
    x, y = np.asarray(line.get_xydata()).T
    for at, share in zip(x[::25], y[::25], strict=True):
        assert share == pytest.approx((scores > at).mean())
    assert (y[0], y[-1]) == (1.0, 0.0)


def diamonds(figure: Figure) -> list[float]:
    found = [line for axis in figure.axes for line in axis.lines if line.get_marker() == "D" and line.get_fillstyle() == "none"]
    return [float(x) for line in found for x in np.atleast_1d(np.asarray(line.get_xdata()))]


def test_published_scores_stand_beside_own_files_only(page: Page) -> None:
    figure = drawn(page, "comparison")
    assert diamonds(figure) == [63.23]  # BC's on walker2d; hopper's file is not D4RL's own
    hopper, walker = (axis.get_title(loc="left") for axis in figure.axes)
    assert "hopper-medium.hdf5 (a1b2c3d4)" in hopper and "not D4RL's own" in hopper and "not D4RL's own" not in walker
    assert page.notes == [SUBSTITUTED_NOTE]
    scores = [run.score for run in page.done if run.method == "seabo"]
    low, high = statistics.mean_interval([scores], np.random.default_rng(0))
    bars = figure.axes[0].collections[1]  # after the means
    at = [text.startswith("SEABO:") for text in tips(bars)].index(True)
    assert np.asarray(bars.get_paths()[at].vertices)[:, 0].tolist() == pytest.approx([low, high])
    assert tips(bars)[at] == f"SEABO: mean {np.mean(scores):.1f}, 95 % {low:.1f} to {high:.1f}, 3 seeds"
    told = {title.text for title in ElementTree.fromstring(to_svg(figure, "one")).iter(HOVER)}
    assert set(tips(bars)) <= told


def test_a_published_score_is_drawn_where_there_is_one(write_trial: WriteTrial, tmp_path: Path) -> None:
    for seed in range(2):
        write_trial("otr", seed, task="walker2d-medium-v2")
    page = Browser(Sources([tmp_path / "store"])).page()[1]
    assert diamonds(drawn(page, "comparison")) == [79.4] and page.notes == []


def test_views_without_enough_to_draw_say_so(tmp_path: Path, write_trial: WriteTrial) -> None:
    (tmp_path / "store" / ".locks").mkdir(parents=True)
    browser = Browser(Sources([tmp_path / "store"]))
    for view in EXPLAIN:
        page = browser.page()[1]
        assert page.lacks(view, page.choice(view)) == "No trial matches the filter."
        assert page.svg(view, page.choice(view)) is None
    write_trial(reward__tau=0.1, iql__snapshots=1)
    page = browser.page()[1]
    assert "one setting" in page.lacks("against", page.choice("against"))
    assert "two settings" in page.lacks("heat", page.choice("heat"))
    for view in ("curves", "profile", "comparison"):
        assert page.svg(view, page.choice(view))
    write_trial(reward__tau=0.1, iql__snapshots=2, seed=1)
    assert browser.page()[1].paths == [], "how often a policy is watched is no question to a figure"


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
    lines = [line for line in drawn(page, "curves", by=series.CONFIGURATION).axes[0].lines if line.get_linestyle() != "--"]
    assert len(lines) == len({line.get_color() for line in lines}) == 20


def test_figures_are_kept_while_nothing_changes(store: Path, write_trial: WriteTrial) -> None:
    browser = Browser(Sources([store]))
    page = browser.page(["reward.tau=0.5"])[1]
    svg = page.svg("curves", page.choice("curves"))
    assert browser.page(["reward.tau=0.5"])[1].svg("curves", page.choice("curves")) is svg
    write_trial(seed=9, reward__tau=0.5)
    assert browser.page(["reward.tau=0.5"])[1].svg("curves", page.choice("curves")) != svg
