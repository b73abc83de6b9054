"""A search over several tasks: what it draws, what a setting is worth, and what a second run goes on from. Starts no Ray."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ailot_ray.cluster.announce import SweepStatusCallback
from ailot_ray.cluster.planning import Planner, plan
from ailot_ray.cluster.studies import Studies, finished_before
from ailot_ray.cluster.sweep import Range, Sweep
from ailot_ray.errors import ConfigError
from ailot_ray.pipeline import evaluate
from ailot_ray.store import Store

from .tiny import opened, tiny

TASKS = ("hopper-medium-v2", "antmaze-umaze-v0", "door-human-v0")
SWEEP = Sweep("s", grid={"task": TASKS}, space={"reward.tau": Range(0.1, 10.0, log=True)}, samples=9)
LEVEL = dict(zip(TASKS, (70.0, 80.0, 1.0), strict=True))


def draw_all(studies: Studies, score: Any) -> list[dict[str, Any]]:
    """Every trial, ended at once in the order of the drawing; what was drawn."""
    drawn: list[dict[str, Any]] = []
    running: list[tuple[str, dict[str, Any]]] = []
    while True:
        suggested = studies.suggest(str(len(drawn)))
        if isinstance(suggested, dict):
            running.append((str(len(drawn)), suggested["settings"]))
            drawn.append(suggested["settings"])
        elif not running:
            assert suggested == Studies.FINISHED
            return drawn
        else:
            name, settings = running.pop(0)
            studies.on_trial_complete(name, {"score": score(settings)})


def at_once(studies: Studies) -> list[dict[str, Any]]:
    drawn: list[dict[str, Any]] = []
    while isinstance(suggested := studies.suggest(str(len(drawn))), dict):
        drawn.append(suggested["settings"])
    assert suggested is None
    return drawn


def test_a_study_a_task_draws_for_each_and_a_third_at_once() -> None:
    first = at_once(Studies(SWEEP, "score"))
    assert len(first) == 3 * 3 and [one["task"] for one in first[:3]] == list(TASKS)
    studies = Studies(SWEEP, "score")
    assert studies.trials == 27
    drawn = draw_all(studies, lambda settings: LEVEL[settings["task"]])
    assert {task: sum(one["task"] == task for one in drawn) for task in TASKS} == dict.fromkeys(TASKS, 9)
    assert len({one["reward.tau"] for one in drawn}) == 27 and studies.trials == 0


@pytest.mark.parametrize(("over", "worth"), [("mean", 151 / 3), ("iqm", 151 / 3)])
def test_one_setting_for_all_is_tried_on_every_task(over: Any, worth: float) -> None:
    studies = Studies(replace(SWEEP, over=over), "score")
    assert len(at_once(Studies(replace(SWEEP, over=over), "score"))) == 3 * 3  # three settings, each on three tasks
    drawn = draw_all(studies, lambda settings: LEVEL[settings["task"]])
    taus = [one["reward.tau"] for one in drawn]
    assert len(set(taus)) == 9 and all(taus.count(tau) == 3 for tau in taus)
    (study,) = studies.studies
    assert [trial.value for trial in study.optuna.trials] == pytest.approx([worth] * 9)


def test_iqm_leaves_the_ends_out() -> None:
    tasks = ("hopper-medium-v2", "walker2d-medium-v2", "antmaze-umaze-v0", "door-human-v0")
    scores = dict(zip(tasks, (50.0, 70.0, 100.0, 0.0), strict=True))
    studies = Studies(replace(SWEEP, grid={"task": tasks}, over="iqm", samples=1), "score")
    draw_all(studies, lambda settings: scores[settings["task"]])
    assert [trial.value for trial in studies.studies[0].optuna.trials] == [60.0]


def test_a_task_that_fails_makes_the_setting_fail() -> None:
    studies = Studies(replace(SWEEP, over="mean", samples=1), "score")
    for name in ("a", "b", "c"):
        studies.suggest(name)
    studies.on_trial_complete("a", {"score": 1.0})
    studies.on_trial_complete("b", error=True)
    studies.on_trial_complete("c", {"score": 1.0})
    assert studies.studies[0].optuna.trials[0].state.name == "FAIL" and studies.suggest("d") == Studies.FINISHED


def test_what_is_done_is_handed_over() -> None:
    before = [({"task": task, "reward.tau": tau}, LEVEL[task] + tau) for tau in (0.5, 2.0) for task in TASKS]
    studies = Studies(SWEEP, "score", before)
    assert studies.trials == 3 * 7
    assert [trial.value for trial in studies.studies[2].optuna.trials] == [1.5, 3.0]
    one = Studies(replace(SWEEP, over="mean"), "score", before[:5])  # the second setting lacks a task
    assert one.trials == 3 * 8 and [trial.params for trial in one.studies[0].optuna.trials] == [{"reward.tau": 0.5}]


def test_a_second_run_of_a_search_reads_what_the_first_has_finished(tmp_path: Path) -> None:
    store = tmp_path / "store"
    sweep = Sweep("search", tiny(tmp_path), space={"reward.tau": Range(0.1, 2.0)}, seeds=(0,), samples=5)
    assert finished_before(sweep, store) == {}
    entries = [Planner(sweep, Store(store)).planned({"reward.tau": tau}) for tau in (0.3, 0.7)]
    SweepStatusCallback(plan(sweep, store), store, entries)
    assert finished_before(sweep, store) == {}  # drawn, but not done
    evaluate(opened(sweep.config({"reward.tau": 0.7}), store), [0])
    ((entry, score),) = finished_before(sweep, store).values()
    assert entry.settings == {"reward.tau": 0.7} and isinstance(score, float)
    other = replace(sweep, base=replace(sweep.base, experts=2))  # other settings: another search
    assert finished_before(other, store) == {}
    assert Studies(sweep, "score", [(entry.settings, score)]).trials == 4


def test_a_search_beside_a_grid_of_anything_but_tasks_is_refused() -> None:
    with pytest.raises(ConfigError, match="has both a grid and a search space"):
        replace(SWEEP, grid={"task": TASKS, "reward.alpha": (1.0,)})
    assert SWEEP.varying("task", TASKS[:2]).grid == {"task": TASKS[:2]}
