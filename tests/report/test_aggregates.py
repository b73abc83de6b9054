"""Aggregates over tasks and the paper's table, on a store with known scores."""

import csv
import io
import json
from pathlib import Path

import pytest

from ailot_ray.report.aggregates import all_series, format_statistics, improvements, statistics_json
from ailot_ray.report.comparison import comparison_table
from ailot_ray.report.grouping import Group, group
from ailot_ray.report.record import load_trials
from ailot_ray.report.tables import NOTHING_YET, SUBSTITUTED_NOTE

from .conftest import WriteTrial


@pytest.fixture
def rows(tmp_path: Path, write_trial: WriteTrial) -> list[Group]:
    """AILOT above OTR in 8 of 9 pairs on stand-in hopper and in none on walker2d; BC on hopper alone, one seed."""
    scores = {
        ("hopper-medium-v2", "ailot"): (50.0, 54.0, 58.0),
        ("hopper-medium-v2", "otr"): (40.0, 42.0, 52.0),
        ("hopper-medium-v2", "bc"): (30.0,),
        ("walker2d-medium-v2", "ailot"): (60.0, 62.0),
        ("walker2d-medium-v2", "otr"): (70.0, 80.0),
    }
    for (task, method), values in scores.items():
        for seed, score in enumerate(values):
            write_trial(method, seed, {1000: [score]}, task=task)
    return group(load_trials(tmp_path / "store"))


def test_series_collect_a_methods_tasks(rows: list[Group]) -> None:
    by_method = {series.method: series for series in all_series(rows)}
    assert set(by_method) == {"ailot", "otr", "bc"}
    assert by_method["ailot"].strata == [(50.0, 54.0, 58.0), (60.0, 62.0)]
    assert by_method["bc"].strata == [(30.0,)]


def test_improvement_is_over_shared_tasks(rows: list[Group]) -> None:
    found = {pair.other.method: pair for pair in improvements(all_series(rows))}
    assert set(found) == {"otr", "bc"}
    assert found["otr"].probability == pytest.approx((8 / 9 + 0) / 2) and found["otr"].datasets == 2
    assert (found["bc"].probability, found["bc"].datasets) == (1.0, 1)


def test_each_pair_of_a_swept_method_stands_once(tmp_path: Path, write_trial: WriteTrial) -> None:
    for tau in (0.1, 0.5, 1.0):
        for seed in range(2):
            write_trial("ailot", seed, {1000: [10 * tau + seed]}, reward__tau=tau)
    pairs = improvements(all_series(group(load_trials(tmp_path / "store"))))
    names = [(pair.better.settings, pair.other.settings) for pair in pairs]
    assert names == [
        ("reward.tau=0.1", "reward.tau=0.5"),
        ("reward.tau=0.1", "reward.tau=1"),
        ("reward.tau=0.5", "reward.tau=1"),
    ]


def test_variants_stand_against_the_usual_configuration(tmp_path: Path, write_trial: WriteTrial) -> None:
    usual = {"reward__tau": 0.5, "transport__k": 2, "transport__metric": "cosine"}
    for seed, score in enumerate((10.0, 12.0)):
        write_trial("ailot", seed, {1000: [score]}, **usual)
        for variant in ({"reward__tau": 5.0}, {"transport__k": 0}, {"transport__metric": "euclidean"}):
            write_trial("ailot", seed, {1000: [score + 7]}, **(usual | variant))
        write_trial("otr", seed, {1000: [score - 4]})
    pairs = improvements(all_series(group(load_trials(tmp_path / "store"))))
    assert [(pair.better.settings, pair.other.name, pair.difference) for pair in pairs] == [
        ("", "OTR", 4.0),
        ("transport.k=0", "AILOT", 7.0),
        ("transport.metric=euclidean", "AILOT", 7.0),
        ("reward.tau=5", "AILOT", 7.0),
    ]


def test_no_difference_has_no_sign(tmp_path: Path, write_trial: WriteTrial) -> None:
    for method, score in (("ailot", 10.0), ("otr", 10.04)):
        write_trial(method, 0, {1000: [score]})
    assert "| AILOT | OTR | 1 | 0.0 |" in format_statistics(group(load_trials(tmp_path / "store")), "markdown")


def test_text_tells_what_the_numbers_rest_on(rows: list[Group]) -> None:
    text = format_statistics(rows)
    line = next(line for line in text.splitlines() if line.strip().startswith("AILOT"))
    assert line.split()[:4] == ["AILOT", "2", "5", f"{(54 + 58 + 60) / 3:.1f}"]
    bc = next(line for line in text.splitlines() if line.strip().startswith("BC"))
    assert bc.split()[:4] == ["BC", "1", "1", "30.0"] and bc.count("–") == 2
    assert "not all evaluated on the same data" in text and "rest on 2 seeds a dataset" in text
    assert text.endswith(SUBSTITUTED_NOTE)


def test_statistics_in_every_style(rows: list[Group]) -> None:
    latex = format_statistics(rows, "latex")
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == latex.count(r"\end{tabular}") == 2
    assert r"95 \% interval" in latex and "–" not in latex
    assert f"| AILOT | OTR | 2 | {(54 - 134 / 3 + 61 - 75) / 2:.1f} |" in format_statistics(rows, "markdown")
    first, second = format_statistics(rows, "csv").split("\n\n")
    assert [line["datasets"] for line in csv.DictReader(io.StringIO(first))] == ["1", "2", "2"]
    assert len(list(csv.DictReader(io.StringIO(second)))) == 2
    for block in (first, second):
        columns = block.splitlines()[0].split(",")
        assert len(set(columns)) == len(columns)  # a spreadsheet finds each by its name
    found = statistics_json(rows)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert format_statistics([]) == NOTHING_YET


def test_comparison_puts_published_scores_beside_ours(rows: list[Group]) -> None:
    lines = list(
        csv.DictReader(io.StringIO(comparison_table(rows, "csv", tasks=("walker2d-medium-v2", "hopper-medium-replay-v2"))))
    )
    assert [line["task"] for line in lines] == ["walker2d-medium-v2", "hopper-medium-replay-v2", "hopper-medium-v2 *", "sum"]
    assert lines[0] == {
        "task": "walker2d-medium-v2",
        "dataset mean": "62.0",
        "BC (1,000 steps)": "–",
        "OTR (1,000 steps)": "75.0 ± 7.1 (2 seeds)",
        "AILOT (1,000 steps)": "61.0 ± 1.4 (2 seeds)",
        "IQL (true rewards), published": "78.3 (77.2–81.1)",
        "OTR, published": "79.4",
        "SEABO, published": "81.3",
        "BC, published": "63.2",
        "10 % BC (true returns), published": "67.3",
    }
    assert (lines[1]["AILOT (1,000 steps)"], lines[1]["OTR, published"]) == ("–", "84.8")
    assert lines[2]["OTR, published"] == "–", "beside a stand-in a published score says nothing"
    assert (lines[3]["OTR (1,000 steps)"], lines[3]["OTR, published"]) == ("–", "–")
    assert comparison_table(rows, "text").endswith(SUBSTITUTED_NOTE)
    assert r"\midrule" in comparison_table(rows, "latex")
    assert comparison_table([]) == NOTHING_YET


def test_comparison_gives_each_configuration_its_column(tmp_path: Path, write_trial: WriteTrial) -> None:
    for k in (0, 2):
        write_trial("ailot", 0, {1000: [10.0 * k]}, transport__k=k)
    (line,) = csv.DictReader(io.StringIO(comparison_table(group(load_trials(tmp_path / "store")), "csv")))
    columns = ("AILOT transport.k=0 (1,000 steps)", "AILOT transport.k=2 (1,000 steps)")
    assert [line[column] for column in columns] == ["0.0 (1 seed)", "20.0 (1 seed)"]
