"""How exact is the transport? Ours against POT's Sinkhorn in double precision, and the entropic gap to the linear programme.

    python experiments/tools/transport_accuracy.py [--task hopper-builtin --data FILE --trajectories 10]

Standardised states, k = 2, no pretraining. Prints a Markdown table: for each epsilon (relative to the mean cost) the largest
relative difference of a per-step cost from POT's, at a tolerance of 1e-6 and at the default one, and by how much the
total cost lies above the exact optimum of the linear programme.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from ailot_ray import Config, Experiment, Store
from ailot_ray.config import TransportConfig
from ailot_ray.method.transport import Alignment, look_ahead_cost, solve
from ailot_ray.pipeline.align import Features

EPSILONS = (0.1, 0.05, 0.01)


@dataclass(frozen=True)
class Arguments:
    task: str = "hopper-builtin"
    data: Path | None = None
    trajectories: int = 10
    """How many, evenly over the dataset."""


def largest_difference(ours: Alignment, reference: Alignment) -> float:
    return float(np.max(np.abs(ours.cost / reference.cost - 1.0)))


def main(arguments: Arguments) -> None:
    config = Config(task=arguments.task, data=arguments.data, transport=TransportConfig(space="standardised", start="none"))
    with tempfile.TemporaryDirectory() as folder:
        experiment = Experiment.open(config, Store(Path(folder)))
    base, features = experiment.config.transport, Features(experiment, None)
    expert = features(experiment.experts[0].observations)
    rows = list(experiment.dataset.rows())
    chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, arguments.trajectories).astype(int)]
    print(f"{arguments.trajectories} trajectories of {experiment.dataset.source}, expert of {len(expert)} steps\n")
    print("| epsilon | from POT, tolerance 1e-6 | from POT, tolerance 1e-3 | total cost above the exact optimum |")
    print("|---|---|---|---|")
    found: dict[float, list[tuple[float, float, float]]] = {epsilon: [] for epsilon in EPSILONS}
    for row in tqdm(chosen, unit="trajectory"):
        cost = look_ahead_cost(features(experiment.dataset.observations[row]), expert, base.k or 0)
        exact = solve(cost, replace(base, solver="exact"))
        for epsilon in EPSILONS:
            settings = replace(base, epsilon=epsilon)
            tight = solve(cost, replace(settings, tolerance=1e-6, max_iterations=100_000))
            peer = solve(cost, replace(settings, solver="pot", tolerance=1e-7, max_iterations=100_000))
            usual = solve(cost, settings)
            gap = float(tight.cost.mean() / exact.cost.mean() - 1.0)
            found[epsilon].append((largest_difference(tight, peer), largest_difference(usual, peer), gap))
    for epsilon, values in found.items():
        tight_difference, usual_difference, gap = np.max(values, 0)
        print(
            f"| {epsilon} | {tight_difference:.1e} | {usual_difference:.1e} | {np.mean(values, 0)[2]:.2%} (largest {gap:.2%}) |"
        )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
