"""What a worker does and tells, without Ray."""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailot_ray.cluster.train import run_name
from ailot_ray.cluster.work import Job, Point, SeedBarrier, copy_files, run_job
from ailot_ray.pipeline import evaluate, fit, pretrain, train
from ailot_ray.report.record import load_trials
from ailot_ray.stages import Verb
from ailot_ray.store import Store, read_json

from .tiny import executed, opened, sealed, tiny

STEPS = st.lists(st.integers(0, 1000), min_size=1, max_size=5, unique=True).map(sorted)


@given(steps=STEPS, seeds=st.integers(1, 4), data=st.data())
def test_each_step_is_told_once_and_in_order_however_seeds_advance(steps: list[int], seeds: int, data: Any) -> None:
    """Seeds interleave at will; each may be killed after some steps, more than once, and records from the first again."""
    streams = []
    for seed in range(seeds):
        killed = data.draw(st.lists(st.integers(0, len(steps)), max_size=2), label=f"seed {seed} is killed after")
        streams.append([(seed, step) for count in (*killed, len(steps)) for step in steps[:count]])
    order = data.draw(st.permutations([seed for seed, stream in enumerate(streams) for _ in stream]), label="order")
    told: list[Point] = []
    gathered = SeedBarrier(range(seeds), told.append)
    heard: dict[int, set[int]] = {step: set() for step in steps}
    remaining = [iter(stream) for stream in streams]
    for seed in order:
        _, step = next(remaining[seed])
        gathered.record(seed, step, value=1000 * seed + step, file=Path(f"{seed}-{step}"))
        heard[step].add(seed)
        complete = [step for step in steps if len(heard[step]) == seeds]
        assert {point.step for point in told} <= set(complete), "told before every seed was there"
    assert [point.step for point in told] == steps
    for point in told:
        assert point.values == {seed: 1000 * seed + point.step for seed in range(seeds)}
        assert point.files == {seed: Path(f"{seed}-{point.step}") for seed in range(seeds)}
    assert not gathered.values and not gathered.files, "something is kept that nobody will hear of"


@given(steps=STEPS, seeds=st.integers(2, 5), workers=st.integers(1, 3), data=st.data())
def test_all_workers_tell_the_same_steps(steps: list[int], seeds: int, workers: int, data: Any) -> None:
    """Ray Train's reports are a barrier: a worker that reports another number of times would stop its group for ever."""
    told: dict[int, list[int]] = {}
    for rank in range(min(workers, seeds)):
        mine = list(range(seeds))[rank::workers]
        points: list[Point] = []
        gathered = SeedBarrier(mine, points.append)
        for seed in data.draw(st.permutations(mine)):
            for step in steps[: data.draw(st.integers(0, len(steps)))] + steps:
                gathered.record(seed, step, 0.0)
        told[rank] = [point.step for point in points]
    assert set(map(tuple, told.values())) == {tuple(steps)}


def test_a_point_sums_up_its_seeds() -> None:
    point = Point(5, {0: 1.0, 1: 4.0, 7: 7.0})
    assert point.mean == 4.0 and point.spread == 3.0
    assert Point(5, {0: 2.0}).spread == 0.0


def test_a_jobs_name_tells_what_it_does(tmp_path: Path) -> None:
    assert Job("train", tiny(tmp_path, method="otr"), (0, 12)).name == "train-otr-hopper-medium-v2-seeds-0-12"
    long = Job("train", replace(tiny(tmp_path, method="otr"), task="äöü€" * 80), tuple(range(100)))
    assert len(f"{run_name(long)}/".encode()) < 255 and run_name(long) != run_name(replace(long, seeds=(*long.seeds, 100)))


@pytest.mark.parametrize("method", ["ailot", "otr", "bc"])
def test_it_ends_in_the_bytes_of_the_plain_stages(method: str, tmp_path: Path) -> None:
    config, seeds = tiny(tmp_path, method=method), (0, 2)
    told: list[Point] = []
    run_job(opened(config, tmp_path / "worker"), Job("evaluate", config, seeds), told.append)
    plain = opened(config, tmp_path / "plain")
    for seed in seeds:
        evaluate(plain, [seed])[0]
    assert sealed(tmp_path / "worker") == sealed(tmp_path / "plain") != {}

    trials = load_trials(tmp_path / "plain")
    assert [point.step for point in told] == [4, 8]
    for trial in trials:
        assert [point.values[trial.seed or 0] for point in told] == pytest.approx(list(trial.curve().values()))
    assert all(point.files.keys() == {0, 2} for point in told)

    again: list[Point] = []
    before = executed(tmp_path / "worker")
    run_job(opened(config, tmp_path / "worker"), Job("evaluate", config, seeds), again.append)
    assert executed(tmp_path / "worker") == before
    expected: list[Any] = [(point.step, pytest.approx(point.values)) for point in told]
    assert [(point.step, point.values) for point in again] == expected


def test_the_last_step_is_told_when_all_is_sealed(tmp_path: Path) -> None:
    """Who hears of it may stop the process (a scheduler does), and must not stop what the trial was for."""
    config = tiny(tmp_path, method="bc")
    sealed_then: dict[int, int] = {}

    def tell(point: Point) -> None:
        sealed_then[point.step] = len(load_trials(tmp_path / "store"))
        assert all(file.exists() for file in point.files.values())

    run_job(opened(config, tmp_path / "store"), Job("evaluate", config, (0, 1)), tell)
    assert sealed_then == {4: 1, 8: 2}


def test_without_a_learning_curve_only_the_end_is_told(tmp_path: Path) -> None:
    config = tiny(tmp_path, method="bc")
    config = replace(config, evaluation=replace(config.evaluation, curve_episodes=0))
    told: list[Point] = []
    run_job(opened(config, tmp_path / "store"), Job("evaluate", config, (0,)), told.append)
    assert [point.step for point in told] == [8]


def test_learning_tells_nothing(tmp_path: Path) -> None:
    config = tiny(tmp_path, method="bc")
    told: list[Point] = []
    run_job(opened(config, tmp_path / "worker"), Job("train", config, (0, 1)), told.append)
    train(opened(config, tmp_path / "plain"), [0, 1])
    assert told == [] and sealed(tmp_path / "worker") == sealed(tmp_path / "plain") != {}


def test_a_pretraining_tells_its_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "CHUNK", 1)
    monkeypatch.setattr(fit, "CURVE_POINTS", 40)
    config = tiny(tmp_path)
    config = replace(config, icvf=replace(config.icvf, steps=40))
    told: list[Point] = []
    run_job(opened(config, tmp_path / "worker"), Job("pretrain", config, (0, 1)), told.append)
    plain = pretrain(opened(config, tmp_path / "plain"), [0, 1])
    assert sealed(tmp_path / "worker") == sealed(tmp_path / "plain") != {}
    assert [point.step for point in told] == [4 * i for i in range(1, 11)], "ten reports, not one a step"
    curves = [{point["step"]: point["loss"] for point in read_json(artefact.path("curve.json"))} for artefact in plain]
    for point in told:
        assert point.values == {seed: pytest.approx(curves[seed][point.step]) for seed in (0, 1)}
        assert point.mean == pytest.approx(np.mean([curve[point.step] for curve in curves]))
    again: list[Point] = []
    run_job(opened(config, tmp_path / "worker"), Job("pretrain", config, (0, 1)), again.append)
    assert [point.step for point in again] == [point.step for point in told]


class Killed(BaseException):
    """Stands for SIGKILL inside this process."""


@pytest.mark.parametrize("stage", ["pretrain", "evaluate"])
def test_a_resumed_worker_tells_every_step_again(stage: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "CHUNK", 2)
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", -1.0)
    config = tiny(tmp_path, method="ailot" if stage == "pretrain" else "bc")
    config = replace(config, iql=replace(config.iql, snapshots=4))
    job = Job(stage, config, (0, 1))
    undisturbed: list[Point] = []
    run_job(opened(config, tmp_path / "undisturbed"), job, undisturbed.append)
    assert len(undisturbed) == (3 if stage == "pretrain" else 4)
    save = fit.save_tensors
    for last in itertools.count(1):
        store, saves = tmp_path / f"killed-{last}", itertools.count(1)

        def dying(*arguments: Any, saves: Iterator[int] = saves, last: int = last) -> None:
            save(*arguments)
            if next(saves) == last:
                raise Killed

        with monkeypatch.context() as patched:
            for name in ("fit", "train", "pretrain"):
                patched.setattr(sys.modules[f"ailot_ray.pipeline.{name}"], "save_tensors", dying)
            try:
                run_job(opened(config, store), job, lambda point: None)
                break
            except Killed:
                pass
        told: list[Point] = []
        run_job(opened(config, store), job, told.append)
        expected: list[Any] = [(point.step, pytest.approx(point.values)) for point in undisturbed]
        assert [(point.step, point.values) for point in told] == expected, f"killed at write {last}"
        assert sealed(store) == sealed(tmp_path / "undisturbed")
    assert last == (7 if stage == "pretrain" else 15)  # checkpoints, and results or snapshots, of two seeds


def test_snapshots_are_copied_by_seed(tmp_path: Path) -> None:
    for seed in (0, 3):
        (tmp_path / f"file-{seed}.safetensors").write_text(f"policy {seed}")
    (tmp_path / "copies").mkdir()
    files = {seed: tmp_path / f"file-{seed}.safetensors" for seed in (0, 3)}
    copy_files(Point(1, {0: 0.0, 3: 0.0}, files), tmp_path / "copies")
    copies = {path.name: path.read_text() for path in (tmp_path / "copies").iterdir()}
    assert copies == {"seed-0.safetensors": "policy 0", "seed-3.safetensors": "policy 3"}


def test_what_a_stage_raises_is_raised(tmp_path: Path) -> None:
    config = tiny(tmp_path)
    broken = replace(config, icvf=replace(config.icvf, learning_rate=1e30))
    with pytest.raises(fit.DivergenceError, match=r"intents hopper-medium-v2 seeds \[1\]: .* of member 0 is .* at step"):
        run_job(opened(broken, tmp_path / "store"), Job("pretrain", broken, (1, 2)), lambda point: None)
    assert not list(Store(tmp_path / "store").root.glob("intents/*"))
