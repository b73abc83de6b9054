"""Do the relabelled rewards serve another learner? d3rlpy's TD3+BC and CQL on the same transitions, with each reward in turn.

    python experiments/other_learner.py --smoke
    python experiments/other_learner.py --task hopper-medium-replay-v2 --dry-run
    python experiments/other_learner.py --task hopper-medium-replay-v2 --learner TD3PlusBC --methods ailot otr iql --steps 30000

`iql` stands for the dataset's own rewards. The learners keep d3rlpy's settings; both see standardised states, as TD3+BC does.
What is done is kept in STORE/other_learners and read back. Prints a Markdown table of scores, mean and range over seeds.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import d3rlpy
import numpy as np
import structlog
import tyro

from ailot_ray import Config, Experiment, Store, relabel
from ailot_ray.cli.command import run_command
from ailot_ray.cli.sweeps import SMOKE
from ailot_ray.cluster.planning import duration
from ailot_ray.envs import roll_out
from ailot_ray.pipeline import load_rewards
from ailot_ray.stages import get_stage
from ailot_ray.store import digest_of, read_json, write_json

SECONDS = {"TD3PlusBC": 0.015, "CQL": 0.06}
"""A gradient step on one core of a small server."""


@dataclass(frozen=True)
class OtherLearner:
    """Train a learner of d3rlpy on relabelled rewards."""

    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=lambda: Config(task="hopper-medium-replay-v2"))
    learner: Literal["TD3PlusBC", "CQL"] = "TD3PlusBC"
    methods: tuple[str, ...] = ("ailot", "otr", "iql")
    """Whose rewards."""
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 30_000
    store: Path = Path("store")
    smoke: bool = False
    """A few steps on the built-in data: does everything run?"""
    dry_run: bool = False
    """Print what would be done and how long it may take."""
    json: bool = False

    def execute(self) -> dict[str, Any]:
        if self.smoke:
            small = replace(self, config=SMOKE, steps=200, seeds=self.seeds[:1], methods=("ailot", "iql"), smoke=False)
            return small.execute()
        experiments = {m: Experiment.open(replace(self.config, method=m), Store(self.store)) for m in self.methods}
        if self.dry_run:
            keys = [self.key(experiment, seed) for experiment in experiments.values() for seed in self.seeds]
            missing = [key for key in keys if not self.path(key).exists()]
            seconds = len(missing) * (self.steps * SECONDS[self.learner] + get_stage("evaluate").seconds)
            print(f"{len(keys)} trainings, {len(missing)} to do: about {duration(seconds)} on one core, beside the relabelling")
            return {"distinct": len(keys), "to_do": len(missing), "seconds": seconds}
        found: dict[str, list[float]] = {}
        print(f"| rewards | {self.learner} after {self.steps:,} steps | range over seeds |\n|---|---|---|")
        for method, experiment in experiments.items():
            found[method] = [self.score(experiment, seed) for seed in self.seeds]
            low, mean, high = min(found[method]), np.mean(found[method]), max(found[method])
            print(f"| {method} | {mean:.1f} | {low:.1f} to {high:.1f} |", flush=True)
        return {"scores": found}

    def key(self, experiment: Experiment, seed: int) -> dict[str, Any]:
        rewards = digest_of("rewards", experiment.keys(seed)["rewards"])
        return {"rewards": rewards, "learner": self.learner, "steps": self.steps, "seed": seed, "version": d3rlpy.__version__}

    def path(self, key: dict[str, Any]) -> Path:
        return self.store / "other_learners" / f"{digest_of('other', key)[:12]}.json"

    def score(self, experiment: Experiment, seed: int) -> float:
        """Mean normalised score of the last policy, trained now or read back."""
        path = self.path(key := self.key(experiment, seed))
        if not path.exists():
            write_json(path, key | {"task": experiment.task.name, "scores": self.train(experiment, seed)})
        return float(np.mean(read_json(path)["scores"]))

    def train(self, experiment: Experiment, seed: int) -> Sequence[float]:
        dataset, episodes = experiment.dataset, experiment.config.evaluation.episodes or 10
        ends = np.zeros(len(dataset), dtype=bool)
        ends[dataset.offsets[1:] - 1] = True
        d3rlpy.seed(seed)
        scaler = d3rlpy.preprocessing.StandardObservationScaler()
        learner = getattr(d3rlpy.algos, f"{self.learner}Config")(observation_scaler=scaler).create(device="cpu:0")
        data = d3rlpy.dataset.MDPDataset(
            observations=dataset.observations,
            actions=dataset.actions,
            rewards=load_rewards(relabel(experiment, [seed])[0]),
            terminals=dataset.terminals.astype(np.float32),
            timeouts=(ends & ~dataset.terminals).astype(np.float32),
        )
        silent = d3rlpy.logging.NoopAdapterFactory()
        learner.fit(data, n_steps=self.steps, n_steps_per_epoch=self.steps, show_progress=False, logger_adapter=silent)
        return [
            experiment.task.score(game.undiscounted_return)
            for game in roll_out(experiment.task, learner.predict, episodes, seed)
        ]


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # d3rlpy's own account of itself
    sys.exit(
        run_command(OtherLearner, f"python {sys.argv[0]}", "Another learner on our rewards.", sys.argv[1:], OtherLearner())
    )
