"""What a sweep came to: best settings, intervals, cost. Scores by hand."""

import numpy as np
import pytest

from ailot_ray.report.best import asked_settings, best_json, best_of_task, best_over_all, cost_text, format_best
from ailot_ray.report.record import Trial

SCORES = {  # by τ and task, a score a seed
    (0.1, "hopper"): (10.0, 12.0, 14.0),
    (0.5, "hopper"): (50.0, 52.0, 54.0),
    (2.0, "hopper"): (50.0, 51.0, 54.0),
    (0.1, "maze"): (60.0, 61.0, 62.0),
    (0.5, "maze"): (40.0, 41.0, 42.0),
    (2.0, "maze"): (10.0, 11.0, 12.0),
}


def trials_and_settings() -> tuple[list[Trial], dict[str, dict[str, object]]]:
    trials, settings = [], {}
    for (tau, task), scores in SCORES.items():
        for seed, score in enumerate(scores):
            digest = f"{tau}{task}{seed}"
            steps, episodes = np.array([500, 1000, 1000]), np.array([0.0, score - 1, score + 1])
            trials.append(Trial(task, "ailot", seed, {}, digest=digest, steps=steps, returns=episodes, scores=episodes))
            settings[digest] = {"task": task, "reward.tau": tau}
    return trials, settings


def test_the_best_of_each_task_and_over_all() -> None:
    trials, settings = trials_and_settings()
    asked = asked_settings(trials, settings)
    assert [one.name for one in asked] == ["reward.tau=0.1", "reward.tau=0.5", "reward.tau=2"]
    hopper, maze = best_of_task(asked, "hopper"), best_of_task(asked, "maze")
    assert (hopper.best.name, hopper.score, maze.best.name) == ("reward.tau=0.5", 52.0, "reward.tau=0.1")
    # of three scores with a deviation of 2: Student's t with two degrees of freedom, 4.303 · 2 / √3
    assert hopper.interval == pytest.approx((52 - 4.968, 52 + 4.968), abs=1e-3)
    assert hopper.text == "reward.tau=0.5, 52.0 (47.0 to 57.0), 0.3 above the next: not beyond chance"
    assert maze.verdict == "20.0 above the next: beyond chance"
    # interquartile means of six scores, without the lowest and the highest: 0.5 has (41 + 42 + 50 + 52) / 4
    over = best_over_all(asked)
    assert (over.best.name, over.score) == ("reward.tau=0.5", 46.25) and over.next is not None
    assert over.next.name == "reward.tau=0.1" and over.ahead == pytest.approx(46.25 - 36.75)


def test_the_tables_and_what_they_cost() -> None:
    trials, settings = trials_and_settings()
    asked = asked_settings(trials, settings)
    lines = [line.split() for line in format_best(asked, trials).splitlines()]
    (over,) = [line for line in lines if line[:2] == ["reward.tau=0.5", "2"]]
    assert over[2] == "46.2" and over[-4:] == ["46.5", "1", "of", "2"]
    assert "18 policies evaluated online, 36 episodes, 18 more for learning curves" in cost_text(asked, trials)
    told = best_json(asked, trials)
    assert told["tasks"]["maze"]["settings"] == {"reward.tau": 0.1} and told["episodes"] == 54


def test_a_setting_that_is_not_done_everywhere_is_not_best_over_all() -> None:
    trials, settings = trials_and_settings()
    trials = [trial for trial in trials if trial.digest[:7] != "0.5maze"]
    asked = asked_settings(trials, settings)
    assert best_over_all(asked).best.name == "reward.tau=0.1" and best_of_task(asked, "hopper").best.name == "reward.tau=0.5"


def test_one_seed_and_one_setting_say_so() -> None:
    trials, settings = trials_and_settings()
    single = [trial for trial in trials if trial.seed == 0 and trial.task == "hopper"]
    assert best_of_task(asked_settings(single, settings), "hopper").text.endswith("1 seed a setting, so chance is not known")
    alone = asked_settings(single[:1], {single[0].digest: {}})
    assert best_over_all(alone).text == "as given, 10.0, nothing beside it to compare with"
    assert best_json([], [])["over_all"] is None
