"""What a sweep tells of itself while it runs, as files beside its results, for whoever reads the store.

<store>/sweeps/<name>/plan.json             its trials: settings, and for each seed the digests of the artefacts it needs
<store>/sweeps/<name>/ended/<trial>.json    a trial that failed or was stopped, written when it happens
<store>/.locks/sweep-<name>.lock            held while the sweep runs
"""

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from ray import tune
from ray.tune.experiment import Trial

from ailot_ray.cluster.brackets import place_of
from ailot_ray.cluster.planning import Plan, Planner, trial_digest
from ailot_ray.errors import AilotError
from ailot_ray.progress import progress_bar, tell_line
from ailot_ray.records import EndedTrial, PlannedTrial, SweepPlan
from ailot_ray.store import Store, write_json

PLAN, ENDED = "plan.json", "ended"


class SweepStatusCallback(tune.Callback):
    """Keeps a sweep's files. Tune calls it in the driver's process, so one process writes them."""

    def __init__(self, ahead: Plan, store: Path, drawn: Sequence[PlannedTrial] = ()) -> None:
        super().__init__()
        done = {step.digest for step in ahead.steps["scores"] if step.done}
        known = {entry.trial: entry for entry in drawn}
        grid = sum(not scores <= done for _, scores in ahead.trials)
        self.of = ahead.sweep.trials - len(known) if ahead.sweep.space else grid
        self.sweep, self.store = ahead.sweep, store
        self.folder = store / "sweeps" / self.sweep.name
        # a search draws its trials as it goes, beside those that an earlier run of it has finished
        self.trials = known if self.sweep.space else {entry.trial: entry for entry in ahead.entries}
        shutil.rmtree(self.folder / ENDED, ignore_errors=True)  # whatever failed is tried again
        self.best: dict[tuple[str, ...], tuple[float, str]] = {}
        """By what makes scores comparable the best so far and the settings behind it."""
        self.ended = 0
        self.bar = progress_bar(self.of * self.sweep.base.iql.steps, f"sweep {self.sweep.name}", "step")
        self.reached: dict[str, int] = {}
        """Gradient steps of each trial, by Tune's name of it."""
        self._write()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Add a trial that a search has drawn."""
        if not self.reached:
            self.bar.unpause()  # what was made before the trials is none of their time
        settings = trial.config["settings"]
        with contextlib.suppress(AilotError):  # settings that cannot work fail in the trial, by their name
            if trial_digest(self.sweep, settings) not in self.trials:
                drawn = Planner(self.sweep, Store(self.store)).planned(settings)
                self.trials[drawn.trial] = drawn
                self._write()

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any) -> None:
        """Move the bar on: a trial reports each of its snapshots."""
        self._move(trial, int(result.get("step", 0)))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tell of a trial that has reported a failure, or that the scheduler has stopped."""
        told = trial.last_result or {}
        if told.get("failure"):
            self._ended(trial, "failed", str(told["failure"]))
        elif not told.get("complete"):
            self._ended(trial, "stopped", f"stopped early, behind the others at step {told.get('step', 0):,}")
        else:
            place, mine = place_of(trial.config["settings"]), (float(told["score"]), self._name(trial))
            self.best[place] = max(self.best.get(place, mine), mine)
            self._tell(trial, f"{mine[0]:.1f}")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tell of a trial whose process failed more often than it may."""
        lines = [line.strip() for line in str(trial.get_error() or "").splitlines() if line.strip()]
        self._ended(trial, "failed", lines[-1] if lines else "its process ended without a word")

    def _write(self) -> None:
        samples = self.sweep.trials if self.sweep.space else None
        write_json(self.folder / PLAN, SweepPlan(self.sweep.name, list(self.trials.values()), samples))

    def _ended(self, trial: Trial, state: Literal["failed", "stopped"], reason: str) -> None:
        name, log = trial_digest(self.sweep, trial.config["settings"]), Path(trial.path or "")
        if log.is_relative_to(self.store):  # the store may be moved, or read on another machine
            log = log.relative_to(self.store)
        told = EndedTrial(state, " ".join(reason.split()), str(log), round(time.time(), 3))
        write_json(self.folder / ENDED / f"{name}.json", told)
        self._tell(trial, f"{state}: {told.reason}" if state == "failed" else told.reason)

    def _move(self, trial: Trial, step: int) -> None:
        before = self.reached.get(trial.trial_id, 0)
        step = min(step, self.sweep.base.iql.steps)  # of a sweep of steps the bar is a rough one
        if step > before:  # one that was started again reports steps anew
            self.reached[trial.trial_id] = step
            self.bar.update(step - before)

    def _name(self, trial: Trial) -> str:
        return " ".join(f"{path}={value}" for path, value in trial.config["settings"].items()) or self.sweep.name

    def _tell(self, trial: Trial, what: str) -> None:
        """One line for a trial that has ended."""
        self.ended += 1
        self._move(trial, self.sweep.base.iql.steps)  # what ends early is done all the same
        best = self.best.get(place_of(trial.config["settings"]))
        so_far = f"; best so far {best[0]:.1f}, {best[1]}" if best else ""
        tell_line(f"{self.ended} of {self.of}  {self._name(trial)}  {what}{so_far}")


@contextlib.contextmanager
def publishing_status(ahead: Plan, store: Path, drawn: Sequence[PlannedTrial] = ()) -> Iterator[SweepStatusCallback]:
    """Write the plan, and hold the sweep's lock while the block runs: a plan whose lock is free is of a sweep that is over.

    Of two sweeps of one name the later one's files stand, and the lock is free when the earlier one ends.
    """
    lock = FileLock(store / ".locks" / f"sweep-{ahead.sweep.name}.lock")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(Timeout):
            stack.enter_context(lock.acquire(timeout=1.0))
        announcer = SweepStatusCallback(ahead, store, drawn)
        stack.callback(announcer.bar.close)
        yield announcer
