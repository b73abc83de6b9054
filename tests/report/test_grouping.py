"""One grouping for every table and figure: a seed counts once, and unequal gradient steps are never one group in silence."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from ailot_ray.report.aggregates import all_series, statistics_json
from ailot_ray.report.comparison import comparison_table
from ailot_ray.report.figures import series
from ailot_ray.report.figures.canvas import tips
from ailot_ray.report.figures.overview import plot_learning_curves, plot_scores
from ailot_ray.report.grouping import Group, distinct, group, mean_curve
from ailot_ray.report.page.browser import Page
from ailot_ray.report.page.render import write_shared
from ailot_ray.report.page.sources import Sources
from ailot_ray.report.page.table import count
from ailot_ray.report.record import load_trials
from ailot_ray.report.tables import format_table

from .conftest import WriteTrial

SCORES = (10.0, 20.0, 60.0)


@pytest.fixture
def twice(tmp_path: Path, write_trial: WriteTrial) -> Path:
    """Three seeds on one file, evaluated under two of its paths, and a baseline."""
    for seed, score in enumerate(SCORES):
        for place in ("/data/hop.hdf5", "/elsewhere/hop_copy.hdf5"):
            write_trial("otr", seed, {500: [score / 2], 1000: [score]}, source=place, iql__steps=1000)
        write_trial("bc", seed, {1000: [5.0 + seed]}, source="/data/hop.hdf5", iql__steps=1000)
    return tmp_path / "store"


def hovers(page: Page, view: str, by: str | None = None) -> list[str]:
    """What a view's lines tell under the pointer."""
    figure = page.figure(view, page.choice(view, by=by))
    return [text for axis in figure.axes for line in axis.lines for text in tips(line)]


def test_one_file_under_two_paths_is_one_dataset_in_every_report(twice: Path, tmp_path: Path) -> None:
    trials = load_trials(twice)
    assert len(trials) == 9
    (otr,) = [one for one in group(trials) if one.method == "otr"]
    sd = float(np.std(SCORES, ddof=1))
    assert (otr.seeds, otr.scores) == ((0, 1, 2), SCORES) and otr.std == pytest.approx(sd)
    assert f"30.0 ± {sd:.1f} (3 seeds)" in format_table(group(trials))
    assert rf"30.0 $\pm$ {sd:.1f} (3 seeds)" in format_table(group(trials), "latex")
    (line,) = [line for line in csv.DictReader(io.StringIO(format_table(group(trials), "csv"))) if line["method"] == "OTR"]
    assert line["seeds"] == "0 1 2" and float(line["std"]) == pytest.approx(sd)
    assert [found["runs"] for found in statistics_json(group(trials))["aggregates"]] == [3, 3]
    curves, scores = plot_learning_curves(group(trials), tmp_path / "a.png"), plot_scores(group(trials), tmp_path / "b.png")
    assert len(curves.axes) == len(scores.axes) == 1
    told = [text for dots in scores.axes[0].collections for text in tips(dots) if text.startswith("OTR, seed")]
    assert told == [f"OTR, seed {seed}: {score:.1f}" for seed, score in enumerate(SCORES)]

    page = Page(Sources([twice]).read().runs)
    assert count(page.runs)["done"] == 6
    assert f"OTR: 30.0 ± {sd:.1f} (3 runs) at 1,000 steps" in hovers(page, "curves")
    assert "OTR, share of 3 runs" in hovers(page, "profile")
    text = write_shared(Sources([twice]).read(), tmp_path / "page.html", [twice]).read_text()
    assert "of 3 runs" in text and "of 6 runs" not in text and "<b>6</b><span>trials" in text


def test_of_the_same_trial_the_latest_evaluation_counts(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial("bc", 0, {10: [20.0]}, device="cpu", finished="2026-02-01T00:00:00Z")
    write_trial("bc", 0, {10: [30.0]}, device="cuda", finished="2026-03-01T00:00:00Z")
    write_trial("bc", 0, {10: [40.0]}, device="cuda", finished="2026-01-01T00:00:00Z", evaluation__curve_episodes=0)
    write_trial("bc", 1, {10: [45.0]}, device="cuda")
    trials = load_trials(tmp_path / "store")
    [_, row] = group(trials)
    assert (row.seeds, row.scores, row.mean) == ((0, 1), (30.0, 45.0), 37.5)
    assert len(distinct(trials)) == 2 and len(row.digests) == 2


@pytest.fixture
def unequal(tmp_path: Path, write_trial: WriteTrial) -> list[Group]:
    """As after the quickstart: AILOT and OTR at 4,000 steps, and a sweep of AILOT over τ at 1,000."""
    for tau in (0.1, 0.5, 2.0):
        write_trial("ailot", 0, {500: [8.0], 1000: [10.0 + tau]}, reward__tau=tau, iql__steps=1000, iql__snapshots=2)
    for seed in (0, 1):
        write_trial("ailot", seed, {2000: [30.0], 4000: [50.0]}, reward__tau=0.5, iql__steps=4000, iql__snapshots=2)
        write_trial("otr", seed, {2000: [30.0], 4000: [40.0]}, reward__tau=0.5, iql__steps=4000, iql__snapshots=2)
    return group(load_trials(tmp_path / "store"))


def test_unequal_gradient_steps_are_told_in_every_name(unequal: list[Group], tmp_path: Path) -> None:
    found = [(one.name, one.steps) for one in unequal if one.method != "dataset"]
    assert [steps for _, steps in found] == [4000, 4000, 1000, 1000, 1000]
    assert all(f"({steps:,} steps)" in name for name, steps in found) and len({name for name, _ in found}) == 5
    assert found[1][0] == "AILOT (4,000 steps)" and found[2][0] == "AILOT (1,000 steps) reward.tau=0.1"
    assert len(all_series(unequal)) == 5
    assert "AILOT (1,000 steps)" in comparison_table(unequal)
    table = format_table(unequal)
    assert "1,000" in table and "4,000" in table


@pytest.mark.parametrize("view", ["curves", "against", "heat", "profile", "comparison"])
@pytest.mark.parametrize("by", [series.METHOD, series.CONFIGURATION, "reward.tau"])
def test_no_line_takes_unequal_steps_together(unequal: list[Group], view: str, by: str, tmp_path: Path) -> None:
    page = Page(Sources([tmp_path / "store"]).read().runs)
    for panel in series.make_panels(page.rows, by):
        for one in panel.series:
            assert len({run.trained for run in one.runs}) == 1
            assert f"({one.runs[0].trained:,} steps)" in one.label
    if view in ("curves", "profile"):
        assert all("steps)" in text for text in hovers(page, view, by) if not text.startswith("dataset mean"))


def test_equal_steps_are_not_in_names(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial("bc", 0, {10: [20.0]}, iql__steps=10)
    write_trial("otr", 0, {10: [20.0]}, iql__steps=10)
    assert [one.name for one in group(load_trials(tmp_path / "store"))][1:] == ["BC", "OTR"]


def test_a_method_that_no_plug_in_names_keeps_its_own(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial("from_elsewhere", 0, {10: [20.0]}, transport__k=3)
    [_, one] = group(load_trials(tmp_path / "store"))
    assert (one.name, one.steps) == ("from_elsewhere", 10)
    plot_scores(group(load_trials(tmp_path / "store")), tmp_path / "scores.png")


def test_a_curve_is_over_the_trials_that_reach_a_step(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial("bc", 0, {5: [10.0], 10: [20.0]})
    write_trial("bc", 1, {10: [30.0]})
    steps, means, spread, counts = mean_curve(load_trials(tmp_path / "store"))
    assert steps.tolist() == [5, 10] and means.tolist() == [10.0, 25.0] and counts.tolist() == [1, 2]
    assert spread.tolist() == pytest.approx([0.0, np.std([20, 30], ddof=1)])


def test_scores_of_the_two_simulators_never_share_a_row(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial("bc", 0)  # from before there was a choice
    write_trial("bc", 1, evaluation__simulator="gymnasium")
    write_trial("bc", 2, evaluation__simulator="d4rl")
    rows = [row for row in group(load_trials(tmp_path / "store")) if row.method == "bc"]
    assert {row.settings["evaluation.simulator"]: row.seeds for row in rows} == {"gymnasium": (0, 1), "d4rl": (2,)}


def test_a_row_of_d4rls_simulator_says_so_where_most_rows_are_and_where_no_other_is(
    tmp_path: Path, write_trial: WriteTrial
) -> None:
    for k in (0, 2):
        write_trial(transport__k=k, evaluation__simulator="d4rl")
    write_trial(transport__k=2, evaluation__simulator="gymnasium")
    write_trial("bc", evaluation__simulator="d4rl")
    write_trial("otr", evaluation__simulator="gymnasium")
    texts = [(row.method, row.settings_text) for row in group(load_trials(tmp_path / "store"))[1:]]
    assert sorted(texts) == [
        *(("ailot", f"evaluation.simulator={name}") for name in ("d4rl", "gymnasium")),
        ("ailot", "transport.k=0 evaluation.simulator=d4rl"),
        ("bc", "evaluation.simulator=d4rl"),
        ("otr", ""),
    ]
