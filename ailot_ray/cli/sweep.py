"""Verb sweep: one of the named questions of `SWEEPS`, or the values that --vary gives."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import tyro

from ailot_ray.cli.acting import show_results
from ailot_ray.cli.options import Work
from ailot_ray.cli.sweeps import QUESTIONS, SMOKE
from ailot_ray.cluster.sweep import Sweep
from ailot_ray.config import flatten, parse_setting
from ailot_ray.errors import ConfigError
from ailot_ray.lazy import Lazy
from ailot_ray.minari_fetch import no_download
from ailot_ray.tasks import get_task

if TYPE_CHECKING:
    import ailot_ray.cluster.planning as planning
    from ailot_ray import cluster, store
    from ailot_ray.cli import compare_rewards
    from ailot_ray.report import record
    from ailot_ray.report.record import Trial
else:
    cluster, store = Lazy("ailot_ray.cluster"), Lazy("ailot_ray.store")
    compare_rewards, planning = Lazy("ailot_ray.cli.compare_rewards"), Lazy("ailot_ray.cluster.planning")
    record = Lazy("ailot_ray.report.record")


@dataclass(frozen=True, kw_only=True)
class SweepVerb(Work):
    """Ask one question of several configurations. A setting that the sweep varies takes its values from it, or from --vary."""

    sweep: tyro.conf.Suppress[Sweep]
    smoke_grid: tyro.conf.Suppress[dict[str, Sequence[Any]]] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    """Ask the question on each of these tasks, in place of the sweep's own; with --data-from, on stand-ins of them."""
    vary: tuple[str, ...] = ()
    """Values that settings take in place of the sweep's own, or as well: reward.tau=0.5,5 transport.k=0,2. Of a sweep made of
    cases, such as methods, those that have one of the values are left: method=ailot,otr."""
    scheduler: Literal["fifo", "asha"] = "fifo"
    """asha stops trials whose mean score is behind at the same number of gradient steps."""
    samples: int = 20
    """Trials of a search; a grid has as many as it has."""
    wandb: Literal["online", "offline"] | None = None
    """Also log to Weights & Biases."""
    smoke: bool = False
    """A small sweep on the built-in data in place of this one: does everything run?"""
    rewards_only: bool = False
    """Compare the rewards of the trials without training a policy: how they rank trajectories, and what their signs say."""
    dry_run: bool = False
    """Print what would be done, what is done already, and how long the rest may take."""

    def wanted(self) -> Sweep:
        """The sweep under these flags. Raises ConfigError for an unknown task or setting, and for a flag without effect."""
        wanted = replace(self.sweep, base=self.config, seeds=self.seeds, scheduler=self.scheduler, samples=self.samples)
        if self.tasks:
            for name in self.tasks:
                get_task(name)
            wanted = replace(wanted, grid={"task": self.tasks} | {k: v for k, v in wanted.grid.items() if k != "task"})
        if self.smoke:
            wanted = replace(wanted, name=f"{wanted.name}-smoke", base=replace(SMOKE, device=self.config.device), samples=3)
            wanted = replace(wanted, seeds=self.seeds[:1], grid=self.smoke_grid)
        for text in self.vary:
            wanted = wanted.varying(*_values(text))
        if not self.smoke:
            self._refuse_without_effect(wanted)
        return wanted

    def finished(self) -> "list[Trial]":
        """Those of its trials that the store has scores of."""
        wanted = {step.digest for step in planning.plan(self.wanted(), self.store).steps["scores"]}
        return [trial for trial in record.load_trials(self.store) if trial.digest in wanted]

    def _refuse_without_effect(self, wanted: Sweep) -> None:
        given, own = flatten(self.config), flatten(self.sweep.base)
        for path in sorted(wanted.varied):
            if given[path] != own[path]:
                flag = f"--{path.replace('_', '-')} {given[path]}"
                instead = f"--tasks {given[path]}" if path == "task" else f"--vary {path}={given[path]}"
                raise ConfigError(f"{flag} has no effect, as sweep {wanted.name} varies it itself: use {instead}")

    def execute(self) -> dict[str, Any]:
        with no_download() if self.dry_run else contextlib.nullcontext():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        wanted = self.wanted()
        if self.rewards_only and not self.dry_run:
            return compare_rewards.compare_rewards(wanted, self.store, self.cluster)
        plan = planning.plan(wanted, self.store)
        print(plan.format(self.cluster.workers or (1 if self.cluster.address else os.cpu_count() or 1)), flush=True)
        counts = {kind: {"distinct": len(steps), "to_do": len(plan.missing(kind))} for kind, steps in plan.steps.items()}
        if self.dry_run:
            return {"plan": counts, "seconds": plan.seconds}
        result = cluster.run_sweep(wanted, self.store, self.cluster, self.wandb)
        trials = [trial for trial in record.load_trials(self.store) if trial.digest in result.scores]
        folder = self.store / "sweeps" / wanted.name
        print()
        shown = show_results(trials, folder) if trials else {}
        failures = [asdict(failure) | {"log": str(failure.log)} for failure in result.failures]
        for failure in failures:
            settings = " ".join(f"{path}={value}" for path, value in failure["settings"].items())
            print(f"  FAILED {settings}: {failure['reason']}\n         log: {failure['log']}")
        for stopped in result.stopped:
            print("  stopped early " + " ".join(f"{path}={value}" for path, value in stopped.items()))
        summary = {"plan": counts, "failures": failures, "stopped": [dict(stopped) for stopped in result.stopped]} | shown
        store.write_json(folder / "sweep.json", summary)
        if failures:
            raise ConfigError(
                f"{len(failures)} of {len(result.settings)} trials failed: see the lines above; the others are kept"
            )
        return summary


def _values(text: str) -> tuple[str, list[Any]]:
    """A path and its values, of ``reward.tau=0.5,5``. Raises ConfigError."""
    path, sign, values = text.partition("=")
    if not sign or not values:
        raise ConfigError(f"--vary {text} is not a setting with values, such as reward.tau=0.5,5")
    path = path.replace("-", "_")
    return path, [parse_setting(path, value) for value in values.split(",")]


def of_name(name: str) -> SweepVerb:
    """The flags of a named sweep at their defaults; of an empty one where no sweep has that name."""
    if name not in QUESTIONS:
        return SweepVerb(sweep=Sweep(name))
    question = QUESTIONS[name]
    sweep = question.sweep
    return SweepVerb(
        sweep=sweep,
        smoke_grid=dict(question.smoke),
        config=sweep.base,
        seeds=sweep.seeds,
        scheduler=sweep.scheduler,
        samples=sweep.samples,
    )
