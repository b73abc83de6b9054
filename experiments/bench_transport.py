"""How fast is the alignment? Ours beside POT, OTT-JAX, OTR's path, geomloss and the exact linear programme, as ratios.

    .venv/bin/pip install -r requirements-bench.txt
    python experiments/bench_transport.py [--quick] [--data FOLDER] [--plot FILE.png] [--parts peers otr …]

Every solver is held to the same L1 error of both marginals (1e-3), measured on the plan that it returns; how each peer is set
is in transport_peers.py. Times are CPU time on one core, of solvers in alternation, medians. `--data` adds trajectories of
D4RL files (halfcheetah-medium.hdf5, halfcheetah-expert-demos.hdf5) through the same untrained encoder. Prints Markdown
tables, and JSON as the last line.
"""

import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import matplotlib
import numpy as np
import torch
import tyro
from torch import Tensor
from transport_peers import (
    TOLERANCE,
    Problem,
    Solve,
    geomloss_solver,
    l1_error,
    otr_as_shipped,
    otr_path,
    ott_solvers,
    pot_solvers,
)

from ailot_ray.config import TransportConfig
from ailot_ray.memory import keep_freed_memory
from ailot_ray.method.fast.sinkhorn_cpu import solve_fused
from ailot_ray.method.networks import StackedMLP, initialise
from ailot_ray.method.sinkhorn import sinkhorn
from ailot_ray.method.transport import align, look_ahead_cost, prepare

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Part = Literal["peers", "otr", "lengths", "workers", "scaling"]
CONFIG = TransportConfig(
    k=2, start="none", epsilon=0.05, epsilon_unit="relative", metric="sqeuclidean", space="intent", solver="sinkhorn"
)


@dataclass(frozen=True)
class Arguments:
    quick: bool = False
    """Fewer repetitions, epsilon 0.05 only, no plot: about a minute."""
    parts: tuple[Part, ...] = ("peers", "otr", "lengths", "workers", "scaling")
    data: Path | None = None
    """A folder of D4RL files to measure on as well."""
    length: int = 1000
    """Steps of both trajectories."""
    repeat: int = 5
    plot: Path | None = None
    """Where the plot of `scaling` goes."""


def gait(length: int, seed: int, size: int = 17) -> Tensor:
    """Noisy oscillations of `size` numbers, as joints make them: (length, size)."""
    generator = torch.Generator().manual_seed(seed)
    phase = torch.arange(length)[:, None] * (0.12 + 0.02 * torch.rand(size, generator=generator))
    noise = 0.3 * torch.randn(length, size, generator=generator).cumsum(0) / length**0.5
    states: Tensor = torch.sin(phase + 6.28 * torch.rand(size, generator=generator)) + noise
    return states


def intents(states: Tensor) -> Tensor:
    """Through an untrained encoder of ICVF's shape: (length, 256)."""
    encoder = StackedMLP(1, 1, (states.shape[1], 256, 256), activate_last=True, norm=True)
    initialise(encoder, [torch.Generator().manual_seed(0)], "lecun")
    with torch.no_grad():
        features: Tensor = encoder(states[None, None])[0, 0].contiguous()
    return features


def problem(agent: Tensor, expert: Tensor, relative: float, k: int = 2) -> Problem:
    cost = look_ahead_cost(agent, expert, k)
    return Problem(agent, expert, k, cost, relative * float(cost.mean()))


def settings(relative: float, **changed: Any) -> TransportConfig:
    return TransportConfig(**(vars(CONFIG) | {"epsilon": relative} | changed))


def states_of(folder: Path) -> tuple[Tensor, Tensor]:
    """The 11th trajectory of halfcheetah-medium and the first of its expert demonstrations, standardised."""
    with h5py.File(folder / "halfcheetah-medium.hdf5") as medium, h5py.File(folder / "halfcheetah-expert-demos.hdf5") as expert:
        agent, other = (torch.from_numpy(file["observations"][:].astype(np.float32)) for file in (medium, expert))
    mean, std = agent.mean(0), agent.std(0) + 1e-3
    return (agent[10_000:11_000] - mean) / std, (other[:1000] - mean) / std


def ours(p: Problem, relative: float) -> dict[str, Solve]:
    n, m = p.cost.shape
    a, b = torch.full((n,), 1 / n), torch.full((m,), 1 / m)
    epsilon = torch.tensor([p.epsilon])
    return {
        "ours, from intents to per-step costs": lambda: align(p.agent, p.expert, settings(relative)),
        "ours, cost given": lambda: solve_fused(p.cost, a, b, p.epsilon, TOLERANCE, 5000),
        "ours, the torch reference": lambda: sinkhorn(p.cost[None], a[None], b[None], epsilon, TOLERANCE, 5000).plan[0],
    }


def milliseconds(solve: Callable[[], Any]) -> float:
    begun = time.process_time()
    solve()
    return 1e3 * (time.process_time() - begun)


def in_alternation(solvers: dict[str, Solve], repeat: int) -> dict[str, float]:
    """Median CPU milliseconds of each, after a call that compiles and fills caches."""
    for solve in solvers.values():
        solve()
    taken = [{name: milliseconds(solve) for name, solve in solvers.items()} for _ in range(repeat)]
    return {name: statistics.median(row[name] for row in taken) for name in solvers}


def error_of(found: Any) -> float | None:
    """Of the plan that a solver returns; None where it returns costs."""
    plan = found.plan() if callable(getattr(found, "plan", None)) else getattr(found, "plan", found)
    return l1_error(plan) if np.ndim(plan) == 2 and len(plan) > 1 else None  # (1, n) are costs for one expert


def peers(arguments: Arguments) -> dict[str, Any]:
    """The large table, for each epsilon, on synthetic and on real trajectories."""
    sources = {"synthetic": (intents(gait(arguments.length, 1)), intents(gait(arguments.length, 2)))}
    if arguments.data:
        agent, expert = states_of(arguments.data)
        sources["halfcheetah-medium"] = intents(agent), intents(expert)
    results: dict[str, Any] = {}
    for source, (agent, expert) in sources.items():
        for relative in (0.05,) if arguments.quick else (0.05, 0.01):
            p = problem(agent, expert, relative)
            solvers = ours(p, relative) | pot_solvers(p, slow=not arguments.quick)
            solvers |= ott_solvers(p, all_variants=False)
            solvers["OTR's path (OTT-JAX), from intents to per-step costs"] = otr_path(p)
            solvers["geomloss, from intents to the plan"] = geomloss_solver(p)
            taken = in_alternation(solvers, arguments.repeat)
            print(f"\n| {source}, {tuple(p.cost.shape)}, epsilon {relative} of the mean cost | CPU ms | L1 error | × ours |")
            print("|---|---|---|---|")
            for name, solve in solvers.items():
                error = error_of(solve())
                ratio = (
                    taken[name] / taken[f"ours, {'from intents to per-step costs' if 'from intents' in name else 'cost given'}"]
                )
                print(f"| {name} | {taken[name]:.1f} | {'' if error is None else f'{error:.1e}'} | {ratio:.1f} |")
                results[f"{source} {relative} {name}"] = {"ms": taken[name], "error": error, "ratio": ratio}
    return results


def otr(arguments: Arguments) -> dict[str, Any]:
    """OTR exactly as it is shipped, and ours at the error that it stops at."""
    raw = states_of(arguments.data) if arguments.data else (gait(arguments.length, 1), gait(arguments.length, 2))
    theirs, error = otr_as_shipped(*(states.numpy() for states in raw))
    agent, expert = (prepare(states, "cosine") for states in raw)
    config = settings(0.01, epsilon_unit="absolute", k=0, tolerance=error)
    taken = in_alternation({"ours": lambda: align(agent, expert, config), "OTR": theirs}, arguments.repeat)
    ratio = taken["OTR"] / taken["ours"]
    print(f"\nOTR as shipped (cosine, raw states, epsilon 0.01, 100 iterations) stops at an L1 error of {error:.1e}: "
          f"{taken['OTR']:.1f} ms; ours to that error {taken['ours']:.1f} ms; ratio {ratio:.1f}")  # fmt: skip
    return {"otr_ms": taken["OTR"], "ours_ms": taken["ours"], "error": error, "ratio": ratio}


def lengths(arguments: Arguments) -> dict[str, Any]:
    """Trajectories of Hopper's lengths (mean 450) against an expert of 1000; OTR's path pads them to 1000."""
    drawn = np.random.default_rng(0).gamma(9.0, 50.0, 4 if arguments.quick else 12).astype(int).clip(50, 1000)
    expert = intents(gait(1000, 2, 11))
    results: dict[str, Any] = {"mean length": float(drawn.mean())}
    for relative in (0.05,) if arguments.quick else (0.05, 0.01):
        problems = [problem(intents(gait(int(length), 10 + i, 11)), expert, relative) for i, length in enumerate(drawn)]
        theirs = [otr_path(p, pad=True) for p in problems]
        solvers: dict[str, Solve] = {
            "ours": lambda problems=problems, relative=relative: [
                align(p.agent, p.expert, settings(relative)) for p in problems
            ],  # type: ignore[misc]
            "OTR's path": lambda theirs=theirs: [solve() for solve in theirs],  # type: ignore[misc]
        }
        taken = in_alternation(solvers, 3)
        padded = taken["OTR's path"]
        ratio = padded / taken["ours"]
        print(f"\n{len(drawn)} trajectories, mean length {drawn.mean():.0f}, epsilon {relative}: "
              f"ours {taken['ours'] / len(drawn):.1f} ms each, OTR's path, padded, {padded / len(drawn):.1f} ms each; "
              f"ratio {ratio:.1f}")  # fmt: skip
        results[str(relative)] = {name: value / len(drawn) for name, value in taken.items()} | {"ratio": ratio}
    return results


def work(core: int, count: int, ready: Any, pipe: Any) -> None:
    """A worker on its own core: wall seconds of `count` alignments."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    keep_freed_memory()
    agent, expert = intents(gait(1000, 1)), intents(gait(1000, 2))
    for _ in range(5):
        align(agent, expert, settings(0.01))
    ready.wait()
    begun = time.perf_counter()
    for _ in range(count):
        align(agent, expert, settings(0.01))
    pipe.put(time.perf_counter() - begun)


def workers(arguments: Arguments, cores: list[int]) -> dict[str, Any]:
    """Alignments a second of two processes on two cores against one: the same number for each."""
    if len(cores) < 2:
        return {}
    count, context = 40 if arguments.quick else 150, multiprocessing.get_context("spawn")
    rates = {1: [0.0], 2: [0.0]}
    for number in (1, 2) * (1 if arguments.quick else 3):
        ready, pipe = context.Barrier(number), context.Queue()
        processes = [context.Process(target=work, args=(core, count, ready, pipe)) for core in cores[:number]]
        for process in processes:
            process.start()
        rates[number].append(number * count / max(pipe.get() for _ in processes))
        for process in processes:
            process.join()
    one, two = (statistics.median(rates[number][1:]) for number in (1, 2))
    print(f"\nOne worker {one:.1f} alignments a second, two workers on two cores {two:.1f}: × {two / one:.2f}")
    return {"one": one, "two": two, "ratio": two / one}


def scaling(arguments: Arguments) -> dict[str, Any]:
    """Cost against length, trajectories, k and experts, at epsilon 0.01."""
    trajectories = [intents(gait(1000, seed)) for seed in range(16)]

    def solve(agents: list[Tensor], experts: list[Tensor], k: int = 2) -> float:
        def run() -> None:
            for agent in agents:
                for expert in experts:
                    align(agent, expert, settings(0.01, k=k))

        run()
        return statistics.median(milliseconds(run) for _ in range(arguments.repeat))

    x = trajectories[0]
    series = {
        "length of both": {n: solve([intents(gait(n, 1))], [intents(gait(n, 2))]) for n in (125, 250, 500, 1000, 2000)},
        "trajectories": {n: solve(trajectories[1 : n + 1], [x]) for n in (1, 2, 4, 8)},
        "experts": {n: solve([x], trajectories[1 : n + 1]) for n in (1, 2, 4, 8)},
        "look-ahead k": {k: solve([x], [trajectories[1]], k) for k in (0, 1, 2, 5, 10, 20)},
    }
    for name, points in series.items():
        print(f"\n{name}: " + ", ".join(f"{at} → {taken:.1f} ms" for at, taken in points.items()))
    if arguments.plot:
        figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
        for axis, (name, points) in zip(axes, series.items(), strict=True):
            at, taken = list(points), list(points.values())
            axis.plot(at, taken, "o-", color="tab:blue")
            if name in ("trajectories", "experts"):
                axis.plot(at, [taken[0] * n for n in at], ":", color="grey", label="linear in the first")
                axis.legend(frameon=False)
            if name == "length of both":
                axis.set(xscale="log", yscale="log")
                axis.set_xticks(at, [str(n) for n in at])
                axis.minorticks_off()
            else:
                axis.set_ylim(0, 1.1 * max(taken))
            axis.set(xlabel=name, ylabel="CPU ms")
            axis.grid(alpha=0.3)
        figure.savefig(arguments.plot, dpi=110)
    return {name: {str(at): taken for at, taken in points.items()} for name, points in series.items()}


def main(arguments: Arguments) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})  # threads of every library share one core
    torch.set_num_threads(1)
    keep_freed_memory()
    if arguments.quick:
        arguments = Arguments(**(vars(arguments) | {"repeat": 3, "plot": None}))
    results: dict[str, Any] = {}
    for part in arguments.parts:
        if part == "workers":
            results[part] = workers(arguments, cores)
        elif part != "scaling" or not arguments.quick:
            results[part] = {"peers": peers, "otr": otr, "lengths": lengths, "scaling": scaling}[part](arguments)
    print(json.dumps(results))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
