"""Verb sweep: one of the named questions of `SWEEPS`, or the values that --vary gives."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import tyro

from ailot_ray.cli.acting import show_plan, show_results
from ailot_ray.cli.command import without_nan
from ailot_ray.cli.options import Work
from ailot_ray.cli.sweeps import QUESTIONS, SMOKE
from ailot_ray.cluster.sweep import Over, Sweep
from ailot_ray.config import flatten, parse_setting
from ailot_ray.errors import AilotError, ConfigError
from ailot_ray.lazy import Lazy
from ailot_ray.minari_fetch import no_download
from ailot_ray.tasks import tasks_named

if TYPE_CHECKING:
    import ailot_ray.cluster.planning as planning
    import ailot_ray.pipeline.known as pipeline_known
    from ailot_ray import cluster, resolve, store
    from ailot_ray.cli import compare_rewards
    from ailot_ray.report import best, record
    from ailot_ray.report.record import Trial
else:
    cluster, store = Lazy("ailot_ray.cluster"), Lazy("ailot_ray.store")
    compare_rewards, planning = Lazy("ailot_ray.cli.compare_rewards"), Lazy("ailot_ray.cluster.planning")
    pipeline_known, resolve = Lazy("ailot_ray.pipeline.known"), Lazy("ailot_ray.resolve")
    best, record = Lazy("ailot_ray.report.best"), Lazy("ailot_ray.report.record")


@dataclass(frozen=True, kw_only=True)
class SweepVerb(Work):
    """Ask one question of several configurations. A setting that the sweep varies takes its values from it, or from --vary."""

    sweep: tyro.conf.Suppress[Sweep]
    smoke_grid: tyro.conf.Suppress[dict[str, Sequence[Any]]] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    """Ask the question on each of these tasks, in place of the sweep's own; with --data-from, on stand-ins of them. locomotion,
    antmaze and adroit are all of a domain's, 23 together; of several tasks, those without data are left out and named."""
    vary: tuple[str, ...] = ()
    """Values that settings take in place of the sweep's own, or as well: reward.tau=0.5,5 transport.k=0,2. Of a sweep made of
    cases, such as methods, those that have one of the values are left: method=ailot,otr."""
    scheduler: Literal["fifo", "asha"] = "fifo"
    """asha stops trials whose mean score is behind at the same number of gradient steps."""
    samples: int = 20
    """Settings that a search draws, those of an earlier run of it included; a grid has as many as it has."""
    over: Over = "study"
    """A search over several tasks: a study for each, or one setting for all by the mean, or the interquartile mean (iqm), of
    the tasks' scores."""
    wandb: Literal["online", "offline"] | None = None
    """Also log to Weights & Biases."""
    smoke: bool = False
    """A small sweep on the built-in data in place of this one: does everything run?"""
    rewards_only: bool = False
    """Compare the rewards of the trials without training a policy: how they rank trajectories, and what their signs say."""
    prices: tuple[str, ...] = ()
    """What an hour of one worker costs, by names of your choice, for the plan: spot=0.30 on-demand=0.81."""

    def wanted(self) -> Sweep:
        """The sweep under these flags. Raises ConfigError for an unknown task or setting, and for a flag without effect."""
        wanted = replace(self.sweep, base=self.config, seeds=self.seeds, scheduler=self.scheduler, samples=self.samples)
        wanted = replace(wanted, over=self.over)
        if self.tasks:
            grid = {"task": tasks_named(self.tasks)} | {k: v for k, v in wanted.grid.items() if k != "task"}
            wanted = replace(wanted, grid=grid)
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
        asked, _ = self.with_data(self.wanted())
        wanted = {step.digest for step in planning.plan(asked, self.store).steps["scores"]}
        return [trial for trial in record.load_trials(self.store) if trial.digest in wanted]

    def with_data(self, wanted: Sweep) -> tuple[Sweep, dict[str, str]]:
        """`wanted` on those of its several tasks whose data can be read, and why not of the others.

        Raises AilotError where none can.
        """
        tasks = wanted.grid.get("task", ())
        if len(tasks) < 2:
            return wanted, {}
        known, left_out = pipeline_known.KnownData(store.Store(self.store)), {}
        for task in tasks:
            try:
                known.data(resolve.resolve(wanted.config({"task": task})))
            except AilotError as error:
                left_out[task] = str(error)
        if len(left_out) == len(tasks):
            raise AilotError(f"none of {len(tasks)} tasks has data: " + "; ".join(dict.fromkeys(left_out.values())))
        there = tuple(task for task in tasks if task not in left_out)
        return replace(wanted, grid={**wanted.grid, "task": there}), left_out

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
        prices = _prices(self.prices)
        wanted, left_out = self.with_data(self.wanted())
        for task, reason in left_out.items():
            print(f"left out: {task}: {reason}", file=sys.stderr)
        if self.rewards_only and not self.dry_run:
            return compare_rewards.compare_rewards(wanted, self.store, self.cluster)
        plan = planning.plan(wanted, self.store)
        counts = show_plan(self, plan, prices=prices)
        if self.dry_run:
            return counts | {"left_out": left_out}
        result = cluster.run_sweep(wanted, self.store, self.cluster, self.wandb, plan)
        settings = planning.score_settings(wanted, self.store, result.settings)
        trials = [trial for trial in record.load_trials(self.store) if trial.digest in settings]
        folder = self.store / "sweeps" / wanted.name
        folder.mkdir(parents=True, exist_ok=True)
        print()
        shown = show_results(trials, folder) if trials else {}
        failures = [asdict(failure) | {"log": str(failure.log)} for failure in result.failures]
        for failure in failures:
            print(f"  FAILED {_text(failure['settings'])}: {failure['reason']}\n         log: {failure['log']}")
        for stopped in result.stopped:
            print(f"  stopped early {_text(stopped)}")
        asked = best.asked_settings(trials, settings)
        summary = counts | {"failures": failures, "stopped": [dict(stopped) for stopped in result.stopped]} | shown
        summary |= {"left_out": left_out, "best": without_nan(best.best_json(asked, trials))}
        store.write_json(folder / "sweep.json", summary)
        if asked:
            print("\n" + best.format_best(asked, trials))
            for task in left_out:
                print(f"left out: {task}, whose data cannot be read")
            print(f"best: {best.best_over_all(asked).text}")
        if failures:
            raise ConfigError(
                f"{len(failures)} of {len(result.settings)} trials failed: see the lines above; the others are kept"
            )
        print(f"next: ailot-ray dashboard {self.store}")
        return summary


def _text(settings: Mapping[str, Any]) -> str:
    return " ".join(f"{path}={value}" for path, value in settings.items())


def _prices(given: Sequence[str]) -> dict[str, float]:
    """Dollars an hour by name. Raises ConfigError."""
    try:
        return {name: float(price) for name, price in (text.split("=") for text in given)}
    except ValueError:
        raise ConfigError(f"--prices {' '.join(given)} must be names with dollars an hour, such as spot=0.30") from None


def _values(text: str) -> tuple[str, list[Any]]:
    """A path and its values, of ``reward.tau=0.5,5``. Raises ConfigError."""
    path, sign, values = text.partition("=")
    if not sign or not values:
        raise ConfigError(f"--vary {text} is not a setting with values, such as reward.tau=0.5,5")
    path = path.replace("-", "_")
    if path == "task":
        return path, [*tasks_named(values.split(","))]
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
