"""Can a reward show at all on your data, at your number of steps? Ask before you believe a comparison of rewards.

    python experiments/can_it_show.py --smoke
    python experiments/can_it_show.py --task hopper-medium-v2 --data my.hdf5 --dry-run        # how long it may take
    python experiments/can_it_show.py --task hopper-medium-v2 --data my.hdf5 --seeds 0 1 2 3 4 --iql.steps 150000

IQL learns from the data's true rewards, and from the same rewards given to other trajectories than those that earned them; BC
clones. Where true rewards lead to no better policies than shuffled ones, no other reward can be told from a random one there
either: the budget is too small, or the learner follows the data whatever it is paid for. Snapshots tell from which step on
they separate; the paired deviation over seeds tells how many seeds a difference of so many points needs.
"""

import sys
from dataclasses import dataclass, replace
from typing import Any

from ailot_ray import Config
from ailot_ray.cli.command import run_command
from ailot_ray.cli.sweep import SweepVerb
from ailot_ray.cluster import Sweep
from ailot_ray.config import EvaluationConfig, IQLConfig
from ailot_ray.report.layout import text_lines
from ailot_ray.report.power import Separation, seeds_needed, separation
from ailot_ray.report.record import Trial

METHODS = ("iql", "iql-shuffled", "bc")
BASE = Config(iql=IQLConfig(steps=150_000), evaluation=EvaluationConfig(curve_episodes=10))
SWEEP = Sweep("can-it-show", BASE, grid={"method": METHODS}, seeds=(0, 1, 2, 3, 4))
POINTS = (2.0, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class CanItShow(SweepVerb):
    """IQL on true rewards, on shuffled ones, and BC: when they separate, and how many seeds a difference needs."""

    def execute(self) -> dict[str, Any]:
        asked = replace(self, smoke_grid={"method": METHODS})
        done = SweepVerb.execute(asked)
        if self.dry_run:
            return done
        trials = asked.finished()
        if self.smoke:  # of one seed, which has no interval
            return done
        for task in dict.fromkeys(trial.task for trial in trials):
            print("\n" + verdict(task, [trial for trial in trials if trial.task == task]))
        return done


def verdict(task: str, trials: list[Trial]) -> str:
    """The answer for one task, from its trials of all three methods."""
    true, shuffled, cloned = ([trial for trial in trials if trial.method == method] for method in METHODS)
    found = separation(true, shuffled)
    seeds, points = found.differences.shape[1], "points" if trials[0].normalised else "of return"
    rows = [
        (f"{step:,}", f"{mean(true, step):.1f}", f"{mean(shuffled, step):.1f}", f"{mean(cloned, step):.1f}", difference)
        for step, difference in zip(found.steps.tolist(), _differences(found), strict=True)
    ]
    header = ("steps", "true rewards", "shuffled", "BC", "true − shuffled (95 %)")
    needed = ", ".join(f"{seeds_needed(found.deviation, size)} for {size:g}" for size in POINTS)
    answer = (
        f"true and shuffled rewards are not told apart at {found.steps[-1]:,} steps and {seeds} seeds: no comparison of "
        "rewards can show anything here; take more steps first, then more seeds, or other data"
        if found.since is None
        else f"true rewards separate from shuffled ones from {found.since:,} steps on: there a comparison of rewards can show"
    )
    return "\n".join(
        [
            f"{task}, {seeds} paired seeds",
            *text_lines(header, rows, (False,) * 5),
            answer,
            f"seeds that a true difference of so many {points} needs (paired t test, power 0.8, deviation "
            f"{found.deviation:.1f}): {needed}",
        ]
    )


def mean(trials: list[Trial], step: int) -> float:
    return sum(trial.curve()[step] for trial in trials) / len(trials)


def _differences(found: Separation) -> list[str]:
    means = found.differences.mean(1)
    return [f"{mean:.1f} ({low:.1f} to {high:.1f})" for mean, (low, high) in zip(means, found.intervals, strict=True)]


if __name__ == "__main__":
    default = CanItShow(sweep=SWEEP, config=BASE, seeds=SWEEP.seeds)
    sys.exit(run_command(CanItShow, f"python {sys.argv[0]}", "Can a reward show at all?", sys.argv[1:], default))
