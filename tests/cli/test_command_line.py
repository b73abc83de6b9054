import csv
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from ailot_ray.__main__ import main
from ailot_ray.config import Config, flatten
from ailot_ray.methods import METHODS
from ailot_ray.store import MANIFEST
from ailot_ray.tasks import TASKS

from .conftest import ENDS, LENGTHS, TINY, Command


def test_inspect(command: Command, hopper: Path) -> None:
    ended = command("data", "inspect", "--task", "hopper-medium-v2", "--data", hopper)
    assert ended.status == 0 and not ended.err
    assert "211 of 211 in the file" in ended.out and "6 terminal, 6 timeout" in ended.out
    report = command("data", "inspect", "--task", "hopper-medium-v2", "--data", hopper, "--json").json
    assert (report["episodes"], report["transitions_kept"], report["ends"]) == (12, 211, {"terminal": 6, "timeout": 6})
    assert (report["length"]["min"], report["length"]["max"]) == (8, 30)
    own = command("data", "inspect", "--json").json
    assert (own["task"], own["source"], own["substituted"]) == ("hopper-builtin", "built-in", False)


def test_pretrain(work: Command, store: Path) -> None:
    ended = work("pretrain", "--seeds", 0, 3, "--json")
    assert ended.status == 0 and not ended.err
    folders = [Path(folder) for folder in ended.json["artefacts"].values()]
    assert list(ended.json["artefacts"]) == ["0", "3"] and len(set(folders)) == 2
    for folder in folders:
        assert folder.parent == store / "intents"
        assert {"icvf.safetensors", "curve.json", MANIFEST} <= {path.name for path in folder.iterdir()}
        assert str(folder) in ended.out


def test_relabel_prints_its_report(work: Command) -> None:
    ended = work("relabel", "--json")
    assert ended.status == 0 and not ended.err
    report = ended.json["reports"]["0"]
    assert report["solves"] == 12 and f"{report['trajectories']} (211 transitions)" in ended.out
    assert "rank correlation with the true return" in ended.out
    for warning in report["warnings"]:
        assert f"warning: {warning}" in ended.out
    shared = work("relabel", "--method", "otr", "--seeds", 0, 1, "--json")
    assert list(shared.json["reports"]) == ["0"] and "all seeds" in shared.out
    assert len(set(shared.json["artefacts"].values())) == 1


def test_evaluate(work: Command, store: Path) -> None:
    ended = work("evaluate", "--method", "bc", "--seeds", 0, 1, "--json")
    assert ended.status == 0 and not ended.err
    for seed, folder in ended.json["artefacts"].items():
        table = pq.read_table(Path(folder) / "episodes.parquet")
        final = [
            score for step, score in zip(*(table[name].to_pylist() for name in ("step", "score")), strict=True) if step == 8
        ]
        assert len(final) == 2 and ended.json["scores"][seed] == pytest.approx(np.mean(final))
        assert f"seed {seed}: normalised score {np.mean(final):.1f}" in ended.out
    assert work("evaluate", "--method", "bc", "--seeds", 0, 1, "--json").json == ended.json
    trained = work("train", "--method", "bc", "--seeds", 1, "--json")
    assert Path(trained.json["artefacts"]["1"]).parent == store / "policies"
    assert f"seed 1: {trained.json['artefacts']['1']}" in trained.out


def test_run_compares_every_method(work: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr("ailot_ray.cli.run.show_policy", lambda verb, *which: shown.extend(which))
    ended = work("run", "--methods", *METHODS, "--seeds", 0, 1, "--video", tmp_path / "film.mp4", "--json")
    assert shown == ["ailot", 0, tmp_path / "film.mp4"], "AILOT's first seed, before any baseline's"
    assert ended.status == 0
    warned = ended.err.splitlines()
    assert 0 < len(warned) <= 6 and all(line.startswith("warning: ") for line in warned), "so little training falls at once"
    rows = {row["method"]: row for row in ended.json["rows"]}
    assert set(rows) == {"dataset", *METHODS}
    for method in METHODS:
        assert rows[method]["seeds"] == [0, 1] and len(rows[method]["scores"]) == 2
        assert (rows[method]["labelling_seconds"] is None) == (not METHODS[method].rewarded)
    assert rows["bc10-ailot"]["labelling_seconds"] > rows["otr"]["labelling_seconds"] > 0, "intents are learned first"
    assert "AILOT" in ended.out and "SEABO" in ended.out
    assert len(pq.read_table(ended.json["results"])) == 2 * len(METHODS)
    for plot in ended.json["plots"]:
        assert Path(plot).read_bytes().startswith(b"\x89PNG")


def test_run_keeps_its_table_where_no_video_can_be_drawn(
    work: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    ended = work("run", "--method", "bc", "--video", tmp_path / "film.mp4", "--json")
    assert ended.status == 0 and ended.json["video"] is None and len(ended.json["rows"]) == 2
    assert "no video" in ended.err and "apt-get install" in ended.err
    assert not (tmp_path / "film.mp4").exists()


def test_results_in_three_styles(work: Command, command: Command, store: Path) -> None:
    work("run", "--methods", "bc", "iql")
    text = command("results", "--store", store)
    assert text.status == 0 and "IQL (true rewards)" in text.out and "results.parquet" in text.out
    markdown = command("results", "--store", store, "--style", "markdown").out.splitlines()
    assert markdown[0].startswith("| task | data | method |") and markdown[1].startswith("| --- |")
    rows = list(csv.DictReader(command("results", "--store", store, "--style", "csv").out.splitlines()))
    assert [row["method"] for row in rows] == ["dataset mean", "BC", "IQL (true rewards)"]
    (store.parent / "empty").mkdir()
    assert command("results", "--store", store.parent / "empty", "--json").json == {"rows": []}
    last = command("results", "--store", store, "--json").json["rows"]
    assert [float(row["mean"]) for row in rows] == [pytest.approx(row["mean"]) for row in last]


@pytest.mark.parametrize(
    ("verb", "flags", "last"),
    [
        ("pretrain", (), "intents"),
        ("relabel", (), "rewards"),
        ("train", (), "policies"),
        ("run", ("--methods", "ailot", "bc"), "scores"),
    ],
)
def test_a_plan_comes_first_and_may_be_all(verb: str, flags: tuple[str, ...], last: str, work: Command, store: Path) -> None:
    planned = work(verb, *flags, "--seeds", 0, 1, "--dry-run", "--json")
    assert planned.status == 0 and planned.json["seconds"] > 0 and not list(store.glob("[a-z]*"))
    kinds = ("intents", "alignment", "rewards", "policies", "scores")
    wanted = set(kinds[: kinds.index(last) + 1])
    assert {kind for kind, count in planned.json["plan"].items() if count["to_do"]} == wanted and planned.json["plan"][last][
        "distinct"
    ] == 2 * max(1, len(flags) - 1)
    if verb != "pretrain":
        return
    done = work(verb, *flags, "--seeds", 0, 1)
    assert done.out.startswith(planned.out.splitlines()[0]) and "pretrainings" in done.out
    assert "pretrainings" not in work(verb, *flags, "--seeds", 0, 1).out  # all is there


def test_results_of_chosen_trials(work: Command, command: Command, store: Path) -> None:
    for tau in (0.1, 0.5, 2):
        work("evaluate", "--method", "ailot", "--reward.tau", tau)
    work("evaluate", "--method", "bc")

    def rows(*flags: object) -> list[dict[str, object]]:
        found = command("results", "--store", store, "--json", *flags).json["rows"]
        return [row for row in found if row["method"] != "dataset"]

    assert [row["settings"] for row in rows("--where", "method=ailot", "reward.tau=0.1,2.0")] == [
        {"reward.tau": 0.1},
        {"reward.tau": 2.0},
    ]
    means = [float(str(row["mean"])) for row in rows("--sort", "score")]
    assert means == sorted(means, reverse=True) and len(means) == 4
    text = command("results", "--store", store, "--where", "method=ailot", "--columns", "reward.tau", "score").out.splitlines()
    assert text[1].split() == ["reward.tau", "score"] and [line.split()[0] for line in text[2:6]] == ["–", "0.1", "0.5", "2"]
    for flags, says in {
        ("--where", "method=otr"): "no trial that is left has it; method in the store: ailot, bc",
        ("--where", "reward.tua=1"): "reward.tua is not a setting: did you mean reward.tau",
        ("--where", "method"): "--where method is not a setting with values",
        ("--columns", "scores"): "scores is not a setting",
    }.items():
        ended = command("results", "--store", store, *flags)
        assert ended.status == 1 and says in ended.err and len(ended.err.splitlines()) == 1


def test_results_of_a_store_that_may_only_be_read(
    work: Command,
    command: Command,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As one on a mount for reading is: the tests run as root, whom no mode of a folder stops."""
    assert work("evaluate", "--method", "bc").status == 0
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != store)
    ended = command("results", "--store", store, "--html", tmp_path / "shared.html", "--json")
    assert ended.status == 0 and "BC" in ended.out and len(ended.json["rows"]) == 2 and "plots" not in ended.json
    assert caplog.messages == [f"{store} may only be read: results.parquet and the plots are left out"]
    assert "BC" in (tmp_path / "shared.html").read_text()
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_export_and_read_back(work: Command, command: Command, hopper: Path, tmp_path: Path) -> None:
    output = tmp_path / "relabelled.hdf5"
    arguments = ["--task", "hopper-medium-v2", "--data", hopper, "--store", tmp_path / "store", *TINY[:-2]]
    ended = command("data", "export", "--output", output, *arguments, "--json")
    assert ended.status == 0 and ended.json["file"] == str(output)
    rewards = pq.read_table(Path(ended.json["rewards"]) / "rewards.parquet")["reward"].to_numpy()
    with h5py.File(output) as new, h5py.File(hopper) as old:
        np.testing.assert_array_equal(new["rewards"][()], rewards)
        for key in ("observations", "actions", "next_observations", "terminals", "timeouts"):
            np.testing.assert_array_equal(new[key][()], old[key][()])
        assert json.loads(new.attrs["provenance"])["reward.tau"] == 0.5
    report = command("data", "inspect", "--task", "hopper-medium-v2", "--data", output, "--json").json
    assert report["ends"] == {"terminal": ENDS.count("terminal"), "timeout": ENDS.count("timeout")}
    assert report["episodes"] == len(LENGTHS)
    # relabelled before: the same artefact
    assert work("relabel", "--json").json["artefacts"]["0"] == ended.json["rewards"]


@pytest.mark.parametrize("verb", [("pretrain",), ("relabel",), ("train",), ("evaluate",), ("run",), ("data", "export")])
def test_every_setting_has_a_flag(verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*verb, "--help"])
    assert end.value.code == 0
    words = {word.rstrip(",") for word in capsys.readouterr().out.split()}
    paths = [f"--{path.replace('_', '-')}" for path in flatten(Config())]
    assert len(paths) > 40
    assert [path for path in paths if path not in words] == []


def test_one_task_is_told_whole(command: Command, tmp_path: Path) -> None:
    (tmp_path / "hopper_medium_expert-v2.hdf5").write_bytes(b"")
    out = command("tasks", "--task", "hopper-medium-expert-v2", "relocate-human-v1", "--data-dir", tmp_path).out
    hopper, relocate = out.split("\n\n")
    file = TASKS["hopper-medium-expert-v2"].published_file
    assert file and f"304.5 MB, SHA-256 {file[1]}" in hopper and "/gym_mujoco_v2/hopper_medium_expert-v2.hdf5" in hopper
    assert str(tmp_path / "hopper_medium_expert-v2.hdf5") in hopper and "Hopper-v4: 11 numbers a state" in hopper
    assert "107.4 ± 7.8  IQL (true rewards): CORL's README" in hopper and "90.7  IQL (true rewards): JAX-CORL" in hopper
    assert "physics     of D4RL's MuJoCo" in hopper and "physics" not in command("tasks", "--task", "hopper-builtin").out
    assert "not on this machine" in relocate and "its digest is not known" in relocate
    assert "--task nothing is unknown" in command("tasks", "--task", "nothing").err


def test_the_table_holds_every_task_and_fits_a_terminal(command: Command, tmp_path: Path) -> None:
    (tmp_path / "door-v0_demos_clipped.hdf5").write_bytes(b"")
    ended = command("tasks", "--data-dir", tmp_path, "--json")
    lines = ended.out.splitlines()[:-1]
    assert max(map(len, lines)) <= 120
    rows = {words[0]: words for line in lines if (words := line.split()) and words[0] in TASKS}
    assert rows.keys() == TASKS.keys()
    assert rows["antmaze-large-diverse-v0"][1:] == ["29", "8", "1000", "known", "47.5", "45.5", "–", "66.6", "–", "–", "–"]
    assert rows["hopper-medium-expert-v2"][4:] == ["known", "91.5", "(90.7–107.4)", "93.2", "97.5", "–", "52.3", "111.2", "–"]
    assert rows["antmaze-medium-play-v2"][4] == rows["relocate-human-v1"][4] == "–", "their digests are not known"
    assert rows["door-human-v0"][-2:] == ["on", "disk"] and rows["hopper-builtin"][-2:] == ["built", "in"]
    assert any(line.startswith("antmaze: iql.expectile 0.9   iql.temperature 10") for line in lines)

    assert not ended.err and ended.json["tasks"].keys() == TASKS.keys()
    listed = ended.json["tasks"]["door-human-v0"]
    assert listed["data"] == str(tmp_path / "door-v0_demos_clipped.hdf5")
    assert (listed["size"], listed["sha256"]) == TASKS["door-human-v0"].published_file
    assert listed["references"][0] == {"method": "iql", "score": 3.3, "source": "SEABO", "deviation": None}
    assert listed["settings"]["iql.dropout"] == 0.1 and listed["published"] == {"iql": 3.3, "otr": 5.9, "seabo": 5.1}
