"""Early stopping among the trials of one task, whatever other tasks score. Starts no Ray."""

from types import SimpleNamespace
from typing import Any

import pytest

from ailot_ray.cluster.brackets import BracketATask

LEVELS = {"antmaze-umaze-v2": 85.0, "hopper-medium-v2": 75.0, "door-human-v1": 4.0, "relocate-human-v1": 0.1}
"""What a good policy scores on each."""


@pytest.mark.parametrize("by", ["task", "data"])
def test_each_task_keeps_its_own_best_and_stops_its_own_worst(by: str) -> None:
    scheduler = BracketATask("step", 1000)
    scheduler.set_search_properties("score", "max")
    trials: list[Any] = [
        SimpleNamespace(trial_id=f"{task}/{rank}", config={"settings": {by: task}}, task=task, rank=rank, stopped=None)
        for task in LEVELS
        for rank in range(8)
    ]
    for trial in trials:
        scheduler.on_trial_add(None, trial)
    for step in range(100, 1001, 100):
        running = [trial for trial in trials if trial.stopped is None]
        for trial in sorted(running, key=lambda trial: -trial.rank):
            score = LEVELS[trial.task] * step / 1000 * (1 + trial.rank / 8)
            told = scheduler.on_trial_result(None, trial, {"step": step, "score": score, "training_iteration": step // 100})
            if told == "STOP" and step < 1000:
                trial.stopped = step
    for task in LEVELS:
        finished = [trial.rank for trial in trials if trial.task == task and trial.stopped is None]
        assert 7 in finished and 0 not in finished and len(finished) <= 3, (task, finished)


def test_a_report_told_again_after_a_restart_changes_nothing() -> None:
    scheduler = BracketATask("step", 100)
    scheduler.set_search_properties("score", "max")
    trials: list[Any] = [SimpleNamespace(trial_id=str(i), config={"settings": {}}) for i in range(2)]
    for trial in trials:
        scheduler.on_trial_add(None, trial)
    for iteration in range(1, 40):  # reports, all of the first steps
        result = {"step": 10, "score": 1.0 + iteration, "training_iteration": iteration}
        assert scheduler.on_trial_result(None, trials[0], result) == "CONTINUE"
