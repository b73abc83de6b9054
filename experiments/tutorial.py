"""A walk through the method, a stage at a time, on the built-in data: what goes in, what comes out, and what to look at.

    python experiments/tutorial.py                  # some minutes on one core
    python experiments/tutorial.py --steps 20       # some seconds: to read along, not to learn anything

Read it beside docs/method.md. Everything it makes is in STORE, so a second run only reads back.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro

from ailot_ray import Config, Experiment, Store, align, evaluate, pretrain, relabel, train
from ailot_ray.config import EvaluationConfig, ICVFConfig, IQLConfig, TransportConfig
from ailot_ray.method.diagnostics import time_isometry
from ailot_ray.method.transport import align as align_pair
from ailot_ray.pipeline import load_report
from ailot_ray.pipeline.align import Features, load_costs
from ailot_ray.pipeline.relabel import load_rewards
from ailot_ray.report.grouping import group
from ailot_ray.report.record import load_trials
from ailot_ray.report.relabel import format_relabel_report
from ailot_ray.report.tables import format_table


@dataclass(frozen=True)
class Arguments:
    steps: int = 2000
    """Gradient steps of the intents, and of the policy."""
    data: Path | None = None
    """A file in D4RL's schema for hopper, in place of the built-in data."""
    store: Path = Path("store/tutorial")


def main(arguments: Arguments) -> None:
    # An experiment is a configuration with its data at hand. What is left out takes the method's and the domain's own values.
    config = Config(
        task="hopper-builtin",
        data=arguments.data,
        device="cpu",
        icvf=ICVFConfig(steps=arguments.steps),
        iql=IQLConfig(steps=arguments.steps, snapshots=2),
        evaluation=EvaluationConfig(episodes=3, curve_episodes=1),
    )
    experiment = Experiment.open(config, Store(arguments.store))
    dataset, (expert,) = experiment.dataset, experiment.experts
    print(
        f"1. data: {dataset.trajectories} trajectories, {len(dataset):,} transitions; true returns are for choosing the expert"
    )
    print(f"   expert: {expert.origin}, {len(expert.observations)} states, no actions are used\n")

    # Stage 1. The encoder ψ should put states further apart the more steps lie between them.
    features = Features(experiment, pretrain(experiment, [0])[0])
    intents = features(dataset.observations)
    for name, space in (("raw states", dataset.observations), ("intents", intents.numpy())):
        rho = time_isometry(space, dataset.offsets, 50, np.random.default_rng(0))
        print(f"2. rank correlation of distance with steps apart, {name}: {rho or 0.0:.2f}")

    # Stage 2, by hand for the longest trajectory: a coupling of its steps with the expert's, and the cost of each step.
    longest = list(dataset.rows())[int(dataset.lengths.argmax())]
    one = align_pair(intents[longest], features(expert.observations), experiment.config.transport)
    matched = one.plan.argmax(1) + one.first
    print(
        f"\n3. the longest trajectory meets the expert from its step {one.first} on; its every 100th step matches the expert's"
    )
    print(f"   {matched[::100].tolist()} (marginal error {one.error:.1e} after {one.iterations} iterations)")
    print(f"   order of time in the coupling: {one.coherence().correlation:.2f} (1: in order, 0: none)")

    # Stage 2 and 3 for the whole dataset: costs, then rewards α·exp(−τ·cost/s), with a report of what to think of them.
    costs = load_costs(align(experiment, [0])[0], len(dataset))
    assert np.allclose(costs[0, longest], one.cost)
    rewards = load_rewards(relabel(experiment, [0])[0])
    print(f"\n4. {len(rewards):,} rewards from {rewards.min():.2f} to {rewards.max():.2f}, none of them from the simulator")
    print(format_relabel_report(load_report(experiment, 0)))

    # Another k is another alignment of the same intents: the experiment below pretrains nothing.
    other = experiment.with_config(replace(config, transport=TransportConfig(k=0)))
    changed = np.corrcoef(costs[0], load_costs(align(other, [0])[0], len(dataset))[0])[0, 1]
    print(f"\n5. with k = 0 in place of {experiment.config.transport.k}, costs correlate at {changed:.3f} with those before")

    # Stage 4 and evaluation. The table is made of what the store holds.
    train(experiment, [0])
    evaluate(experiment, [0])[0]
    print("\n6. the policy:")
    print(format_table(group(load_trials(arguments.store))))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(tyro.cli(Arguments))
