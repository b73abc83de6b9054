"""Sweeps under Ray Tune: what is shared runs once, what fails stands in the result, and a second run does nothing."""

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.conftest import HOPPER_TASK, Ended
from cli.conftest import TINY as TINY_FLAGS
from ray import cloudpickle, tune

from ailot_ray.__main__ import main
from ailot_ray.cluster import tuning
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.planning import trial_digest
from ailot_ray.cluster.sweep import Range, Sweep
from ailot_ray.cluster.trackers import trial_name
from ailot_ray.cluster.train import RAY_FOLDER
from ailot_ray.cluster.tuning import run_sweep
from ailot_ray.config import EvaluationConfig
from ailot_ray.pipeline import evaluate
from ailot_ray.progress import silence
from ailot_ray.report.record import load_trials
from ailot_ray.store import read_json

from .tiny import executed, opened, require_nothing_half_written, sealed, tiny, tiny_sweep

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_session")]
INLINE = ClusterOptions(workers=2, launcher="inline", retries=1)
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]  # workers do not find the tests


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    silence()
    yield
    silence(False)


def reports(store: Path, sweep: Sweep, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """What Tune was told of one trial."""
    folder = store / RAY_FOLDER / "tune" / sweep.name / trial_name(sweep, settings)
    return [json.loads(line) for line in (folder / "result.json").read_text().splitlines()]


def means(sweep: Sweep, settings: dict[str, Any], store: Path) -> dict[int, float]:
    """The mean over seeds of each snapshot of one trial, from its score artefacts."""
    experiment = opened(sweep.config(settings), store)
    digests = {evaluate(experiment, [seed])[0].digest for seed in sweep.seeds}
    curves = [trial.curve() for trial in load_trials(store) if trial.digest in digests]
    assert len(curves) == len(sweep.seeds)
    return {step: float(np.mean([curve[step] for curve in curves])) for step in curves[0]}


def test_shared_stages_run_once_and_a_second_run_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = tiny_sweep(tmp_path, grid={"reward.tau": (0.1, 2.0), "transport.k": (0, 2)})
    store, distinct = tmp_path / "store", {"intents": 2, "alignment": 4, "rewards": 8, "policies": 8, "scores": 8}
    result = run_sweep(sweep, store, INLINE)
    assert not result.failures and not result.stopped and len(result.settings) == 4
    assert executed(store) == executed(store, "began") == distinct
    assert result.scores == {trial.digest for trial in load_trials(store)} and len(result.scores) == 8
    require_nothing_half_written(store)
    for settings in (sweep.settings()[0], sweep.settings()[-1]):
        told = reports(store, sweep, settings)
        assert {line["step"]: line["score"] for line in told} == pytest.approx(means(sweep, settings, store))
        assert list((store / RAY_FOLDER / "tune" / "tiny" / trial_name(sweep, settings)).glob("events.out.tfevents.*"))

    def started(*arguments: Any) -> Any:
        raise AssertionError("Ray is not needed")

    before = sealed(store)
    monkeypatch.setattr(tuning, "connected", started)
    again = run_sweep(sweep, store, INLINE)
    assert (again.scores, again.settings, sealed(store)) == (result.scores, result.settings, before)
    assert executed(store, "began") == distinct


def test_a_trial_that_fails_stands_beside_the_others(tmp_path: Path) -> None:
    sweep = tiny_sweep(tmp_path, grid={"iql.learning_rate": (3e-4, 1e30)}, seeds=(0,))
    result = run_sweep(sweep, tmp_path / "store", INLINE)
    (failure,) = result.failures
    assert failure.settings == {"iql.learning_rate": 1e30} and "lower the learning rate" in failure.reason
    assert failure.log.is_dir() and (failure.log / "result.json").exists()
    assert {trial.config["iql.learning_rate"] for trial in load_trials(tmp_path / "store")} == {3e-4}
    assert executed(tmp_path / "store", "began")["policies"] == 2, "a loss that is not finite is not tried again"
    last = reports(tmp_path / "store", sweep, {"iql.learning_rate": 1e30})[-1]
    assert math.isnan(last["score"]) and not last["complete"]
    # told as a file as well, by the name that the plan has for it
    plan = read_json(tmp_path / "store" / "sweeps" / "tiny" / "plan.json")
    (name,) = [entry["trial"] for entry in plan["trials"] if entry["settings"] == failure.settings]
    (told,) = (tmp_path / "store" / "sweeps" / "tiny" / "ended").iterdir()
    ended = read_json(told)
    assert (told.stem, ended["state"]) == (name, "failed") and "lower the learning rate" in ended["reason"]
    assert tmp_path / "store" / ended["log"] == failure.log


def test_worker_groups_hand_tune_the_mean_over_all_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    sweep = tiny_sweep(tmp_path, name="grouped", grid={"reward.tau": (0.5,)})
    store, settings = tmp_path / "store", {"reward.tau": 0.5}
    result = run_sweep(sweep, store, replace(INLINE, launcher="train"), wandb="offline")
    assert not result.failures and len(result.scores) == 2
    told = reports(store, sweep, settings)
    assert {line["step"]: line["score"] for line in told} == pytest.approx(means(sweep, settings, store))
    assert [line["complete"] for line in told] == [False, True]
    (run,) = (store / "wandb" / "wandb").glob("offline-run-*/run-*.wandb")
    assert run.stem == f"run-{trial_digest(sweep, settings)}"
    plain = tmp_path / "plain"
    for seed in sweep.seeds:
        evaluate(opened(sweep.config(settings), plain), [seed])[0]
    assert sealed(plain) == sealed(store)


def test_a_search_draws_as_many_trials_as_asked(tmp_path: Path) -> None:
    space = {"reward.alpha": Range(0.5, 20.0, log=True), "reward.tau": Range(0.1, 2.0), "transport.k": Range(0, 3, whole=True)}
    sweep = Sweep("search", tiny(tmp_path), space=space, seeds=(0,), samples=2)
    result = run_sweep(sweep, tmp_path / "store", INLINE)
    assert len(result.settings) == len(result.scores) == 2 and not result.failures
    assert executed(tmp_path / "store")["intents"] == 1
    plan = read_json(tmp_path / "store" / "sweeps" / "search" / "plan.json")
    assert plan["samples"] == 2
    assert sorted(map(str, result.settings)) == sorted(str(entry["settings"]) for entry in plan["trials"])
    assert {entry["seeds"]["0"]["scores"] for entry in plan["trials"]} == {digest[:12] for digest in result.scores}
    for settings in result.settings:
        assert set(settings) == set(space)
        assert 0.5 <= settings["reward.alpha"] <= 20 and 0.1 <= settings["reward.tau"] <= 2
        assert settings["transport.k"] in (0, 1, 2, 3) and isinstance(settings["transport.k"], int)


def pretended(params: dict[str, Any], **_: Any) -> None:
    """A trial that learns nothing and scores as high as its τ."""
    for step in range(1, 11):
        tune.report({"step": step, "score": params["settings"]["reward.tau"] * step, "spread": 0.0, "complete": step == 10})


def test_asha_stops_what_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(tmp_path, iql=replace(tiny(tmp_path).iql, steps=10, snapshots=10), evaluation=EvaluationConfig(episodes=1))
    taus = (8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0)
    sweep = Sweep("asha", config, grid={"reward.tau": taus}, seeds=(0,), scheduler="asha")
    monkeypatch.setattr(tuning, "_trial", pretended)
    monkeypatch.setattr(tuning, "prepare", lambda *arguments, **named: None)
    result = run_sweep(sweep, tmp_path / "store", INLINE)
    stopped = [settings["reward.tau"] for settings in result.stopped]
    assert stopped and 8.0 not in stopped and 1.0 in stopped
    assert len(result.settings) == 8 and not result.failures
    told = [read_json(path) for path in (tmp_path / "store" / "sweeps" / "asha" / "ended").iterdir()]
    assert len(told) == len(stopped) and {ended["state"] for ended in told} == {"stopped"}


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return Ended(status, printed.out, printed.err)


@pytest.mark.slow
def test_two_workers_end_in_the_results_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    data = tiny(tmp_path).data
    for workers in (2, 1):
        flags = [*HOPPER_TASK, "--data", data, "--store", tmp_path / f"store-{workers}", *TINY_FLAGS[:-1], workers]
        ended = command(capsys, "run", *flags, "--methods", "ailot", "bc", "--seeds", 0, 1, "--json")
        assert ended.status == 0, ended.err
        results.append(ended.json["rows"])
    assert results[0] == results[1]
    assert sealed(tmp_path / "store-1") == sealed(tmp_path / "store-2")


def test_a_method_that_fails_is_named_and_the_others_are_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    flags = [*HOPPER_TASK, "--data", tiny(tmp_path).data, "--store", store, *TINY_FLAGS[:-1], 2]
    ended = command(capsys, "run", *flags, "--methods", "ailot", "bc", "--icvf.learning-rate", "1e30", "--launcher", "inline")
    assert ended.status == 1
    last = ended.err.splitlines()[-1]
    assert re.search(r"^ailot_ray: evaluate ailot hopper-medium-v2: intents .* lower the learning rate", last), ended.err
    assert [trial.method for trial in load_trials(store)] == ["bc"]
    require_nothing_half_written(store)
