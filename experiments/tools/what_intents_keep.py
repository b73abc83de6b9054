"""What does the encoder keep of a state? Linear probes on raw states, on an untrained and on a trained encoder's intents.

    python experiments/tools/what_intents_keep.py --task halfcheetah-medium-replay-v2 --data FILE --store DIR --icvf.steps 5000

For each space: R² on held-out episodes of a ridge regression of the recorded reward (mostly forward speed in locomotion), of
the return of the episode that the state is from (who acts here?), and of the time elapsed in the episode; then the rank
correlation of distance with steps apart, within 10 and 50 steps of one episode, and of the distance between states of
different episodes with the difference of their returns. A gait is periodic, so distance cannot follow time within a stride;
this shows what it follows instead. Prints a Markdown table.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from ailot_ray import Config, Experiment, Store, pretrain
from ailot_ray.method.diagnostics import rank_correlation, time_isometry
from ailot_ray.pipeline.align import Features

ROWS = 20_000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Arguments:
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    store: Path = Path("store")
    seed: int = 0


def explained(features: Array, target: Array, train: NDArray[np.bool_]) -> float:
    """R² of a ridge regression fitted on `train` rows and judged on the others."""
    x = (features - features[train].mean(0)) / (features[train].std(0) + 1e-6)
    x = np.c_[x, np.ones(len(x))]
    weights = np.linalg.solve(x[train].T @ x[train] + 10.0 * np.eye(x.shape[1]), x[train].T @ target[train])
    residual = target[~train] - x[~train] @ weights
    return float(1.0 - residual.var() / target[~train].var())


def main(arguments: Arguments) -> None:
    store = Store(arguments.store)
    trained = Experiment.open(arguments.config, store)
    untrained = Experiment.open(replace(arguments.config, icvf=replace(arguments.config.icvf, steps=0)), store)
    data = trained.dataset
    assert data.rewards is not None, "the probes compare with true returns"
    generator = np.random.default_rng(0)
    episode = np.repeat(np.arange(data.trajectories), data.lengths)
    step = np.arange(len(data)) - data.offsets[episode]
    rows = np.sort(generator.choice(len(data), min(ROWS, len(data)), replace=False))
    held_out = generator.random(data.trajectories) < 0.3
    returns = data.returns()[episode]
    targets: dict[str, NDArray[np.floating]] = {
        "reward": data.rewards,
        "return of its episode": returns,
        "time in its episode": step / data.lengths[episode],
    }
    spaces: dict[str, NDArray[np.float32]] = {
        "raw states": data.observations,
        "untrained intents": _intents(untrained, arguments.seed),
        "trained intents": _intents(trained, arguments.seed),
    }
    print(f"| {data.source.rsplit('/', 1)[-1]} |", " | ".join(spaces), "|\n|---|" + "---|" * len(spaces))
    for name, target in targets.items():
        train = ~held_out[episode[rows]]
        values = [explained(f[rows].astype(np.float64), target[rows].astype(np.float64), train) for f in spaces.values()]
        print(f"| R² of {name} |", " | ".join(f"{value:.2f}" for value in values), "|")
    for horizon in (10, 50):
        rho = [time_isometry(f, data.offsets, horizon, np.random.default_rng(0)) or 0.0 for f in spaces.values()]
        print(f"| distance with steps apart, within {horizon} |", " | ".join(f"{value:.2f}" for value in rho), "|")
    a, b = generator.integers(0, len(data), (2, ROWS))
    other = episode[a] != episode[b]
    apart = np.abs(returns[a] - returns[b])[other]
    rho = [rank_correlation(np.linalg.norm(f[a] - f[b], axis=1)[other], apart) or 0.0 for f in spaces.values()]
    print("| distance with difference of returns |", " | ".join(f"{value:.2f}" for value in rho), "|")


def _intents(experiment: Experiment, seed: int) -> NDArray[np.float32]:
    intents = Features(experiment, pretrain(experiment, [seed])[0]).space(experiment.dataset.observations)
    return np.asarray(torch.Tensor.numpy(intents.cpu()))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
