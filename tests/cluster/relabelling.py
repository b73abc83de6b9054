"""Data of several parts, what the plain stage makes of it, and a hunter that kills workers at the part they have begun."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from data.synthetic import episodes, write_hdf5
from pipeline.conftest import TINY

from ailot_ray.config import Config, TransportConfig
from ailot_ray.pipeline import Experiment, relabel
from ailot_ray.pipeline.align import SHARD
from ailot_ray.store import Store

PATIENCE = 120.0


@dataclass(frozen=True)
class Begun:
    """A part that a worker began, by its journal."""

    pid: int
    part: int
    time: float


@dataclass(frozen=True)
class Kill:
    """A worker that was killed, and the parts that were there at that time."""

    begun: Begun
    time: float
    done: frozenset[int]


def config_of(folder: Path, parts: int, iterations: int = 20) -> Config:
    """OTR on so many parts of trajectories of 250 to 350 steps, whose file is made in `folder`; 0.2 to 0.4 s a part.

    The tolerance is out of reach, so that the time is given by the iterations, and a part in flight can be hit.
    """
    rng = np.random.default_rng(parts)
    count = parts * SHARD - 7
    data = write_hdf5(folder / "hopper.hdf5", episodes(rng.integers(250, 350, count).tolist(), ["timeout"] * count))
    transport = TransportConfig(tolerance=1e-12, max_iterations=iterations)
    return Config(task="hopper-medium-v2", data=data, method="otr", transport=transport, device="cpu", **TINY)


def plain(config: Config, store: Path) -> Path:
    """The same without Ray."""
    relabel(Experiment.open(config, Store(store)), [0])[0]
    return store


def begun(store: Path) -> list[Begun]:
    """Every part that was begun in `store`, in the order of time."""
    found = []
    for journal in (store / ".journal").glob("*.jsonl"):
        pid = int(journal.stem.rpartition("-")[2])
        entries = [json.loads(line) for line in journal.read_text().splitlines()]
        found += [Begun(pid, entry["part"], entry["time"]) for entry in entries if entry["event"] == "part"]
    return sorted(found, key=lambda one: one.time)


def times_begun(store: Path) -> Counter[int]:
    return Counter(one.part for one in begun(store))


def done(store: Path) -> frozenset[int]:
    """Parts that have their file in the work folder."""
    return frozenset(int(path.stem.rpartition("-")[2]) for path in (store / ".work").glob("*/checkpoints/part-*.parquet"))


def alive(pids: Iterable[int]) -> list[int]:
    """Those that live, be it in another parent's care; a zombie is dead."""
    found = []
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                found.append(pid)
        except OSError:
            continue
    return found


def processes_with(variable: str, value: str) -> list[int]:
    """PIDs of all processes that carry this in their environment: what a command of ours started, and no other Ray's."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f"{variable}={value}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue  # it ended meanwhile, or is somebody else's
    return alive(found)


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> float:
    """Seconds until `condition` held."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + seconds, f"{what}: not within {seconds:g} s"
        time.sleep(0.01)
    return time.monotonic() - start


class Hunter(threading.Thread):
    """Kills with SIGKILL, from a thread of its own, each worker that `choose` picks among those that have begun a part."""

    def __init__(self, store: Path, choose: Callable[[Sequence[Begun]], Begun | None], limit: int) -> None:
        super().__init__(daemon=True)
        self.store, self.choose, self.limit = store, choose, limit
        self.kills: list[Kill] = []
        self.enough = threading.Event()

    def run(self) -> None:
        while len(self.kills) < self.limit and not self.enough.is_set():
            latest = {one.pid: one for one in begun(self.store)}
            working = [one for one in latest.values() if one.pid in alive(latest)]
            if chosen := self.choose(working):
                there = done(self.store)
                os.kill(chosen.pid, signal.SIGKILL)
                self.kills.append(Kill(chosen, time.time(), there))
                wait_for(lambda pid=chosen.pid: not alive([pid]), "a killed worker ends")  # type: ignore[misc]
            time.sleep(0.01)

    def __enter__(self) -> "Hunter":
        self.start()
        return self

    def __exit__(self, *ending: object) -> None:
        self.enough.set()
        self.join(PATIENCE)


def require_nothing_done_twice(store: Path, parts: int, kills: Sequence[Kill]) -> None:
    """Every part was begun, again only where it was in flight at a kill, and never once its file was there."""
    counts = times_begun(store)
    assert set(counts) == set(range(parts))
    assert counts.total() <= parts + len(kills)
    for kill in kills:
        again = {one.part for one in begun(store) if one.time > kill.time} & kill.done
        assert not again, f"parts {sorted(again)} were there, and were begun again"
