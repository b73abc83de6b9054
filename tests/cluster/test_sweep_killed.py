"""A sweep as a program: interrupted, its driver, its trials' workers, a node killed. The end is that of an undisturbed one."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from ailot_ray.config import with_settings
from ailot_ray.pipeline import evaluate
from ailot_ray.store import read_journal

from .programs import Program
from .relabelling import wait_for
from .tiny import opened, require_nothing_half_written, sealed, table, tiny

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
TAUS, SEEDS = (0.1, 0.25, 0.5, 1.0, 2.0), (0, 1)
FLAGS = (
    *("--icvf.steps", "1000", "--icvf.batch-size", "16", "--icvf.width", "16"),
    *("--iql.steps", "3000", "--iql.batch-size", "16", "--iql.width", "16", "--iql.snapshots", "3"),
    *("--evaluation.episodes", "2", "--evaluation.curve-episodes", "1", "--device", "cpu"),
)
SETTINGS = {
    **{"icvf.steps": 1000, "icvf.batch_size": 16, "icvf.width": 16},
    **{"iql.steps": 3000, "iql.batch_size": 16, "iql.width": 16, "iql.snapshots": 3},
    **{"evaluation.episodes": 2, "evaluation.curve_episodes": 1},
}
TWO = ("--workers", "2")
LOSING_A_NODE = Path(__file__).with_name("losing_a_node.py")


def sweep(folder: Path, store: Path, *more: str, before: Sequence[str] = ()) -> Program:
    """experiments/sweep_tau.py on the tiny data."""
    arguments = ["--task", "hopper-medium-v2", "--data", str(tiny(folder).data), "--seeds", "0", "1", *FLAGS, *more]
    return Program([*before, str(ROOT / "experiments" / "sweep_tau.py"), *arguments, "--store", str(store)], 400.0, 30.0)


def counted(store: Path, event: str, kinds: Sequence[str] = ("intents", "policies", "scores")) -> Counter[str]:
    """How often each artefact was begun or finished."""
    return Counter(entry["digest"] for entry in read_journal(store) if entry["event"] == event and entry["kind"] in kinds)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the sweep by the plain stages, without Ray; the data lie beside it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    base = with_settings(tiny(folder), SETTINGS)
    for tau in TAUS:
        experiment = opened(with_settings(base, {"reward.tau": tau}), folder / "store")
        for seed in SEEDS:
            evaluate(experiment, [seed])[0]
    return folder / "store"


def require_the_end_of(store: Path, undisturbed: Path) -> None:
    assert sealed(store) == sealed(undisturbed)
    assert table(store) == table(undisturbed)
    require_nothing_half_written(store)
    assert not list((store / ".work").iterdir())


def test_interrupted_then_killed_then_finished(tmp_path: Path, undisturbed: Path) -> None:
    store = tmp_path / "store"
    lost: Counter[str] = Counter()
    for kind, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        program, before = sweep(undisturbed.parent, store, *TWO), counted(store, "finished", ["scores"]).total()
        wait_for(lambda before=before: counted(store, "finished", ["scores"]).total() > before, "another trial's seed")  # type: ignore[misc]
        assert program.process.poll() is None
        if kind == signal.SIGINT:
            os.killpg(program.process.pid, kind)  # as a terminal does
        else:
            os.kill(program.process.pid, kind)
        _, errors = program.end(status)
        if kind == signal.SIGINT:
            assert errors.splitlines()[-1] == "ailot_ray: interrupted; the same command goes on where this one stopped"
        require_nothing_half_written(store)
        ready = set(counted(store, "finished"))
        began = counted(store, "began")
        assert 0 < len(ready) < 22, "it was not stopped in the middle"
        assert all(began[digest] - lost[digest] <= 1 for digest in ready)
        lost = began
    _, errors = sweep(undisturbed.parent, store, *TWO).end(0)
    finally_begun = counted(store, "began")
    assert all(finally_begun[digest] == lost[digest] for digest in ready), "a finished stage was begun again"
    assert max(finally_begun.values()) <= 3 and (finally_begun.total() - len(finally_begun)) <= 2 * 2
    require_the_end_of(store, undisturbed)
    started = len(list((store / ".journal").iterdir()))
    output, _ = sweep(undisturbed.parent, store, *TWO).end(0)
    assert "reward.tau=0.25" in output and len(list((store / ".journal").iterdir())) == started


def test_workers_of_trials_are_killed(tmp_path: Path, undisturbed: Path) -> None:
    """Each of three gets SIGKILL while it trains; Tune starts the trials again, and they go on."""
    store, killed = tmp_path / "store", set[int]()
    program = sweep(undisturbed.parent, store, *TWO, "--launcher", "inline")
    while len(killed) < 3:
        training = {
            int(path.stem.rpartition("-")[2])
            for path in (store / ".journal").glob("*.jsonl")
            if path.read_text().splitlines()[-1].find('"policies"') > 0 and '"began"' in path.read_text().splitlines()[-1]
        }
        for pid in training - killed:
            if pid in program.processes() and len(killed) < 3:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        assert program.process.poll() is None, "it ended before three were killed"
        time.sleep(0.3)
    program.end(0)
    require_the_end_of(store, undisturbed)
    assert counted(store, "began", ["policies"]).total() <= len(TAUS) * len(SEEDS) + len(killed)


def test_a_node_is_lost(tmp_path: Path, undisturbed: Path) -> None:
    """One of three nodes dies with the trial that it runs; the others take it over from its checkpoint."""
    store = tmp_path / "store"
    program = sweep(undisturbed.parent, store, "--launcher", "inline", before=(str(LOSING_A_NODE), "sweep", str(store)))
    output, _ = program.end(0)
    lost = next(json.loads(line) for line in output.splitlines() if line.startswith('{"pid"'))
    require_the_end_of(store, undisturbed)
    began = counted(store, "began")
    assert began[lost["digest"]] == 2, "what was in flight on the lost node is begun once more"
    assert began.total() == len(began) + 1, "and nothing else is"
    (journal,) = (store / ".journal").glob(f"*-{lost['pid']}.jsonl")
    assert json.loads(journal.read_text().splitlines()[-1])["time"] < lost["time"] + 3.0, "its worker lived on"
