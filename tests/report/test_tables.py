"""The results table: grouping, order, and its exact text in each style."""

import csv
import io
import json
from pathlib import Path

import pytest
from scipy import stats

from ailot_ray.report.grouping import Group, group
from ailot_ray.report.record import load_trials
from ailot_ray.report.tables import NOTHING_YET, SUBSTITUTED_NOTE, as_json, format_table
from ailot_ray.tasks import TASKS

from .conftest import WriteTrial


@pytest.fixture
def rows(tmp_path: Path, write_trial: WriteTrial) -> list[Group]:
    """Round numbers: stand-in hopper with AILOT at two τ and BC, own walker2d with OTR."""
    for seed, score in enumerate((50.0, 54.0, 58.0)):
        write_trial("ailot", seed, {500: [0.0], 1000: [score - 1, score + 1]}, reward__tau=0.5, transport__k=2)
    write_trial("ailot", 0, {1000: [20.0]}, reward__tau=0.1, transport__k=2)
    for seed, score in ((0, 30.0), (5, 34.0)):
        write_trial("bc", seed, {1000: [score]}, reward__tau=0.5 + seed, transport__k=2)
    for seed, score in enumerate((70.0, 80.0)):
        write_trial("otr", seed, {1_000_000: [score]}, task="walker2d-medium-v2", reward__tau=0.5)
    return group(load_trials(tmp_path / "store"))


def test_text(rows: list[Group]) -> None:
    assert format_table(rows, "text").splitlines() == [
        "hopper-medium-v2  hopper-medium.hdf5 (a1b2c3d4) *",
        "  method        settings        gradient steps  seeds                 score  best / worst seed  published",
        "  dataset mean                               –      –                  38.2                  –          –",
        "  BC                                     1,000   0, 5  32.0 ± 2.8 (2 seeds)        34.0 / 30.0          –",
        "  AILOT         reward.tau=0.1           1,000      0         20.0 (1 seed)        20.0 / 20.0          –",
        "  AILOT         reward.tau=0.5           1,000    0–2  54.0 ± 4.0 (3 seeds)        58.0 / 50.0          –",
        "",
        "walker2d-medium-v2  walker2d_medium-v2.hdf5 (0f0f0f0f)",
        "  method        settings        gradient steps  seeds                 score  best / worst seed  published",
        "  dataset mean                               –      –                  62.0                  –          –",
        "  OTR                                1,000,000   0, 1  75.0 ± 7.1 (2 seeds)        80.0 / 70.0       79.4",
        "",
        SUBSTITUTED_NOTE,
    ]


def test_markdown(rows: list[Group]) -> None:
    lines = format_table(rows, "markdown").splitlines()
    hopper = r"| hopper-medium-v2 | hopper-medium.hdf5 (a1b2c3d4) \* |"
    assert lines[0] == "| task | data | method | settings | gradient steps | seeds | score | best / worst seed | published |"
    assert lines[1] == "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    assert lines[2] == f"{hopper} dataset mean |  | – | – | 38.2 | – | – |"
    assert lines[5] == f"{hopper} AILOT | reward.tau=0.5 | 1,000 | 0–2 | 54.0 ± 4.0 (3 seeds) | 58.0 / 50.0 | – |"
    assert lines[8:] == ["", "\\" + SUBSTITUTED_NOTE]
    assert {line.count(" | ") for line in lines[:8]} == {8}


def test_csv(rows: list[Group]) -> None:
    lines = list(csv.DictReader(io.StringIO(format_table(rows, "csv"))))
    assert [line["method"] for line in lines] == ["dataset mean", "BC", "AILOT", "AILOT", "dataset mean", "OTR"]
    best = lines[3]
    assert {name: best[name] for name in ("settings", "steps", "seeds", "mean", "std", "published", "substituted")} == {
        "settings": "reward.tau=0.5",
        "steps": "1000",
        "seeds": "0 1 2",
        "mean": "54.0",
        "std": "4.0",
        "published": "",
        "substituted": "true",
    }
    assert (best["best_seed"], best["best"], best["worst_seed"], best["worst"]) == ("2", "58.0", "0", "50.0")
    assert (float(best["low_95"]), float(best["high_95"])) == pytest.approx(stats.t.interval(0.95, 2, 54, 4 / 3**0.5))
    assert lines[2]["std"] == lines[2]["low_95"] == ""
    assert lines[5]["published"] == "79.4"


def test_json_is_strict_and_names_its_sources(rows: list[Group], tmp_path: Path) -> None:
    records = as_json(rows)
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    ailot = records[3]
    assert ailot["settings"] == {"reward.tau": 0.5}
    assert ailot["scores"] == [50.0, 54.0, 58.0]
    assert ailot["best"] == {"seed": 2, "score": 58.0}
    assert ailot["interquartile_mean"] == 54.0
    folders = {folder.name[-12:] for folder in (tmp_path / "store" / "scores").iterdir()}
    digests = [digest[:12] for record in records for digest in record["digests"]]
    assert len(digests) == 8
    assert set(digests) == folders
    assert records[2]["std"] is None
    assert records[0]["method"] == "dataset"
    assert records[0]["best"] is None


def test_methods_and_tasks_are_in_order(store: Path) -> None:
    rows = group(load_trials(store))
    hopper = ["dataset mean", "BC", "OTR", "SEABO", "AILOT", "AILOT", "IQL (true rewards)"]
    assert [row.label for row in rows] == [*hopper, "dataset mean", "BC", "AILOT"]
    assert [row.task for row in rows] == ["hopper-medium-v2"] * 7 + ["walker2d-medium-v2"] * 3
    assert {row.settings_text for row in rows if row.method != "ailot"} == {""}


def test_published_scores_stand_beside_the_own_file_only(tmp_path: Path, write_trial: WriteTrial) -> None:
    for task in ("hopper-medium-v2", "walker2d-medium-v2"):
        for method in ("iql", "ailot"):
            write_trial(method, task=task)
    rows = group(load_trials(tmp_path / "store"))
    published = {(row.task, row.method): row.published for row in rows if row.published is not None}
    assert published == {("walker2d-medium-v2", "iql"): TASKS["walker2d-medium-v2"].published["iql"]}
    own = [row for row in rows if not row.substituted]
    assert SUBSTITUTED_NOTE not in format_table(own)
    assert "*" not in format_table(own)


def test_settings_a_method_never_reads_do_not_split_its_seeds(tmp_path: Path, write_trial: WriteTrial) -> None:
    for seed, tau in enumerate((0.1, 0.5)):
        unused = {"icvf__steps": 10 + seed, "experts": 1 + seed}
        write_trial("bc", seed, reward__tau=tau, transport__space="intent", **unused)
        write_trial("otr", seed, reward__tau=0.5, transport__space="raw", icvf__steps=10 + seed)
        write_trial("iql", seed, reward__shift=-tau, transport__space="intent", **unused)
        write_trial("ailot", seed, reward__tau=0.5, transport__space="intent", icvf__steps=10 + seed)
    rows = group(load_trials(tmp_path / "store"))
    assert [(row.method, row.settings_text, row.seeds) for row in rows[1:]] == [
        ("bc", "", (0, 1)),
        ("otr", "", (0, 1)),
        ("ailot", "icvf.steps=10", (0,)),
        ("ailot", "icvf.steps=11", (1,)),
        ("iql", "reward.shift=-0.5", (1,)),
        ("iql", "reward.shift=-0.1", (0,)),
    ]


def test_what_one_row_never_reads_does_not_tell_the_others_apart(tmp_path: Path, write_trial: WriteTrial) -> None:
    encoder = {"icvf__width": 256, "icvf__standardise": True}
    write_trial(transport__space="raw", icvf__steps=10, **encoder)
    write_trial(transport__space="intent", icvf__steps=10, **encoder)
    write_trial(transport__space="intent", icvf__steps=0, **encoder)
    rows = group(load_trials(tmp_path / "store"))[1:]
    assert [row.settings_text for row in rows] == ["icvf.steps=0", "icvf.steps=10", "transport.space=raw"]
    assert [row.settings.get("icvf.steps") for row in rows] == [0, 10, None]


def test_variants_of_one_configuration_say_only_what_sets_them_apart(tmp_path: Path, write_trial: WriteTrial) -> None:
    usual = {"reward__tau": 0.5, "transport__k": 2, "transport__space": "intent"}
    for variant in ({"transport__k": 0}, {"reward__tau": 5.0}, {}, {"transport__space": "raw"}):
        write_trial(**(usual | variant))
    rows = group(load_trials(tmp_path / "store"))
    assert [row.settings_text for row in rows[1:]] == ["", "transport.k=0", "transport.space=raw", "reward.tau=5"]
    assert rows[1].settings == rows[1].usual == {"reward.tau": 0.5, "transport.k": 2, "transport.space": "intent"}
    note = "AILOT unless its line says otherwise: reward.tau=0.5 transport.k=2 transport.space=intent"
    assert note in format_table(rows).splitlines()
    assert rf"\par\smallskip {note}" in format_table(rows, "latex").splitlines()
    for line, row in zip(csv.DictReader(io.StringIO(format_table(rows, "csv"))), rows, strict=True):
        assert len(line["settings"].split()) == len(row.settings)  # a program gets all of them
    write_trial("ailot", task="walker2d-medium-v2")
    assert "AILOT on hopper-medium-v2, hopper-medium.hdf5, unless" in format_table(group(load_trials(tmp_path / "store")))


@pytest.mark.parametrize("taus", [(0.1, 0.5), (0.1, 0.5, 1.0)])
def test_of_a_plain_sweep_no_value_is_the_usual_one(taus: tuple[float, ...], tmp_path: Path, write_trial: WriteTrial) -> None:
    for tau in taus:
        write_trial(reward__tau=tau, transport__k=2)
    rows = group(load_trials(tmp_path / "store"))
    assert [row.settings_text for row in rows[1:]] == [f"reward.tau={tau:g}" for tau in taus]
    assert "otherwise" not in format_table(rows)


def test_settings_are_written_as_they_are_typed(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial(expert=None, reward__rescale=True, iql__learning_rate=3e-4, iql__steps=1_000_000)
    write_trial(expert="demos/a.hdf5", reward__rescale=False, iql__learning_rate=1 / 3, iql__steps=1_000_000)
    rows = group(load_trials(tmp_path / "store"))[1:]
    assert [row.settings_text for row in rows] == [
        "expert=none reward.rescale=true iql.learning_rate=0.0003",
        "expert=demos/a.hdf5 reward.rescale=false iql.learning_rate=0.3333333333333333",
    ]


def test_what_is_not_there(tmp_path: Path, write_trial: WriteTrial) -> None:
    rows = group(load_trials(tmp_path))
    assert rows == [] == as_json(rows) and format_table(rows, "csv").splitlines()[1:] == []
    assert format_table(rows) == format_table(rows, "markdown") == NOTHING_YET and "python -m ailot_ray" in NOTHING_YET
    for seed in (0, 5):  # how closely learning is watched does not tell rows apart
        write_trial("bc", seed, mean_score=None, evaluation__curve_episodes=seed)
    dataset, cloned = group(load_trials(tmp_path / "store"))
    assert (cloned.seeds, cloned.settings_text) == ((0, 5), "")
    assert format_table([dataset, cloned]).splitlines()[2].split() == ["dataset", "mean", "–", "–", "–", "–", "–"]
