"""The command line of a sweep: what every file in `experiments/` that asks about settings offers."""

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ailot_ray import cluster
from ailot_ray.cli.comparing import compare_rewards
from ailot_ray.cli.running import run_command
from ailot_ray.cli.showing import show_results
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.plan import plan
from ailot_ray.cluster.sweep import Sweep
from ailot_ray.config import Config, EvaluationConfig, ICVFConfig, IQLConfig, flatten
from ailot_ray.errors import ConfigError
from ailot_ray.report.record import load_trials
from ailot_ray.store import write_json
from ailot_ray.tasks import get_task

SMOKE = Config(
    task="hopper-builtin",
    icvf=ICVFConfig(steps=500),
    iql=IQLConfig(steps=1000, snapshots=4),
    evaluation=EvaluationConfig(episodes=3, curve_episodes=1),
)
"""Settings of `--smoke`: the built-in data, minutes on 2 cores. Enough to see a sweep run, too little to learn anything."""


@dataclass(frozen=True)
class Sweeping:
    """Flags of a sweep. A setting that the sweep itself varies takes its values from the sweep or from --vary."""

    sweep: tyro.conf.Suppress[Sweep]
    smoke_grid: tyro.conf.Suppress[dict[str, Sequence[Any]]]
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    cluster: Annotated[ClusterOptions, tyro.conf.arg(name="")] = field(default_factory=ClusterOptions)
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of every trial; a trial's score is their mean."""
    store: Path = Path("store")
    """Folder of artefacts, shared by all nodes. What is finished there is read back; what was killed goes on."""
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
    json: bool = False
    """End with one JSON object on the last line of standard output."""

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

    def _refuse_without_effect(self, wanted: Sweep) -> None:
        given, own = flatten(self.config), flatten(self.sweep.base)
        for path in sorted(wanted.varied):
            if given[path] != own[path]:
                flag = f"--{path.replace('_', '-')} {given[path]}"
                instead = f"--tasks {given[path]}" if path == "task" else f"--vary {path}={given[path]}"
                raise ConfigError(f"{flag} has no effect, as sweep {wanted.name} varies it itself: use {instead}")

    def execute(self) -> dict[str, Any]:
        wanted = self.wanted()
        if self.rewards_only and not self.dry_run:
            return compare_rewards(wanted, self.store, self.cluster)
        ahead = plan(wanted, self.store)
        print(ahead.format(self.cluster.workers or (1 if self.cluster.address else os.cpu_count() or 1)), flush=True)
        counts = {kind: {"distinct": len(steps), "to_do": len(ahead.missing(kind))} for kind, steps in ahead.steps.items()}
        if self.dry_run:
            return {"plan": counts, "seconds": ahead.seconds}
        result = cluster.run_sweep(wanted, self.store, self.cluster, self.wandb)
        trials = [trial for trial in load_trials(self.store) if trial.digest in result.scores]
        folder = self.store / "sweeps" / wanted.name
        print()
        shown = show_results(trials, folder) if trials else {}
        failures = [asdict(failure) | {"log": str(failure.log)} for failure in result.failures]
        for failure in failures:
            settings = " ".join(f"{path}={value}" for path, value in failure["settings"].items())
            print(f"  FAILED {settings}: {' '.join(failure['reason'].split())}\n         log: {failure['log']}")
        for stopped in result.stopped:
            print("  stopped early " + " ".join(f"{path}={value}" for path, value in stopped.items()))
        summary = {"plan": counts, "failures": failures, "stopped": [dict(stopped) for stopped in result.stopped]} | shown
        write_json(folder / "sweep.json", summary)
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
    return path.replace("-", "_"), [_value(value) for value in values.split(",")]


def _value(text: str) -> Any:
    words = {"none": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text


def sweep_main(sweep: Sweep, smoke: dict[str, Sequence[Any]] | None = None, arguments: Sequence[str] | None = None) -> int:
    """Run `sweep` as a program; `smoke` is the smaller grid of `--smoke`. Returns the exit status."""
    default = Sweeping(sweep, smoke or {}, sweep.base, seeds=sweep.seeds, scheduler=sweep.scheduler, samples=sweep.samples)
    program = f"python {sys.argv[0]}"
    return run_command(Sweeping, program, f"Sweep {sweep.name}.", sys.argv[1:] if arguments is None else arguments, default)
