"""Relabelling by actors: each solves whole parts of an alignment, and nothing but paths and numbers travels.

An actor opens the dataset and loads the encoder once, then writes each part it is given to the alignment's work folder, under a
temporary name first. Which actor solves a part, in which order, and how often one is killed on the way changes no byte.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from ailot_ray.cluster.facts import DriverContext
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.session import ClusterError, capacity, gpus_per_worker, limit_gpu_memory, raised, worker_resources
from ailot_ray.config import Config
from ailot_ray.pipeline import pretrain, relabel
from ailot_ray.pipeline.align import SHARD, PartSolver, merge_parts, missing_parts, part_path, require_length
from ailot_ray.progress import progress_bar, silence
from ailot_ray.store import Artefact, Key, Store, digest_of

LOST_WORKER_ERRORS = (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError)
"""How the end of an actor shows: killed or lost with its node, or ended by Ray before the node's memory was full."""
FAREWELL_SECONDS = 10.0


@dataclass(frozen=True)
class Alignment:
    """What the driver has to know of an alignment: its name, not its data."""

    task: str
    key: Key
    trajectories: int
    parts: int
    solves: int


class PartWorker:
    """The body of an actor. One that dies takes nothing with it but its loaded data and the part it was at."""

    def __init__(self, origin: DriverContext, config: Config, seed: int, digest: str, gpus: float) -> None:
        self.origin, self.config, self.seed, self.digest, self.gpus = origin, config, seed, digest, gpus
        self.solver: PartSolver | None = None

    def solve(self, number: int, folder: Path) -> int:
        """Solve one part, if nobody has; returns its number."""
        if part_path(folder, number).exists():  # a call that is repeated after its actor died at the very end
            return number
        if self.solver is None:  # not in __init__, where an error would lose its type and its message
            self.origin.require_same_node()
            limit_gpu_memory(self.gpus)
            silence()
            experiment = self.origin.open(self.config)
            intents = pretrain(experiment, [self.seed])[0] if experiment.uses_intents else None
            self.solver = PartSolver(experiment, intents)
        self.solver.experiment.store.note("part", "alignment", self.digest, part=number)
        self.solver.solve(number, folder)
        return number


def align_by_actors(origin: DriverContext, config: Config, seed: int, options: ClusterOptions) -> Artefact:
    """The alignment of one seed's intents, which must have been trained; bytes as `ailot_ray.pipeline.align` makes them.

    Shows trajectories per second and the time left. The driver's memory does not depend on the size of the dataset. Raises
    what a part raises, and ClusterError where actors keep dying.
    """
    store = Store(origin.store)
    try:
        found: Alignment = ray.get(_describe.remote(origin, config, seed))
        if store.finished("alignment", found.task, found.key):
            artefact = store.find("alignment", found.task, found.key)
            assert artefact
            return artefact

        def build(folder: Path) -> None:
            missing = missing_parts(folder, found.parts)
            label = f"alignment {config.method} {found.task} seed {seed}"
            done = found.trajectories - sum(_size(found, number) for number in missing)
            with progress_bar(found.trajectories, label, "trajectory", done) as bar:
                for number in _solve_all(origin, config, seed, options, digest_of("alignment", found.key), missing, folder):
                    bar.update(_size(found, number))
            ray.get(_merge.remote(folder, found.parts))

        return store.produce("alignment", found.task, found.key, build, found.solves)
    except ray.exceptions.RayError as error:
        raise raised(error) from error


def relabel_by_actors(origin: DriverContext, config: Config, seed: int, options: ClusterOptions) -> Artefact:
    """Alignment by actors, then the rewards and the report, made in one task."""
    align_by_actors(origin, config, seed, options)
    try:
        artefact: Artefact = ray.get(_relabel.remote(origin, config, seed))
    except ray.exceptions.RayError as error:
        raise raised(error) from error
    return artefact


def _size(found: Alignment, number: int) -> int:
    return min(SHARD, found.trajectories - number * SHARD)


def _solve_all(
    origin: DriverContext, config: Config, seed: int, options: ClusterOptions, digest: str, missing: list[int], folder: Path
) -> Iterator[int]:
    # One rule for every death, in place of Ray's restarts: when a node is lost, calls that Ray repeats are all used up within
    # milliseconds, before it knows of the loss. A replacement may start on another node, or wait for one to come.
    actor_class = ray.remote(PartWorker).options(**worker_resources(options), max_restarts=0, scheduling_strategy="SPREAD")
    share = gpus_per_worker(options)
    waiting = deque(missing)
    deaths: Counter[int] = Counter()
    solving: dict[Any, tuple[Any, int]] = {}
    actors: list[Any] = []

    def start() -> Any:
        actors.append(actor_class.remote(origin, config, seed, digest, share))
        return actors[-1]

    def employ(actor: Any) -> None:
        number = waiting.popleft()
        solving[actor.solve.remote(number, folder)] = actor, number

    try:
        for _ in range(min(capacity(options), len(missing))):
            employ(start())
        while solving:
            (ready, *_), _ = ray.wait(list(solving), num_returns=1)
            actor, number = solving.pop(ready)
            try:
                ray.get(ready)
            except LOST_WORKER_ERRORS as error:
                deaths[number] += 1
                if deaths[number] > options.retries:
                    raise ClusterError(
                        f"part {number} of the alignment has ended {deaths[number]} actors (killed, or out of memory): give "
                        "each more memory with fewer --workers, then run the same command again, it goes on where it was"
                    ) from error
                ray.kill(actor)
                waiting.appendleft(number)
                actor = start()
            else:
                yield number
            if waiting:
                employ(actor)
            else:
                ray.kill(actor)  # another, whose node was lost, may be waiting for its place
    except Exception:  # the others finish what they have begun: it is kept, and no temporary file is left of it
        if solving:
            ray.wait(list(solving), num_returns=len(solving), timeout=FAREWELL_SECONDS)
        raise
    finally:
        for actor in actors:
            ray.kill(actor)


@ray.remote(num_cpus=1)
def _describe(origin: DriverContext, config: Config, seed: int) -> Alignment:
    origin.require_same_node()
    experiment = origin.open(config)
    require_length(experiment)
    key = experiment.keys(seed)["alignment"]
    trajectories = experiment.dataset.trajectories
    solves = trajectories * len(experiment.experts)
    return Alignment(experiment.task.name, key, trajectories, -(-trajectories // SHARD), solves)


@ray.remote(num_cpus=1)
def _merge(folder: Path, parts: int) -> None:
    merge_parts(folder, parts)


@ray.remote(num_cpus=1)
def _relabel(origin: DriverContext, config: Config, seed: int) -> Artefact:
    origin.require_same_node()
    silence()
    return relabel(origin.open(config), [seed])[0]
