"""What the results page knows of each run, read off a store's files."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ailot_ray.errors import StoreError
from ailot_ray.report.page.render import write_shared
from ailot_ray.report.page.runs import log_tail
from ailot_ray.report.page.sources import Sources, conditions, find_stores, matching, varying_paths
from ailot_ray.report.portraits import rewards_folder, video_of, video_path
from ailot_ray.report.record import Trial, read_trial, value_of, values_of
from ailot_ray.store import MANIFEST, read_json, write_json

from .conftest import WriteTrial

WritePlan = Callable[..., None]
KINDS = ("intents", "alignment", "rewards", "policies", "scores")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A store with nothing in it."""
    (tmp_path / "store" / ".locks").mkdir(parents=True)
    return tmp_path / "store"


@pytest.fixture
def write_plan(tmp_path: Path) -> WritePlan:
    """Write the plan of a sweep with a trial of seeds 0 and 1 for each τ; the artefacts are called τ-seed."""

    def write(*taus: float, name: str = "tau", scores: dict[str, str] | None = None) -> None:
        trials = []
        for tau in taus:
            artefacts = {s: {kind: f"{kind}-{tau}-{s}" for kind in KINDS} for s in ("0", "1")}
            for seed in artefacts:
                artefacts[seed]["scores"] = (scores or {}).get(f"{tau}-{seed}", artefacts[seed]["scores"])
            about = {"task": "hopper-medium-v2", "method": "ailot", "source": "/data/hopper-medium.hdf5", "substituted": True}
            about |= {
                "data_digest": "a1b2c3d4" * 8,
                "settings": {"reward.tau": tau},
                "seeds": artefacts,
                "trial": f"trial-{tau}",
            }
            trials.append(about | {"config": {"reward.tau": tau, "iql.steps": 1000}})
        write_json(tmp_path / "store" / "sweeps" / name / "plan.json", {"sweep": name, "samples": None, "trials": trials})

    return write


def states(store: Path) -> dict[str, int]:
    return dict(Counter(run.state for run in Sources([store]).read().runs))


def by_name(store: Path) -> dict[tuple[Any, int | None], Trial]:
    return {(run.config.get("reward.tau"), run.seed): run for run in Sources([store]).read().runs}


def test_a_planned_run_waits_while_its_sweep_runs_and_is_interrupted_after_it(empty: Path, write_plan: WritePlan) -> None:
    write_plan(0.1, 0.5)
    with FileLock(empty / ".locks" / "sweep-tau.lock"):
        assert states(empty) == {"waiting": 4}
    assert states(empty) == {"interrupted": 4}


def test_a_run_is_at_the_stage_whose_lock_is_held(empty: Path, write_plan: WritePlan) -> None:
    write_plan(0.5)
    for name in ("intents-intents-0.5-0", "policies-policies-0.5-1"):
        (empty / ".work" / name).mkdir(parents=True)
    (empty / ".work" / "policies-policies-0.5-1" / "actor-00000400.safetensors").touch()
    with FileLock(empty / ".locks" / "sweep-tau.lock"):
        assert states(empty) == {"waiting": 2}  # work folders alone are what a killed process leaves
        with (
            FileLock(empty / ".locks" / "intents-intents-0.5-0.lock"),
            FileLock(empty / ".locks" / "policies-policies-0.5-1.lock"),
        ):
            runs = by_name(empty)
    assert (runs[0.5, 0].state, runs[0.5, 0].detail) == ("running", "pretraining intents")
    assert (runs[0.5, 1].state, runs[0.5, 1].detail) == ("running", "training, 40%")


def test_a_killed_process_is_noticed(empty: Path, write_plan: WritePlan) -> None:
    write_plan(0.5)
    (empty / ".work" / "policies-policies-0.5-0").mkdir(parents=True)
    sources = Sources([empty])
    with FileLock(empty / ".locks" / "policies-policies-0.5-0.lock"):
        assert "running" in {run.state for run in sources.read().runs}
    assert {run.state for run in sources.read().runs} == {"interrupted"}


def test_looking_takes_no_lock(empty: Path, write_plan: WritePlan) -> None:
    write_plan(0.5)
    (empty / ".work" / "policies-policies-0.5-0").mkdir(parents=True)
    Sources([empty]).read()
    assert not list((empty / ".locks").iterdir())
    with FileLock(empty / ".locks" / "policies-policies-0.5-0.lock", timeout=0):
        Sources([empty]).read()


def test_what_ended_otherwise_is_told_with_its_log(empty: Path, write_plan: WritePlan) -> None:
    write_plan(0.1, 0.5)
    log = empty / "ray" / "tune" / "tau" / "one"
    log.mkdir(parents=True)
    (log / "error.txt").write_text("\n".join(f"line {i}" for i in range(100)))
    ended = {"reason": "a loss is not finite", "log": "ray/tune/tau/one", "time": 1.0}
    write_json(empty / "sweeps" / "tau" / "ended" / "trial-0.1.json", ended | {"state": "failed"})
    write_json(empty / "sweeps" / "tau" / "ended" / "trial-0.5.json", ended | {"state": "stopped"})
    runs = by_name(empty)
    assert Counter(run.state for run in runs.values()) == {"failed": 2, "stopped": 2}
    failed = runs[0.1, 0]
    assert failed.detail == "a loss is not finite" and failed.log == log
    assert log_tail(failed, lines=3) == "line 97\nline 98\nline 99"
    assert log_tail(replace(failed, log=empty / "nowhere")) == log_tail(replace(failed, log=None)) == ""


def test_scores_make_a_planned_run_done(empty: Path, write_plan: WritePlan, write_trial: WriteTrial) -> None:
    folder = write_trial(seed=0, reward__tau=0.5)
    write_plan(0.5, scores={"0.5-0": read_json(folder / "manifest.json")["digest"][:12]})
    write_json(
        empty / "sweeps" / "tau" / "ended" / "trial-0.5.json", {"state": "failed", "reason": "seed 1", "log": "", "time": 1.0}
    )
    runs = by_name(empty)
    assert runs[0.5, 0].state == "done" and runs[0.5, 0].score == 50.0 and runs[0.5, 0].sweeps == ("tau",)
    assert runs[0.5, 1].state == "failed"
    assert len(runs) == 2


def test_reads_again_only_what_has_changed(store: Path, write_trial: WriteTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(folder: Path) -> Trial:
        read.append(folder)
        return read_trial(folder)

    monkeypatch.setattr("ailot_ray.report.page.sources.read_trial", counted)
    sources = Sources([store])
    first = sources.read()
    assert len(read) == len(first.runs) == 24
    assert sources.read() is first and len(read) == 24
    added = write_trial(seed=7)
    second = sources.read()
    assert read[24:] == [added] and len(second.runs) == 25 and second.version != first.version


def test_a_damaged_artefact_is_a_line_and_the_others_stay(store: Path) -> None:
    folder = sorted((store / "scores").iterdir())[0]
    (folder / "trial.json").write_text("{}")
    snapshot = Sources([store]).read()
    assert len(snapshot.runs) == 23
    (problem,) = snapshot.problems
    assert str(folder) in problem and "\n" not in problem


SHAPES = ("", "{", "{}", "[]", "null", "3", '"x"', "[[1]]", '{"trials": 5}', '{"trials": [3], "sweep": "a"}', '{"state": []}')


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("file", ["plan.json", "ended/trial-0.5.json"])
def test_a_sweeps_file_of_another_shape_is_named_and_left_out(
    store: Path, write_plan: WritePlan, tmp_path: Path, file: str, shape: str
) -> None:
    write_plan(0.5, name="tau")
    write_plan(0.7, name="whole")
    path = store / "sweeps" / "tau" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(shape)
    snapshot = Sources([store]).read()
    (problem,) = snapshot.problems
    assert str(path) in problem and "\n" not in problem
    assert len(snapshot.runs) == 24 + 2 + 2 * (file != "plan.json")
    write_shared(snapshot, tmp_path / "shared.html", [store])
    assert path.name in (tmp_path / "shared.html").read_text()


def test_links_do_not_lead_out_of_a_store(store: Path, empty: Path, tmp_path: Path) -> None:
    """Else the shared file and the page's addresses would give away whatever file a stranger's store names."""
    (tmp_path / "secret").mkdir()
    secret = tmp_path / "secret" / "error.txt"
    secret.write_text("secret")
    run = Sources([store]).read().runs[0]
    film = video_path(store, run.folder)
    film.parent.mkdir()
    film.symlink_to(secret)
    assert video_of(run) is None
    film.unlink()
    own = store / "own.mp4"
    own.write_bytes(b"film")
    film.symlink_to(own)
    assert video_of(run) == own
    assert video_of(replace(run, folder=Path("../../secret/error"))) is None
    for log in (secret.parent, store / ".." / "secret"):
        assert log_tail(replace(run, log=log)) == ""
    (store / "rewards" / "one").mkdir(parents=True)
    (store / "rewards" / "one" / MANIFEST).write_text("{}")
    assert rewards_folder(replace(run, artefacts={"rewards": "one"})) == store / "rewards" / "one"
    shutil.move(store / "rewards" / "one", tmp_path / "one")
    assert rewards_folder(replace(run, artefacts={"rewards": "../../one"})) is None
    (store / "out").symlink_to(secret.parent)
    assert log_tail(replace(run, log=store / "out")) == ""


def test_filters(store: Path) -> None:
    runs = Sources([store]).read().runs
    assert varying_paths(runs) == ["reward.tau"]
    assert values_of(runs, "reward.tau") == [0.1, 0.5]
    assert len(matching(runs, ["reward.tau=0.1"])) == 3
    assert len(matching(runs, ['method="otr"', 'method="bc"'])) == 9
    assert len(matching(runs, ['method="ailot"', 'task="walker2d-medium-v2"', "seed=1"])) == 1
    assert matching(runs, []) == list(runs)
    shown = dict(conditions(runs))
    assert shown["reward.tau = 0.1"] == "reward.tau=0.1" and shown["method = seabo"] == 'method="seabo"'
    for condition in shown.values():  # each of them tells some runs from others
        assert 0 < len(matching(runs, [condition])) < len(runs)
    assert value_of(runs[0], "no.such.path") is None


def test_folders(store: Path, tmp_path: Path) -> None:
    assert find_stores([store]) == [store]
    assert find_stores([tmp_path]) == [store]
    assert find_stores([tmp_path, store]) == [store]
    with pytest.raises(StoreError, match="is not there"):
        find_stores([tmp_path / "nowhere"])
    (tmp_path / "other").mkdir()
    with pytest.raises(StoreError, match="is no store and holds none"):
        find_stores([tmp_path / "other"])
    with pytest.raises(StoreError, match="is not there"):
        find_stores([store / "scores" / "nothing.json"])


def test_several_stores_are_one_page(store: Path, tmp_path: Path, write_plan: WritePlan) -> None:
    other = tmp_path / "other"
    (other / ".locks").mkdir(parents=True)
    (store / "sweeps").mkdir()
    write_plan(9.0)
    (store / "sweeps").rename(other / "sweeps")
    snapshot = Sources([store, other]).read()
    assert Counter(run.root for run in snapshot.runs) == {store: 24, other: 2}
    run = snapshot.runs[0]
    assert snapshot.find(run.short) is run and snapshot.find("nothing") is None
    assert json.dumps(sorted(snapshot.problems)) == "[]"
