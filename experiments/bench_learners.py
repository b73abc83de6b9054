"""How many gradient steps a second, beside other implementations of the same update, on this machine.

    python experiments/bench_learners.py --quick
    python experiments/bench_learners.py --corl CORL/algorithms/offline/iql.py

One thread, synthetic data of hopper's shapes, batch 256, two layers of 256 units, fp32. Everything runs in one process, in
alternation, round after round, and is timed by CPU seconds; the table gives the median of the rounds, and ratios of medians.
The arithmetic floor is the matrix products of one of our steps alone, into buffers that exist. `--corl` takes a checkout's own
file: it is no package to install. All run under the memory settings of this package, which the others profit from as well. The
last line is json.
"""

import importlib.util
import json
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import d3rlpy
import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from ailot_ray.config import ICVFConfig, IQLConfig
from ailot_ray.memory import keep_freed_memory
from ailot_ray.method.goals import GoalSampler
from ailot_ray.method.icvf import ICVF
from ailot_ray.method.iql import IQL, Transitions

N, O, A, BATCH, WIDTH = 200_000, 11, 3, 256, 256  # noqa: E741
Advance = Callable[[int], object]


@dataclass(frozen=True)
class Arguments:
    quick: bool = False
    """Fewer and shorter rounds."""
    corl: Path | None = None
    """CORL's `algorithms/offline/iql.py`."""


def data() -> dict[str, NDArray[np.float32]]:
    """Synthetic transitions under D4RL's names."""
    generator = np.random.default_rng(0)
    return {
        "observations": generator.standard_normal((N, O), np.float32),
        "actions": generator.uniform(-1, 1, (N, A)).astype(np.float32),
        "next_observations": generator.standard_normal((N, O), np.float32),
        "rewards": generator.standard_normal(N, np.float32),
        "terminals": (generator.random(N) < 0.005).astype(np.float32),
    }


def ours_iql(columns: dict[str, NDArray[np.float32]], fast: bool = True) -> Advance:
    tensors = {name: torch.from_numpy(column) for name, column in columns.items()}
    transitions = Transitions(
        tensors["observations"],
        tensors["actions"],
        tensors["next_observations"],
        1.0 - tensors["terminals"],
        tensors["rewards"][None],
        np.array([0, N]),
    )
    config = IQLConfig(batch_size=BATCH, width=WIDTH, expectile=0.7, temperature=3.0, dropout=0.0)
    return IQL(transitions, [0], config, fast).advance


def ours_icvf(columns: dict[str, NDArray[np.float32]], fast: bool = True) -> Advance:
    states, successors = (torch.from_numpy(columns[name]) for name in ("observations", "next_observations"))
    sampler = GoalSampler(states, successors, torch.arange(0, N + 1, 400), torch.ones(N, dtype=torch.bool))
    return ICVF(sampler, [0], ICVFConfig(batch_size=BATCH, width=WIDTH), fast).advance


def d3rlpy_iql(columns: dict[str, NDArray[np.float32]]) -> Advance:
    """Its update on batches that it sampled beforehand: its replay buffer, slower than all others', is left out."""
    terminals = columns["terminals"].copy()
    terminals[-1] = 1.0
    held = d3rlpy.dataset.MDPDataset(columns["observations"], columns["actions"], columns["rewards"], terminals)
    learner = d3rlpy.algos.IQLConfig(batch_size=BATCH).create(device="cpu:0")
    learner.build_with_dataset(held)
    batches = [held.sample_transition_batch(BATCH) for _ in range(64)]

    def advance(steps: int) -> None:
        for i in range(steps):
            learner.update(batches[i % len(batches)])

    return advance


def corl_iql(columns: dict[str, NDArray[np.float32]], path: Path) -> Advance:
    """CORL's own replay buffer, networks, optimisers and update, as its `train` puts them together; nothing is logged."""
    for name in ("d4rl", "gym", "wandb", "pyrallis"):  # what its file imports and its update does not use
        sys.modules.setdefault(name, _Anything(name))
    spec = importlib.util.spec_from_file_location("corl_iql", path)
    assert spec is not None and spec.loader is not None
    corl: Any = importlib.util.module_from_spec(spec)
    sys.modules["corl_iql"] = corl
    spec.loader.exec_module(corl)
    buffer = corl.ReplayBuffer(O, A, N)
    buffer.load_d4rl_dataset(dict(columns))
    networks = corl.GaussianPolicy(O, A, 1.0), corl.TwinQ(O, A), corl.ValueFunction(O)
    actor, critic, value = ((network, torch.optim.Adam(network.parameters(), lr=3e-4)) for network in networks)
    trainer = corl.ImplicitQLearning(1.0, *actor, *critic, *value)

    def advance(steps: int) -> None:
        for _ in range(steps):
            trainer.train(buffer.sample(BATCH))

    return advance


class _Anything(types.ModuleType):
    """A module whose every attribute is something to call or to decorate with."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda *_, **__: None, "__call__": lambda self, function: function})


def floor(products: list[tuple[int, int, int, int]]) -> Advance:
    """The products alone: (count, rows, inner, columns) each."""
    operands = [(n, torch.randn(a, b), torch.randn(b, c), torch.empty(a, c)) for n, a, b, c in products]

    def advance(steps: int) -> None:
        for _ in range(steps):
            for count, x, y, out in operands:
                for _ in range(count):
                    torch.mm(x, y, out=out)

    return advance


def iql_products() -> list[tuple[int, int, int, int]]:
    """Eight evaluations of a network, four of them with their gradients: V(s), π and two Q; V(s) anew, V(s') and two Q̄."""
    return [
        (16, BATCH, WIDTH, WIDTH),
        (8, BATCH, O + A, WIDTH),
        (4, O + A, BATCH, WIDTH),
        (8, BATCH, WIDTH, 1),
        (4, WIDTH, BATCH, 1),
        (4, BATCH, 1, WIDTH),
    ]


def icvf_products() -> list[tuple[int, int, int, int]]:
    """Target networks: φ, ψ, A, B of two states each and T of one; online: ψ of two, φ, T, A, B of one, and gradients."""
    return [(62, BATCH, WIDTH, WIDTH), (14, BATCH, O, WIDTH), (6, O, BATCH, WIDTH)]


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    columns = data()
    learners: dict[str, tuple[str, Advance, int]] = {
        "IQL, arithmetic floor": ("iql", floor(iql_products()), 4),
        "IQL, ours": ("iql", ours_iql(columns), 4),
        "IQL, ours by autograd": ("iql", ours_iql(columns, fast=False), 2),
        "IQL, d3rlpy": ("iql", d3rlpy_iql(columns), 2),
        "ICVF, arithmetic floor": ("icvf", floor(icvf_products()), 1),
        "ICVF, ours": ("icvf", ours_icvf(columns), 1),
        "ICVF, ours by autograd": ("icvf", ours_icvf(columns, fast=False), 1),
    }
    if arguments.corl:
        learners["IQL, CORL"] = ("iql", corl_iql(columns, arguments.corl), 2)
    rounds, unit = (7, 40) if arguments.quick else (15, 100)
    for _, advance, _ in learners.values():
        advance(20)
    rates: dict[str, list[float]] = {name: [] for name in learners}
    for _ in range(rounds):
        for name, (_, advance, share) in learners.items():
            start = time.process_time()
            advance(unit * share)
            rates[name].append(unit * share / (time.process_time() - start))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {rounds} rounds\n")
    print("| | steps a CPU second (median) | least to most | ours against it |\n|---|---|---|---|")
    for name, (kind, _, _) in learners.items():
        ratio = medians["IQL, ours" if kind == "iql" else "ICVF, ours"] / medians[name]
        print(f"| {name} | {medians[name]:.1f} | {min(rates[name]):.1f} to {max(rates[name]):.1f} | {ratio:.2f} |")
    print(json.dumps({"torch": torch.__version__, "rounds": rounds, "steps_per_cpu_second": medians}))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
