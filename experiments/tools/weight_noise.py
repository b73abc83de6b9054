"""Why does IQL lose to cloning here? How many of a batch's transitions the advantage weights really leave, and what that costs.

    python experiments/tools/weight_noise.py --task halfcheetah-medium-expert-v2 --data FILE --temperatures 3 1 --steps 20000

Trains IQL on the dataset's own rewards at each temperature and prints, on the way: the mean value, the standard deviation of
the advantage, the effective sample size of the weights exp(temperature · advantage) as a share of the batch, the squared error
of the policy's mean action in the better half of the data, and the mean score of a few episodes. A share near 0 means that the
policy follows a handful of transitions a step, picked by the critic's error where the critic has not converged.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor

from ailot_ray import Config, Experiment, Store
from ailot_ray.envs import roll_out
from ailot_ray.method.iql import IQL, DeterministicPolicy, effective_share
from ailot_ray.pipeline.relabel import true_rewards
from ailot_ray.pipeline.train import transitions

STATES, LOOKS, EPISODES = 4000, 8, 5


@dataclass(frozen=True)
class Arguments:
    task: str
    data: Path | None = None
    temperatures: tuple[float, ...] = (3.0, 1.0, 0.3)
    steps: int = 20_000
    seed: int = 0


def main(arguments: Arguments) -> None:
    experiment = Experiment.open(Config(task=arguments.task, data=arguments.data, method="iql"), Store(Path("store")))
    generator = np.random.default_rng(0)
    rows = torch.from_numpy(generator.integers(len(experiment.dataset), size=STATES))
    returns = np.repeat(experiment.dataset.returns(), experiment.dataset.lengths)[rows.numpy()]
    better = torch.from_numpy(returns > np.median(experiment.dataset.returns()))
    data = transitions(experiment, true_rewards(experiment)[None])
    states, actions = data.observations[rows][None], data.actions[rows][None]
    print("| temperature | steps | value | std of advantage | effective share | action error, better half | score |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for temperature in arguments.temperatures:
        config = replace(experiment.config.iql, temperature=temperature, steps=arguments.steps)
        learner = IQL(data, [arguments.seed], config)
        for _ in range(LOOKS):
            learner.advance(arguments.steps // LOOKS)
            value, spread, share, error = look(learner, states, actions, better, temperature)
            policy = DeterministicPolicy(learner.result(0))
            games = roll_out(experiment.task, policy, EPISODES, arguments.seed)
            score = np.mean([experiment.task.score(game.undiscounted_return) for game in games])
            numbers = f"{value:.1f} | {spread:.2f} | {share:.2f} | {error:.3f} | {score:.1f}"
            print(f"| {temperature:g} | {learner.step:,} | {numbers} |", flush=True)


@torch.no_grad()
def look(
    learner: IQL, states: Tensor, actions: Tensor, better: Tensor, temperature: float
) -> tuple[float, float, float, float]:
    """Mean value, standard deviation of the advantage, effective share of the weights, action error in the better half."""
    q = learner.target(torch.cat([states, actions], -1)[:, None])[..., 0].amin(1)[0]
    value = learner.value(states[:, None])[0, 0, :, 0]
    weights = torch.exp(temperature * (q - value)).clamp(max=learner.config.max_weight)
    error = (learner.actor(states)[0] - actions[0]).square().mean(-1)[better].mean()
    return float(value.mean()), float((q - value).std()), float(effective_share(weights)), float(error)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
