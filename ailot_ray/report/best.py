"""What a sweep came to: the best setting of each task and over all, with intervals, and what the choice cost in evaluations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ailot_ray.report import statistics
from ailot_ray.report.grouping import format_settings
from ailot_ray.report.layout import Style, table
from ailot_ray.report.record import Trial

PLACE = ("task", "data")
"""Paths that say where a question was asked, not what."""


@dataclass(frozen=True)
class Asked:
    """One setting of a sweep over the tasks on which trials of it are done."""

    settings: Mapping[str, Any]
    """Without task and data."""
    scores: Mapping[str, tuple[float, ...]]
    """One score a seed, by task."""

    @property
    def name(self) -> str:
        return format_settings(self.settings) or "as given"

    def mean(self, task: str) -> float:
        return statistics.mean(self.scores[task])


@dataclass(frozen=True)
class Answer:
    """The best of some settings, beside the next."""

    best: Asked
    score: float
    interval: tuple[float, float]
    """95 %; NaN where a task has a single seed."""
    next: Asked | None
    ahead: float
    ahead_interval: tuple[float, float]
    """Welch's 95 % interval of the difference."""

    @property
    def verdict(self) -> str:
        """How far ahead, and whether that may be chance."""
        if self.next is None:
            return "nothing beside it to compare with"
        if np.isnan(self.ahead_interval[0]):
            chance = "1 seed a setting, so chance is not known"
        else:
            chance = "beyond chance" if self.ahead_interval[0] > 0 else "not beyond chance"
        return f"{self.ahead:z.1f} above the next: {chance}"

    @property
    def text(self) -> str:
        """``reward.tau=0.5, 41.2 (35.0 to 47.0), 0.3 above the next: not beyond chance``."""
        return f"{self.best.name}, {score_text(self.score, self.interval)}, {self.verdict}"


def asked_settings(trials: Sequence[Trial], settings: Mapping[str, Mapping[str, Any]]) -> list[Asked]:
    """The finished trials by setting, in the order of `settings`, which tells of each scores artefact its trial's settings."""
    found: dict[str, tuple[dict[str, Any], dict[str, dict[int, float]]]] = {}
    by_digest = {trial.digest: trial for trial in trials}
    for digest, given in settings.items():
        if digest in by_digest:
            trial = by_digest[digest]
            own = {path: value for path, value in given.items() if path not in PLACE}
            place = trial.task if not given.get("data") else f"{trial.task} {trial.data}"
            _, scores = found.setdefault(repr(own), (own, {}))
            scores.setdefault(place, {})[trial.seed or 0] = trial.score
    return [Asked(own, {task: tuple(by.values()) for task, by in scores.items()}) for own, scores in found.values()]


def best_of_task(asked: Sequence[Asked], task: str) -> Answer:
    """By the mean over seeds."""
    there = [one for one in asked if task in one.scores]
    return _answer(there, [task], lambda one: one.mean(task), statistics.mean_interval)


def best_over_all(asked: Sequence[Asked]) -> Answer:
    """By the interquartile mean over the runs of all tasks, among settings that are done on all of them."""
    tasks = list(dict.fromkeys(task for one in asked for task in one.scores))
    complete = [one for one in asked if len(one.scores) == len(tasks)]
    return _answer(complete or list(asked), tasks, _middle, statistics.interquartile_interval)


def _middle(one: Asked) -> float:
    return statistics.aggregate_interquartile_mean(list(one.scores.values()))


def _answer(
    asked: Sequence[Asked], tasks: Sequence[str], score: Callable[[Asked], float], interval: Callable[..., tuple[float, float]]
) -> Answer:
    best, *others = sorted(asked, key=score, reverse=True)
    strata = [best.scores[task] for task in tasks if task in best.scores]
    ends = interval(strata, np.random.default_rng(0))
    shared = [task for task in tasks if others and task in best.scores and task in others[0].scores]
    if not shared:
        return Answer(best, score(best), ends, None, np.nan, (np.nan, np.nan))
    x, y = [best.scores[task] for task in shared], [others[0].scores[task] for task in shared]
    return Answer(best, score(best), ends, others[0], score(best) - score(others[0]), statistics.welch_interval(x, y))


def format_best(asked: Sequence[Asked], trials: Sequence[Trial], style: Style = "text") -> str:
    """Tables over tasks, and what the choice took. Of a single task, which the results table tells of, the cost alone."""
    tasks = list(dict.fromkeys(task for one in asked for task in one.scores))
    blocks = []
    if len(tasks) > 1 and len(asked) > 1:
        answers = {task: best_of_task(asked, task) for task in tasks}
        rows = [(task, one.best.name, score_text(one.score, one.interval), one.verdict) for task, one in answers.items()]
        blocks.append(
            table(("task", "best setting", "score (95 %)", "beside the others"), rows, (True, True, False, True), style)
        )
        header = ("setting", "tasks", "interquartile mean (95 %)", "mean", "best on")
        lines = []
        for one in sorted(asked, key=_middle, reverse=True):
            strata = list(one.scores.values())
            ends = statistics.interquartile_interval(strata, np.random.default_rng(0))
            mean, wins = np.mean([np.mean(scores) for scores in strata]), sum(a.best is one for a in answers.values())
            lines.append((one.name, str(len(strata)), score_text(_middle(one), ends), f"{mean:.1f}", f"{wins} of {len(tasks)}"))
        blocks.append(table(header, lines, (True, False, False, False, False), style))
    return "\n\n".join([*blocks, cost_text(asked, trials)])


def cost_text(asked: Sequence[Asked], trials: Sequence[Trial]) -> str:
    """How many evaluations in the environment the choice rests on: what an offline method is not meant to need."""
    episodes = sum(int(trial.final.sum()) for trial in trials)
    curves = sum(len(trial.steps) for trial in trials) - episodes
    more = f", {curves:,} more for learning curves" if curves else ""
    return (
        f"the choice among {len(asked)} settings took {len(trials):,} policies evaluated online, {episodes:,} episodes{more}; "
        "the score of the best is of the episodes that chose it: expect less of new ones"
    )


def score_text(score: float, interval: tuple[float, float]) -> str:
    return f"{score:.1f}" + ("" if np.isnan(interval[0]) else f" ({interval[0]:.1f} to {interval[1]:.1f})")


def best_json(asked: Sequence[Asked], trials: Sequence[Trial]) -> dict[str, Any]:
    """The same as plain data; NaN is written as null."""
    if not asked:
        return {"tasks": {}, "over_all": None, "policies": 0, "episodes": 0}
    tasks = list(dict.fromkeys(task for one in asked for task in one.scores))
    return {
        "tasks": {task: _as_json(best_of_task(asked, task)) for task in tasks},
        "over_all": _as_json(best_over_all(asked)),
        "policies": len(trials),
        "episodes": sum(len(trial.steps) for trial in trials),
    }


def _as_json(answer: Answer) -> dict[str, Any]:
    def ends(interval: tuple[float, float]) -> list[float] | None:
        return None if np.isnan(interval[0]) else [float(end) for end in interval]

    return {
        "settings": {
            path: str(value) if not isinstance(value, str | int | float | None) else value
            for path, value in answer.best.settings.items()
        },
        "score": answer.score,
        "interval_95": ends(answer.interval),
        "ahead": None if answer.next is None else answer.ahead,
        "ahead_95": ends(answer.ahead_interval),
    }
