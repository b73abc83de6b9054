"""What Ray costs and gives in relabelling: throughput with 1 and 2 actors, time over the plain stage, memory of the driver.

    python experiments/tools/ray_overhead.py [--trajectories 1000 --actors 1 2 --growth 300 3000 --steps 1000]

Generated walks of `--steps` steps in Hopper's sizes, in D4RL's format, compared as standardised states (no pretraining); every
measurement is made by a process of its own. Prints Markdown tables. Leave the machine to it: with other work on the cores the
ratios mean nothing.
"""

import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tyro

from ailot_ray.cluster import ClusterOptions, connected, object_store_bytes, relabel_by_actors
from ailot_ray.config import Config
from ailot_ray.pipeline import Experiment, relabel
from ailot_ray.pipeline.align import SHARD, PartSolver, merge_parts
from ailot_ray.progress import silence
from ailot_ray.store import Store

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Arguments:
    trajectories: int = 1000
    actors: tuple[int, ...] = (1, 2)
    """Numbers of actors to compare with the first of them."""
    growth: tuple[int, ...] = (300, 3000)
    """Numbers of trajectories between which memory is compared, with as many actors as the last of `actors`."""
    steps: int = 1000
    """Of each trajectory: what an episode of D4RL's MuJoCo tasks has at most."""
    repeat: int = 1
    """Times that each throughput is measured; the median is shown."""


@dataclass(frozen=True)
class Measured:
    """One relabelling on Ray. Seconds from the call on; memory in bytes."""

    wall: float
    connected: float
    first_part: float
    rate: float
    """Trajectories per second from when every actor had begun until the last part was begun."""
    driver: int
    actor: int
    objects: int


def write_walks(path: Path, trajectories: int, steps: int) -> None:
    rng = np.random.default_rng(0)
    walks = rng.normal(scale=0.05, size=(trajectories, steps + 1, 11)).cumsum(1).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["observations"] = walks[:, :-1].reshape(-1, 11)
        file["next_observations"] = walks[:, 1:].reshape(-1, 11)
        file["actions"] = rng.uniform(-1, 1, (trajectories * steps, 3)).astype(np.float32)
        file["rewards"] = rng.normal(size=trajectories * steps).astype(np.float32)
        file["terminals"] = np.zeros(trajectories * steps, bool)
        file["timeouts"] = np.arange(1, trajectories * steps + 1) % steps == 0


def config_of(data: Path) -> Config:
    return Config(task="hopper-medium-v2", data=data, method="otr", device="cpu")


def plain(data: Path, store: Path) -> dict[str, float]:
    """Seconds of each step of the plain stages, in this process, once the solver is compiled."""
    silence()
    PartSolver(Experiment.open(config_of(data), Store(store)), None).solve(0, store / "warm")
    marks = [("", time.perf_counter())]

    def passed(step: str) -> None:
        marks.append((step, time.perf_counter()))

    def build(work: Path) -> None:
        solver = PartSolver(experiment, None)
        for number in range(len(solver.parts)):
            solver.solve(number, work)
        passed("solve")
        merge_parts(work, len(solver.parts))
        passed("merge the parts")

    experiment = Experiment.open(config_of(data), Store(store))
    key = experiment.keys(0)["alignment"]
    passed("open the dataset, name the alignment")
    experiment.store.produce("alignment", experiment.task.name, key, build)
    passed("seal")
    relabel(experiment, [0])[0]
    passed("rewards and report")
    return {step: at - before for (step, at), (_, before) in zip(marks[1:], marks, strict=False)}


def memory(pid: int | str, field: str = "VmHWM") -> int:
    """The peak of a process's resident memory in bytes; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def begun(store: Path) -> list[tuple[float, int]]:
    """Time and process of every part that was begun."""
    found = []
    for journal in (store / ".journal").glob("*.jsonl"):
        entries = [json.loads(line) for line in journal.read_text().splitlines()]
        found += [(entry["time"], int(journal.stem.rpartition("-")[2])) for entry in entries if entry["event"] == "part"]
    return sorted(found)


def on_ray(data: Path, store: Path, actors: int) -> Measured:
    """Relabel with so many actors on a Ray of its own."""
    silence()
    ended, peaks = threading.Event(), {"actor": 0, "objects": 0}

    def watch() -> None:
        while not ended.wait(0.2):
            peaks["actor"] = max([peaks["actor"], *(memory(pid) for _, pid in begun(store))])
            peaks["objects"] = max(peaks["objects"], object_store_bytes())

    start, options = time.time(), ClusterOptions(workers=actors)
    with connected(options, store) as origin:
        up = time.time()
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            relabel_by_actors(origin, config_of(data), 0, options)
            wall = time.time() - start
        finally:
            ended.set()
            watcher.join()
    parts = begun(store)
    first = {pid: at for at, pid in reversed(parts)}
    warm, last = max(first.values()), parts[-1][0]
    rate = SHARD * sum(at > warm for at, _ in parts) / (last - warm)
    return Measured(wall, up - start, parts[0][0] - start, rate, memory("self"), peaks["actor"], peaks["objects"])


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result, from a fresh process: no other measurement has left anything in its memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main(arguments: Arguments) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count, data = arguments.trajectories, folder / "walks.hdf5"
        alone(write_walks, data, count, arguments.steps)
        seconds: dict[str, float] = alone(plain, data, folder / "plain")
        print(f"{count} trajectories of {arguments.steps} steps, {os.cpu_count()} cores\n")
        print("| plain stage | seconds |\n|---|---|")
        for step, value in seconds.items():
            print(f"| {step} | {value:.2f} |")
        whole = sum(seconds.values())
        print(f"| together | {whole:.2f} ({count / whole:.0f} trajectories/s) |\n")
        print("| on Ray | trajectories/s, all warm | ratio | Ray started | first part | whole | over the plain stage |")
        print("|---|---|---|---|---|---|---|")
        base = 0.0
        for actors in arguments.actors:
            runs = [alone(on_ray, data, folder / f"{actors}-{run}", actors) for run in range(arguments.repeat)]
            run = sorted(runs, key=lambda run: run.rate)[len(runs) // 2]
            base = base or run.rate
            print(
                f"| {actors} actors | {run.rate:.1f} | {run.rate / base:.2f} | {run.connected:.1f} s | "
                f"{run.first_part:.1f} s | {run.wall:.1f} s | {run.wall - whole:+.1f} s |"
            )
        print("\n| trajectories | data | driver, peak | largest actor, peak | object store, peak |\n|---|---|---|---|---|")
        for count in arguments.growth:
            data = folder / f"walks-{count}.hdf5"
            alone(write_walks, data, count, arguments.steps)
            run = alone(on_ray, data, folder / f"growth-{count}", arguments.actors[-1])
            sizes = (data.stat().st_size, run.driver, run.actor, run.objects)
            print(f"| {count} | " + " | ".join(f"{size / MEBIBYTE:.1f} MiB" for size in sizes) + " |")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
