"""A search over several tasks: what draws the settings of trials, and what a drawn setting is worth.

A study is one run of Optuna's over its tasks. With a study a task each task gets settings of its own; with one study of all
tasks each drawn setting is tried on all of them, a trial a task, and is worth the mean, or the interquartile mean, of their
normalised scores. A search that was run before hands its finished settings to the next one, which draws the rest.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from ray.tune.search import Searcher

from ailot_ray.cluster.announce import PLAN
from ailot_ray.cluster.planning import trial_digest
from ailot_ray.cluster.sweep import Range, Sweep
from ailot_ray.errors import StoreError
from ailot_ray.records import PlannedTrial, SweepPlan, read_record
from ailot_ray.report.record import load_trials
from ailot_ray.report.statistics import interquartile_mean
from ailot_ray.store import SHORT

SHARE = 3
"""At most this part of a study's samples is under way at a time: Optuna learns from what has ended."""


def finished_before(sweep: Sweep, store: Path) -> dict[str, tuple[PlannedTrial, float]]:
    """By trial the mean score over seeds of those that an earlier run of this search drew and finished."""
    try:
        drawn = read_record(store / "sweeps" / sweep.name / PLAN, SweepPlan).trials
    except StoreError:
        return {}
    scores = {trial.digest[:SHORT]: trial.score for trial in load_trials(store)} if drawn else {}
    found = {}
    for entry in drawn:
        own = [scores.get(digests["scores"], math.nan) for digests in entry.seeds.values()]
        same = set(entry.settings) - {"task"} == set(sweep.space) and trial_digest(sweep, entry.settings) == entry.trial
        if same and not math.isnan(sum(own)):
            found[entry.trial] = entry, sum(own) / len(own)
    return found


@dataclass
class _Drawn:
    """A setting that a study has drawn, and what its trials have come to."""

    settings: dict[str, Any]
    asked: optuna.Trial
    waiting: list[str | None]
    """Tasks on which it has not been started."""
    scores: dict[str | None, float] = field(default_factory=dict)


class _Study:
    def __init__(self, sweep: Sweep, tasks: Sequence[str | None], seed: int) -> None:
        self.sweep, self.tasks = sweep, tuple(tasks)
        self.distributions = {path: _distribution(domain) for path, domain in sweep.space.items()}
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self.optuna = optuna.create_study(sampler=sampler, direction="maximize")
        self.left = sweep.samples
        self.open: list[_Drawn] = []

    def worth(self, scores: Sequence[float]) -> float:
        return interquartile_mean(scores) if self.sweep.over == "iqm" else sum(scores) / len(scores)

    def hand_over(self, settings: Mapping[str, Any], scores: Sequence[float]) -> None:
        """Tell of a setting that is done on all tasks."""
        if self.left:
            params, worth = dict(settings), self.worth(scores)
            self.optuna.add_trial(create_trial(params=params, distributions=self.distributions, value=worth))
            self.left -= 1

    def draw(self) -> tuple[_Drawn, str | None] | None:
        """A setting and a task to try it on; None where enough is under way, or all are drawn."""
        for drawn in self.open:
            if drawn.waiting:
                return drawn, drawn.waiting.pop(0)
        if not self.left or len(self.open) >= max(1, self.sweep.samples // SHARE):
            return None
        self.left -= 1
        asked = self.optuna.ask(self.distributions)
        self.open.append(_Drawn(dict(asked.params), asked, list(self.tasks)))
        return self.draw()

    def ended(self, drawn: _Drawn, task: str | None, score: float) -> None:
        drawn.scores[task] = score
        if len(drawn.scores) == len(self.tasks):
            worth = self.worth([*drawn.scores.values()])
            state = TrialState.FAIL if math.isnan(worth) else TrialState.COMPLETE
            self.optuna.tell(drawn.asked, None if math.isnan(worth) else worth, state)
            self.open.remove(drawn)


class Studies(Searcher):
    """Tune's searcher over the studies of a sweep. `before` is what an earlier run of it has finished."""

    def __init__(self, sweep: Sweep, metric: str, before: Sequence[tuple[Mapping[str, Any], float]] = ()) -> None:
        super().__init__(metric=metric, mode="max")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        tasks: Sequence[str | None] = sweep.grid.get("task", (None,))
        groups = [[task] for task in tasks] if sweep.over == "study" else [list(tasks)]
        self.studies = [_Study(sweep, group, seed) for seed, group in enumerate(groups)]
        self.running: dict[str, tuple[_Study, _Drawn, str | None]] = {}
        for study in self.studies:
            done: dict[str, tuple[dict[str, Any], dict[str | None, float]]] = {}
            for settings, score in before:
                own = {path: value for path, value in settings.items() if path != "task"}
                done.setdefault(repr(sorted(own.items())), (own, {}))[1][settings.get("task")] = score
            for own, scores in done.values():
                if all(task in scores for task in study.tasks):
                    study.hand_over(own, [scores[task] for task in study.tasks])

    @property
    def trials(self) -> int:
        """How many are still to come."""
        return sum(study.left * len(study.tasks) for study in self.studies)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def suggest(self, trial_id: str) -> Any:
        by_need = sorted(self.studies, key=lambda study: len(study.open))  # no study waits for another
        for study in by_need:
            if (found := study.draw()) is not None:
                drawn, task = found
                self.running[trial_id] = study, drawn, task
                place = {} if task is None else {"task": task}
                return {"settings": place | drawn.settings}
        return None if any(study.left or study.open for study in self.studies) else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        study, drawn, task = self.running.pop(trial_id, (None, None, None))
        if study is not None and drawn is not None:
            score = math.nan if error or not result else float(result.get(self.metric, math.nan))
            study.ended(drawn, task, score)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store knows what is finished."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


def _distribution(domain: Range | Sequence[Any]) -> BaseDistribution:
    if not isinstance(domain, Range):
        return CategoricalDistribution(list(domain))
    if domain.whole:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)
