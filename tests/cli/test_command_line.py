import csv
import json
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


def test_tasks_lists_every_task_and_whose_file_is_there(command: Command, tmp_path: Path) -> None:
    (tmp_path / "door-human-v1.hdf5").touch()
    ended = command("tasks", "--data-dir", tmp_path, "--json")
    assert ended.status == 0 and not ended.err
    listed = ended.json["tasks"]
    assert set(listed) == set(TASKS)
    assert all(name in ended.out for name in TASKS)
    there = {name: task["data"] for name, task in listed.items() if task["data"]}
    assert there == {"hopper-builtin": "built in", "door-human-v1": str(tmp_path / "door-human-v1.hdf5")}


def test_inspect(command: Command, hopper: Path) -> None:
    ended = command("data", "inspect", "--task", "hopper-medium-v2", "--data", hopper)
    assert ended.status == 0 and not ended.err
    assert "211 of 211 in the file" in ended.out and "6 terminal, 6 timeout" in ended.out
    report = command("data", "inspect", "--task", "hopper-medium-v2", "--data", hopper, "--json").json
    assert (report["episodes"], report["transitions_kept"], report["ends"]) == (12, 211, {"terminal": 6, "timeout": 6})
    assert (report["length"]["min"], report["length"]["max"]) == (8, 30)


def test_inspect_without_arguments_shows_the_built_in_set(command: Command) -> None:
    report = command("data", "inspect", "--json").json
    assert (report["task"], report["source"], report["substituted"]) == ("hopper-builtin", "built-in", False)


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


def test_relabel_without_intents_reports_once(work: Command) -> None:
    ended = work("relabel", "--method", "otr", "--seeds", 0, 1, "--json")
    assert list(ended.json["reports"]) == ["0"] and "all seeds" in ended.out
    assert len(set(ended.json["artefacts"].values())) == 1


def test_train(work: Command, store: Path) -> None:
    ended = work("train", "--method", "bc", "--seeds", 5, "--json")
    assert ended.status == 0 and not ended.err
    (folder,) = (store / "policies").iterdir()
    assert ended.json["artefacts"] == {"5": str(folder)}


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


def test_evaluate_writes_a_video(work: Command, tmp_path: Path) -> None:
    path = tmp_path / "new" / "policy.mp4"
    ended = work("evaluate", "--method", "bc", "--video", path, "--json")
    if "cannot draw a video" in ended.err:
        pytest.skip("MuJoCo cannot render here")
    assert ended.status == 0, ended.err
    assert ended.json["video"] == str(path)
    assert path.read_bytes()[4:8] == b"ftyp"


def test_run_compares_every_method(work: Command, store: Path) -> None:
    ended = work("run", "--methods", *METHODS, "--seeds", 0, 1, "--json")
    assert ended.status == 0 and not ended.err
    rows = {row["method"]: row for row in ended.json["rows"]}
    assert set(rows) == {"dataset", *METHODS}
    for method in METHODS:
        assert rows[method]["seeds"] == [0, 1] and len(rows[method]["scores"]) == 2
    assert "AILOT" in ended.out and "SEABO" in ended.out
    assert len(pq.read_table(ended.json["results"])) == 10
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
    last = command("results", "--store", store, "--json").json["rows"]
    assert [float(row["mean"]) for row in rows] == [pytest.approx(row["mean"]) for row in last]


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


def test_every_verb_ends_in_one_json_object(work: Command, command: Command, store: Path, tmp_path: Path) -> None:
    for verb in ("pretrain", "relabel", "train", "evaluate", "run"):
        assert work(verb, "--json").json, verb
    assert command("results", "--store", store, "--json").json
    assert command("tasks", "--json").json
    assert command("results", "--store", _empty(tmp_path), "--json").json == {"rows": []}


def _empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


@pytest.mark.parametrize("verb", [("pretrain",), ("relabel",), ("train",), ("evaluate",), ("run",), ("data", "export")])
def test_every_setting_has_a_flag(verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*verb, "--help"])
    assert end.value.code == 0
    words = {word.rstrip(",") for word in capsys.readouterr().out.split()}
    paths = [f"--{path.replace('_', '-')}" for path in flatten(Config())]
    assert len(paths) > 40
    assert [path for path in paths if path not in words] == []


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([])
    out = capsys.readouterr().out
    assert end.value.code == 0 and all(verb in out for verb in ("tasks", "data", "pretrain", "relabel", "run", "results"))
