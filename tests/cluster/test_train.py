"""Ray Train around the stages: seeds divided over workers, workers killed, a loss that is not finite."""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle
from ray.train import UserCallback

from ailot_ray.cluster import train
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.session import connected
from ailot_ray.cluster.train import RAY_FOLDER, fit_by_train, run_name
from ailot_ray.cluster.work import Job
from ailot_ray.config import Config
from ailot_ray.errors import AilotError
from ailot_ray.pipeline import evaluate
from ailot_ray.report.record import load_trials
from ailot_ray.store import read_journal

from .tiny import executed, opened, require_nothing_half_written, sealed, tiny

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_session")]
OPTIONS = ClusterOptions(workers=2, launcher="train")
SEEDS = (0, 1, 2)
_work = train._work
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]  # workers do not find the tests


def dying_work(settings: dict[str, Any]) -> None:
    """The worker's function, in a worker that notes where trainings start, and that kills itself once, in the middle of one."""
    fit = sys.modules["ailot_ray.pipeline.fit"]
    store = settings["assignment"].origin.store
    resume, save = fit._resume, fit.save_tensors

    def noted_resume(learner: Any, checkpoint: Path) -> Any:
        curve = resume(learner, checkpoint)
        with (store.parent / "starts").open("a") as notes:
            notes.write(f"{os.getpid()} {checkpoint.parent.parent.name} {learner.step}\n")
        return curve

    def save_and_die(path: Path, tensors: Any, about: str = "") -> None:
        save(path, tensors, about)
        curve = json.loads(about or "[]")
        if curve and curve[-1]["step"] == 750:
            try:
                (store.parent / "killed").touch(exist_ok=False)
            except FileExistsError:
                return
            (store.parent / "killed").write_text(path.parent.parent.name)
            os.kill(os.getpid(), signal.SIGKILL)

    fit._resume, fit.save_tensors, fit.CHECKPOINT_SECONDS = noted_resume, save_and_die, -1.0  # type: ignore[attr-defined]
    _work(settings)


class Reports(UserCallback):
    """Notes what the workers report."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        folder = Path(checkpoint.path)
        line = {"metrics": metrics, "checkpoint": folder.name, "files": sorted(path.name for path in folder.iterdir())}
        with self.file.open("a") as notes:
            notes.write(json.dumps(line) + "\n")


def longer(config: Config, **iql: Any) -> Config:
    return replace(config, iql=replace(config.iql, steps=1000, **iql))


def test_a_killed_worker_goes_on_from_its_checkpoint_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And two workers over three seeds, what they report, and a second call."""
    config, store = longer(tiny(tmp_path, method="iql")), tmp_path / "store"
    job = Job("evaluate", config, SEEDS)
    with connected(OPTIONS, store) as origin:
        with monkeypatch.context() as patched:
            patched.setattr(train, "_work", dying_work)
            fit_by_train(origin, job, OPTIONS, callbacks=[Reports(tmp_path / "reports")])
        assert (tmp_path / "killed").exists(), "nobody died"
        plain = opened(config, tmp_path / "plain")
        for seed in SEEDS:
            evaluate(plain, [seed])[0]
        assert sealed(store) == sealed(tmp_path / "plain")
        require_nothing_half_written(store)

        starts = [line.split() for line in (tmp_path / "starts").read_text().splitlines()]
        victim = (tmp_path / "killed").read_text()
        own = [int(step) for _, folder, step in starts if folder == victim]
        assert own == [0, 750], "the killed training did not go on from its checkpoint"
        assert len({pid for pid, _, _ in starts}) >= 3, "two workers, and those of the second group"
        per_process = {(entry["kind"], entry["digest"]) for entry in read_journal(store) if entry["event"] == "finished"}
        assert len(per_process) == sum(executed(store).values()), "an artefact was made twice"
        assert executed(store) == {"rewards": 1, "policies": 3, "scores": 3}

        reports = [json.loads(line) for line in (tmp_path / "reports").read_text().splitlines()]
        curves = {trial.seed: trial.curve() for trial in load_trials(store)}
        for report, step in zip(reports[-2:], (500, 1000), strict=True):
            assert [worker["step"] for worker in report["metrics"]] == [step, step]
            values = {int(seed): value for worker in report["metrics"] for seed, value in worker["values"].items()}
            assert values == {seed: pytest.approx(curves[seed][step]) for seed in SEEDS}
            assert report["checkpoint"] == f"step-{step:08d}"
            assert report["files"][-3:] == [f"seed-{seed}.safetensors" for seed in SEEDS]
        assert (store / RAY_FOLDER / "train" / run_name(job)).is_dir()

        before = executed(store, "began")
        fit_by_train(origin, job, OPTIONS)
        assert executed(store, "began") == before, "the second call made something anew"


def test_a_loss_that_is_not_finite_stops_at_once_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, store = longer(tiny(tmp_path, method="iql"), learning_rate=1e30), tmp_path / "store"
    with connected(OPTIONS, store) as origin, monkeypatch.context() as patched:
        patched.setattr(train, "_work", dying_work)
        with pytest.raises(
            AilotError, match=r"iql hopper-medium-v2 seeds \[\d\]: .* is nan at step 250: lower the learn"
        ) as error:
            fit_by_train(origin, Job("evaluate", config, (0,)), OPTIONS)
    assert "\n" not in str(error.value)
    starts = [line.split()[1] for line in (tmp_path / "starts").read_text().splitlines()]
    assert len(starts) == len(set(starts)) > 0, "the same training was tried again"
    assert not list(store.glob("policies/*"))
    require_nothing_half_written(store)


@pytest.mark.slow
def test_a_worker_that_always_dies_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that is out of memory: the kernel's SIGKILL, each time again."""
    config, store = longer(tiny(tmp_path, method="iql")), tmp_path / "store"
    with connected(OPTIONS, store) as origin, monkeypatch.context() as patched:
        patched.setattr(train, "_work", always_dying_work)
        with pytest.raises(AilotError, match=r"a Ray worker failed \(.*run the same command again, it goes on") as error:
            fit_by_train(origin, Job("evaluate", config, (0,)), replace(OPTIONS, retries=1))
    assert "\n" not in str(error.value)
    assert len((tmp_path / "starts").read_text().splitlines()) == 2, "one retry was asked for"


def always_dying_work(settings: dict[str, Any]) -> None:
    with (settings["assignment"].origin.store.parent / "starts").open("a") as notes:
        notes.write(f"{os.getpid()}\n")
    os.kill(os.getpid(), signal.SIGKILL)
