"""What a sweep tells of itself as files, and that the results page reads them so. Starts no Ray."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ailot_ray.cluster.announce import SweepStatusCallback, publishing_status
from ailot_ray.cluster.planning import plan
from ailot_ray.cluster.sweep import Range, Sweep
from ailot_ray.config import IQLConfig
from ailot_ray.pipeline import evaluate
from ailot_ray.report.page.sources import Sources
from ailot_ray.store import read_json

from .tiny import opened, tiny, tiny_sweep


def ran(sweep: Sweep, number: int, folder: Path, error: str = "", **told: Any) -> Any:
    """A trial of Tune's, as far as the announcer looks at it."""
    config, failed = {"settings": sweep.settings()[number]}, (lambda: error or None)
    return SimpleNamespace(trial_id=str(number), config=config, last_result=told, path=str(folder), get_error=failed)


def states(store: Path) -> dict[str, int]:
    return dict(Counter(run.state for run in Sources([store]).read().runs))


def test_a_sweep_from_its_plan_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    sweep = tiny_sweep(tmp_path, grid={"reward.tau": (0.1, 0.5, 2.0, 5.0)})
    with publishing_status(plan(sweep, store), store) as announcer:
        assert states(store) == {"waiting": 8}
        runs = Sources([store]).read().runs
        assert {run.config["reward.tau"] for run in runs} == {0.1, 0.5, 2.0, 5.0} and {run.sweeps for run in runs} == {
            ("tiny",)
        }

        scores = evaluate(opened(sweep.config(sweep.settings()[0]), store), [0])[0]
        assert states(store) == {"waiting": 7, "done": 1}
        done = Sources([store]).read().find(scores.digest[:12])
        assert done is not None and done.sweeps == ("tiny",) and done.config["reward.tau"] == 0.1

        log = store / "ray" / "tune" / "tiny" / "one"
        assert (announcer.bar.n, announcer.bar.total) == (0, 4 * 8)
        for step in (4, 8, 4):  # it was killed, and began again
            announcer.on_trial_result(0, [], ran(sweep, 0, log), {"step": step})
        assert announcer.bar.n == 8
        announcer.on_trial_complete(0, [], ran(sweep, 1, log, failure="no\n room", complete=False))
        announcer.on_trial_complete(0, [], ran(sweep, 2, log, step=4, complete=False))
        announcer.on_trial_error(0, [], ran(sweep, 3, Path("/elsewhere"), "Traceback\nMemoryError: too much\n"))
        announcer.on_trial_complete(0, [], ran(sweep, 0, log, step=8, score=26.04, complete=True))
        assert states(store) == {"waiting": 1, "done": 1, "failed": 4, "stopped": 2}
        assert announcer.bar.n == announcer.bar.total
        ends = {(run.config["reward.tau"], run.detail, run.log) for run in Sources([store]).read().runs if run.log}
        assert ends == {
            (0.5, "no room", log),
            (2.0, "stopped early, behind the others at step 4", log),
            (5.0, "MemoryError: too much", Path("/elsewhere")),
        }
    assert states(store)["interrupted"] == 1
    assert [line for line in capsys.readouterr().err.splitlines() if " of 4  " in line] == [
        "1 of 4  reward.tau=0.5  failed: no room",
        "2 of 4  reward.tau=2.0  stopped early, behind the others at step 4",
        "3 of 4  reward.tau=5.0  failed: MemoryError: too much",
        "4 of 4  reward.tau=0.1  26.0; best so far 26.0, reward.tau=0.1",
    ]

    with publishing_status(plan(sweep, store), store):  # what failed is tried again
        assert states(store) == {"waiting": 7, "done": 1}


def test_a_searchs_trials_are_added_as_they_are_drawn(tmp_path: Path) -> None:
    store = tmp_path / "store"
    sweep = Sweep("search", tiny(tmp_path), space={"reward.tau": Range(0.1, 2.0)}, seeds=(0,), samples=5)
    announcer = SweepStatusCallback(plan(sweep, store), store)
    file = store / "sweeps" / "search" / "plan.json"
    assert read_json(file) == {"sweep": "search", "samples": 5, "trials": []}
    for tau in (0.3, 0.7, 0.3):  # the same trial started again is no other
        announcer.on_trial_start(0, [], SimpleNamespace(config={"settings": {"reward.tau": tau}}))  # type: ignore[arg-type]
    announcer.on_trial_start(0, [], SimpleNamespace(config={"settings": {"reward.alpha": -1.0}}))  # type: ignore[arg-type]
    assert [entry["settings"] for entry in read_json(file)["trials"]] == [{"reward.tau": 0.3}, {"reward.tau": 0.7}]


def test_the_later_of_two_sweeps_of_one_name_stands(tmp_path: Path) -> None:
    store, sweep = tmp_path / "store", tiny_sweep(tmp_path, grid={"reward.tau": (0.1, 0.5)})
    other = replace(sweep, base=replace(sweep.base, iql=IQLConfig(steps=9, batch_size=16, width=16, snapshots=2)))
    with publishing_status(plan(sweep, store), store), publishing_status(plan(other, store), store):
        assert {run.config["iql.steps"] for run in Sources([store]).read().runs} == {9}
        assert states(store) == {"waiting": 4}
