"""How near are trained policies to the data's actions? For when a score is low: has the policy fitted the data yet?

    python experiments/tools/action_error.py --task halfcheetah-medium-expert-v2 --data FILE --store DIR

For every evaluated trial of that data: mean squared difference between the policy's mean action and the data's, for episodes
below and above the median return, on 5,000 states of each and on their first 5 steps alone (whom does the policy follow where
both begin?), and the scores of its evaluation episodes. Prints a Markdown table.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray

from ailot_ray import Config
from ailot_ray.data import load_dataset
from ailot_ray.method.iql import DeterministicPolicy
from ailot_ray.pipeline.fit import load_tensors
from ailot_ray.pipeline.train import snapshot_name
from ailot_ray.report.record import load_trials
from ailot_ray.store import read_json

STATES, START = 5000, 5


@dataclass(frozen=True)
class Arguments:
    task: str
    data: Path | None = None
    store: Path = Path("store")


def main(arguments: Arguments) -> None:
    dataset = load_dataset(Config(task=arguments.task, data=arguments.data))
    returns = np.repeat(dataset.returns(), dataset.lengths)
    better = returns > np.median(dataset.returns())
    first = np.concatenate([np.arange(length) < START for length in dataset.lengths])
    generator = np.random.default_rng(0)
    rows = [generator.choice(np.flatnonzero(half), STATES) for half in (~better, better)]
    rows += [np.flatnonzero(half & first) for half in (~better, better)]
    print("| method | steps | seed | lower half | upper half | its start, lower | its start, upper | scores of episodes |")
    print("|---|---|---|---|---|---|---|---|")
    for trial in load_trials(arguments.store):
        about = read_json(trial.folder / "trial.json")
        if about["data"]["digest"] != dataset.digest:
            continue
        steps = about["config"]["iql.steps"]
        folder = arguments.store / "policies" / about["artefacts"]["policies"]
        parameters, _ = load_tensors(folder / snapshot_name(steps))
        policy = DeterministicPolicy(parameters)
        errors = [f"{_error(policy, dataset.observations[part], dataset.actions[part]):.3f}" for part in rows]
        scores = " ".join(f"{score:.0f}" for score in sorted(trial.scores[trial.final]))
        print(f"| {about['method']} | {steps:,} | {about['seed']} | {' | '.join(errors)} | {scores} |", flush=True)


def _error(policy: DeterministicPolicy, observations: NDArray[np.float32], actions: NDArray[np.float32]) -> float:
    return float(np.square(policy(observations) - actions).mean())


if __name__ == "__main__":
    main(tyro.cli(Arguments))
