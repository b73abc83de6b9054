"""Does the reward see where the ant is, and does the policy come to rest? For when an AntMaze score is low.

    python experiments/tools/maze_standstill.py --task antmaze-medium-diverse-v2 --data FILE --store DIR --icvf.steps 10000 \\
        --iql.steps 40000 [--icvf.standardise True]

Makes whatever of the experiment is not in the store. Prints Markdown: the share of the file's steps at which nothing of the ant
moves faster than 0.1 (m or rad a second); the reward, before the domain's rescaling, by distance to the target; and of
roll-outs by mean and by sampled actions, how many reach the target, and how many have moved less than 1 cm over their last 200
steps. With `--episodes 0` no policy is asked for.
"""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.parquet as pq
import tyro
from numpy.typing import NDArray

from ailot_ray import Config, Experiment, Store
from ailot_ray.envs import make_env
from ailot_ray.envs.rollout import choose_actions, episode_seed, noise_generator
from ailot_ray.mazes import MAZES
from ailot_ray.method.iql import DeterministicPolicy
from ailot_ray.pipeline import load_policy, relabel, train
from ailot_ray.pipeline.relabel import REWARDS

VELOCITIES = slice(15, 29)
STILL, LAST, MOVED = 0.1, 200, 0.01
BOUNDS = (0.0, 0.5, 2.0, 8.0, 16.0, 20.0, np.inf)


@dataclass(frozen=True)
class Arguments:
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    seed: int = 0
    store: Path = Path("store")
    episodes: int = 20
    step: int | None = None
    """The snapshot to play; by default the last."""


def main(arguments: Arguments) -> None:
    experiment = Experiment.open(arguments.config, Store(arguments.store))
    states, goal = experiment.dataset.observations, MAZES[experiment.task.environment].goal
    still = (np.abs(states[:, VELOCITIES]) < STILL).all(axis=1)
    print(f"{still.mean():.1%} of the file's steps at rest\n\n| metres to the target | steps | mean reward |\n|---|---|---|")
    rewards = pq.read_table(relabel(experiment, [arguments.seed])[0].path(REWARDS), columns=["squashed"])["squashed"].to_numpy()
    distance = np.linalg.norm(states[:, :2] - goal, axis=1)
    for low, high in itertools.pairwise(BOUNDS):
        inside = (distance >= low) & (distance < high)
        if inside.any():
            print(f"| {low:g} to {high:g} | {inside.sum():,} | {rewards[inside].mean():.2f} |")
    if not arguments.episodes:
        return
    step = arguments.step or experiment.config.iql.steps
    policy = load_policy(train(experiment, [arguments.seed])[0].folder, step)
    print(f"\n| actions, policy of step {step:,} | reach the target | at rest at the end |\n|---|---|---|")
    for name, noise in (("mean", None), ("sampled", policy.std)):
        games = [_play(experiment, policy, arguments.seed, index, noise) for index in range(arguments.episodes)]
        reached, rested = (sum(game[i] for game in games) for i in (0, 1))
        print(f"| {name} | {reached} of {len(games)} | {rested} of {len(games)} |", flush=True)


def _play(
    experiment: Experiment, policy: DeterministicPolicy, seed: int, index: int, noise: NDArray[np.float32] | None
) -> tuple[bool, bool]:
    """Whether an episode reaches the target, and whether it ends at rest."""
    env, generator = (
        make_env(experiment.task, target=experiment.config.evaluation.target or "centre", physics=experiment.physics),
        noise_generator(seed, index),
    )
    observation, ended, places = env.reset(seed=episode_seed(seed, index))[0], False, []
    while not ended:
        action = choose_actions(experiment.task, env, policy, observation[None].astype(np.float32), noise, [generator])[0]
        observation, _, terminated, truncated, _ = env.step(action)
        places.append(observation[:2])
        ended = terminated or truncated
    env.close()
    return terminated, not terminated and float(np.ptp(places[-LAST:], axis=0).max()) < MOVED


if __name__ == "__main__":
    main(tyro.cli(Arguments))
