"""ASHA over several tasks: a bracket each, because scores of different tasks do not compare."""

from collections.abc import Mapping
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler


def place_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """What two trials must share for their scores to compare: task and data."""
    return tuple(str(settings.get(path, "")) for path in ("task", "data"))


class BracketATask(FIFOScheduler):
    """Asynchronous successive halving (Li et al. 2020) among the trials of each task and dataset.

    By gradient steps, not by reports: a restarted trial reports again what it had told before.
    """

    def __init__(self, step: str, total: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.step, self.total = step, total
        self.searched: tuple[str | None, str | None] = None, None
        self.brackets: dict[tuple[str, ...], AsyncHyperBandScheduler] = {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        self.searched = metric, mode
        return True

    def _of(self, trial: Trial) -> AsyncHyperBandScheduler:
        place = place_of(trial.config["settings"])
        if place not in self.brackets:
            grace, (metric, mode) = max(1, self.total // 5), self.searched
            self.brackets[place] = AsyncHyperBandScheduler(
                self.step, metric, mode, max_t=self.total, grace_period=grace, stop_last_trials=False
            )
        return self.brackets[place]

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._of(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self._of(trial).on_trial_result(tune_controller, trial, result)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self._of(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        self._of(trial).on_trial_remove(tune_controller, trial)
