"""Does another library's IQL fare as ours does? For when a score surprises: is it the data, the steps, or a mistake of ours?

    python experiments/tools/d3rlpy_iql.py --task halfcheetah-medium-expert-v2 --data FILE --steps 20000

Trains d3rlpy's IQL on the dataset's own rewards, scaled as ours are, with the same settings, and plays its policy in the same
environments: compare with `run --methods iql --seeds 0 --iql.steps 20000`. What differs is d3rlpy's: no cosine decay, one Adam
for critic and value, another initialisation. Prints a Markdown table of scores on the way.
"""

from dataclasses import dataclass
from pathlib import Path

import d3rlpy
import numpy as np
import torch
import tyro

from ailot_ray import Config, Experiment, Store
from ailot_ray.envs import roll_out
from ailot_ray.memory import keep_freed_memory
from ailot_ray.pipeline.relabel import true_rewards


@dataclass(frozen=True)
class Arguments:
    task: str
    data: Path | None = None
    steps: int = 20_000
    snapshots: int = 10
    seed: int = 0
    standardise: bool = False
    """Give the networks standardised observations (the paper's learner does not)."""


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    d3rlpy.seed(arguments.seed)
    experiment = Experiment.open(Config(task=arguments.task, data=arguments.data, method="iql"), Store(Path("store")))
    dataset, task, settings = experiment.dataset, experiment.task, experiment.config.iql
    ends = np.zeros(len(dataset), dtype=bool)
    ends[dataset.offsets[1:] - 1] = True
    columns = {
        "observations": dataset.observations,
        "actions": dataset.actions,
        "rewards": true_rewards(experiment),
        "terminals": dataset.terminals.astype(np.float32),
        "timeouts": (ends & ~dataset.terminals).astype(np.float32),
    }
    learner = d3rlpy.algos.IQLConfig(
        batch_size=settings.batch_size,
        gamma=settings.discount,
        actor_learning_rate=settings.learning_rate,
        critic_learning_rate=settings.learning_rate,
        tau=settings.polyak,
        expectile=settings.expectile,
        weight_temp=settings.temperature,
        max_weight=settings.max_weight,
        observation_scaler=d3rlpy.preprocessing.StandardObservationScaler() if arguments.standardise else None,
    ).create(device="cpu:0")
    every = arguments.steps // arguments.snapshots
    print("| steps | score | standard deviation over episodes |\n|---|---|---|", flush=True)
    fitting = learner.fitter(
        d3rlpy.dataset.MDPDataset(**columns),
        n_steps=arguments.steps,
        n_steps_per_epoch=every,
        show_progress=False,
        logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
    )
    for epoch, _ in fitting:
        episodes = roll_out(task, learner.predict, settings_episodes(experiment), arguments.seed)
        scores = [task.score(episode.undiscounted_return) for episode in episodes]
        print(f"| {epoch * every:,} | {np.mean(scores):.1f} | {np.std(scores):.1f} |", flush=True)


def settings_episodes(experiment: Experiment) -> int:
    """Evaluation episodes, as our own evaluation plays."""
    episodes = experiment.config.evaluation.episodes
    assert episodes is not None
    return episodes


if __name__ == "__main__":
    main(tyro.cli(Arguments))
