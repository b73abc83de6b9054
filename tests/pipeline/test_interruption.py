"""A run may be killed at any moment: nothing half made counts as made, and the same call goes on to the same bytes."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from ailot_ray import store
from ailot_ray.__main__ import main
from ailot_ray.config import EvaluationConfig
from ailot_ray.errors import StoreError
from ailot_ray.files import sha256_of
from ailot_ray.method.iql import IQL
from ailot_ray.pipeline import Experiment, align, evaluate, fit, relabel, train
from ailot_ray.store import MANIFEST, RUN, Artefact

from .conftest import TINY, OpenExperiment

DRIVER = """
import sys
import ailot_ray.pipeline.fit as fit
from ailot_ray.__main__ import main
fit.CHECKPOINT_SECONDS = 0.0
sys.exit(main())
"""


class Killed(BaseException):
    """Stands for SIGKILL inside this process."""


def checksums(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != RUN and path.parent.name != ".journal")
    return {str(path.relative_to(folder)): sha256_of(path) for path in files}


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 2 steps, a checkpoint after each, parts of 5 trajectories."""
    monkeypatch.setattr(fit, "CHUNK", 2)
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(sys.modules["ailot_ray.pipeline.align"], "SHARD", 5)


def test_a_killed_command_goes_on_where_it_was(hopper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    arguments = ["train", "--task", "hopper-medium-v2", "--data", str(hopper), "--device", "cpu", "--method", "iql"]
    arguments += ["--iql.steps", "2000", "--iql.width", "32", "--iql.batch-size", "32", "--iql.snapshots", "3"]
    killed = tmp_path / "killed"
    work, finished = killed / ".work", killed / "policies"
    command = [sys.executable, str(driver), *arguments, "--store", str(killed)]
    for delay in (0.1, 0.25):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
        _await_checkpoint(work, process)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run ended before it was killed: make it longer"
        assert not list(finished.glob("*")), "an artefact before the end"

    taken: Counter[str] = Counter()
    monkeypatch.setattr(IQL, "advance", _counted(IQL.advance, taken))
    assert main([*arguments, "--store", str(killed)]) == 0
    assert 0 < taken["steps"] < 2000, "it started over"
    assert main([*arguments, "--store", str(tmp_path / "undisturbed")]) == 0
    (resumed,), (expected,) = finished.iterdir(), (tmp_path / "undisturbed" / "policies").iterdir()
    assert checksums(resumed) == checksums(expected)
    assert len(checksums(resumed)) == 6  # three snapshots, the curve, the final weights, the manifest
    assert not list(work.iterdir())


def _await_checkpoint(work: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the process has written a checkpoint of its own."""

    def written() -> list[int]:
        return [path.stat().st_mtime_ns for path in work.glob("*/checkpoints/learner.safetensors")]

    before, deadline = written(), time.monotonic() + 120
    while written() == before:
        assert time.monotonic() < deadline and process.poll() is None, "no checkpoint appeared"
        time.sleep(0.005)


def _counted(advance: Any, taken: Counter[str]) -> Any:
    def counted(self: IQL, steps: int) -> dict[str, Tensor]:
        taken["steps"] += steps
        result: dict[str, Tensor] = advance(self, steps)
        return result

    return counted


@pytest.mark.usefixtures("small_chunks")
def test_killed_before_any_write_it_ends_in_the_same_bytes(
    open_experiment: OpenExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file and every folder gets its name by Path.replace: die at the first of them, at the second, and so on."""

    def trial(name: str) -> Experiment:
        few = {"icvf": replace(TINY["icvf"], steps=4), "iql": replace(TINY["iql"], steps=4)}
        experiment = open_experiment(store=name, evaluation=EvaluationConfig(episodes=1, curve_episodes=0), **few)
        evaluate(experiment, [0])[0]
        return experiment

    expected = checksums(trial("undisturbed").store.root)
    assert len([name for name in expected if name.endswith(MANIFEST)]) == 5
    kinds_at_death = set()
    for last in itertools.count(1):
        with monkeypatch.context() as patched:
            _die_at(patched, last)
            try:
                trial(f"killed-{last}")
                break
            except Killed:
                pass
        root = open_experiment(store=f"killed-{last}").store.root
        complete = {manifest.parent for manifest in root.glob(f"[a-z]*/*/{MANIFEST}")}  # what is being made is in .work
        assert set(root.glob("[a-z]*/*")) == complete, "a folder without a manifest"
        kinds_at_death.add(len(complete))
        assert checksums(trial(f"killed-{last}").store.root) == expected, f"killed at write {last}"
    assert kinds_at_death == {0, 1, 2, 3, 4} and last > 20


def _die_at(patched: pytest.MonkeyPatch, last: int) -> None:
    """Let the process die at the `last`-th renaming; what a dead process would leave behind stays."""
    replace_, unlink, count = Path.replace, Path.unlink, itertools.count(1)
    dead = False

    def dying(path: Path, target: Path) -> Path:
        nonlocal dead
        if dead or next(count) == last:
            dead = True
            raise Killed
        return replace_(path, target)

    patched.setattr(Path, "replace", dying)
    patched.setattr(Path, "unlink", lambda path, missing_ok=False: None if dead else unlink(path, missing_ok))


@pytest.mark.usefixtures("small_chunks")
def test_an_alignment_keeps_the_parts_it_has(
    open_experiment: OpenExperiment, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = align(open_experiment("otr", store="undisturbed"), [0])[0]
    assert calls["align_pair"] == 12
    module = sys.modules["ailot_ray.pipeline.align"]
    solve, solved = module.align_pair, itertools.count(1)

    def dying(*arguments: Any) -> Any:
        if next(solved) == 8:
            raise Killed
        return solve(*arguments)

    experiment = open_experiment("otr")
    with monkeypatch.context() as patched:
        patched.setattr(module, "align_pair", dying)
        with pytest.raises(Killed):
            align(experiment, [0])[0]
    assert not list(experiment.store.root.glob("alignment/*"))
    calls.clear()
    resumed = align(experiment, [0])[0]
    assert calls["align_pair"] == 7, "the part of five trajectories that was there is solved again"
    assert checksums(resumed.folder) == checksums(whole.folder)


@pytest.mark.usefixtures("small_chunks")
def test_where_the_disk_is_full_at_the_end_the_training_is_not_lost(
    open_experiment: OpenExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json = store.write_json

    def full(path: Path, value: Any) -> None:
        if path.name == MANIFEST:
            raise StoreError(f"cannot write {path} (No space left on device): free some space")
        write_json(path, value)

    taken: Counter[str] = Counter()
    monkeypatch.setattr(IQL, "advance", _counted(IQL.advance, taken))
    experiment = open_experiment("iql")
    relabel(experiment, [0])[0]
    with monkeypatch.context() as patched, pytest.raises(StoreError):
        patched.setattr(store, "write_json", full)
        train(experiment, [0])
    assert taken["steps"] == 8
    train(experiment, [0])
    assert taken["steps"] == 10  # from the checkpoint at step 6


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("method", ["iql", "bc"])
def test_seeds_that_were_ready_stay_ready(method: Any, open_experiment: OpenExperiment, calls: Counter[str]) -> None:
    experiment = open_experiment(method)
    train(experiment, [1])
    calls.clear()
    artefacts: list[Artefact] = train(experiment, [0, 1, 2])
    assert calls["fit"] == 2 and len({artefact.digest for artefact in artefacts}) == 3


def test_a_snapshot_that_was_damaged_on_the_way_is_not_sealed(open_experiment: OpenExperiment) -> None:
    def damage(seeds: Any, step: int, paths: Any) -> None:
        if step == 4:
            content = bytearray(paths[0].read_bytes())
            content[-1] ^= 1
            paths[0].write_bytes(content)

    experiment = open_experiment("bc")
    with pytest.raises(StoreError, match=r"actor-0*4\.safetensors is damaged"):
        train(experiment, [0], on_snapshot=damage)
    assert not list(experiment.store.root.glob("policies/*"))
