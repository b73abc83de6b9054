"""align ─► alignment: the per-step transport cost of every trajectory against every expert."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.config import Solver
from ailot_ray.data.trajectories import Expert
from ailot_ray.errors import ConfigError, DataError, StoreError
from ailot_ray.method.batched import align_batch
from ailot_ray.method.matching import WITHOUT_TRANSPORT, Distance, pair_features
from ailot_ray.method.transport import Alignment, prepare
from ailot_ray.method.transport import align as align_pair
from ailot_ray.pipeline.experiment import Experiment
from ailot_ray.pipeline.pretrain import load_encoder, pretrain, standardisation
from ailot_ray.progress import progress_bar
from ailot_ray.store import CHECKPOINTS, Artefact, write_parquet

COSTS, SOLVES = "costs.parquet", "solves.parquet"
SHARD = 32
"""Trajectories a part; a killed run loses at most one part."""
MAX_PAIRS = 50_000_000
"""Entries of a coupling: a solve holds about ten matrices of that many floats, 2 GB."""
ANY_EXPERT = -1
"""The expert column of costs that are not of one expert but of all together."""


def align(experiment: Experiment, seeds: Sequence[int]) -> list[Artefact]:
    """Align the dataset with the experts, by each seed's intents, or read the alignments back; pretrains the intents first.

    Where states are compared, the seeds share one alignment. Raises ConfigError where the look-ahead reaches beyond the whole
    expert, or every agent trajectory.
    """
    require_length(experiment)
    intents = dict(zip(seeds, pretrain(experiment, seeds), strict=True)) if experiment.uses_intents else {}

    def build(missing: Sequence[int], folders: Sequence[Path]) -> None:
        (seed,), (folder,) = missing, folders
        solver = PartSolver(experiment, intents.get(seed))
        with progress_bar(
            experiment.dataset.trajectories, f"alignment {experiment.method.name} {experiment.task.name}", "trajectory"
        ) as bar:
            left = set(missing_parts(folder, len(solver.parts)))
            for number, part in enumerate(solver.parts):
                if number in left:
                    solver.solve(number, folder)
                bar.update(len(part))
        merge_parts(folder, len(solver.parts))

    return experiment.make("align", seeds, build)


class Features:
    """The space in which states are compared, metric included: states (n, o) to features (n, d) on the experiment's device."""

    def __init__(self, experiment: Experiment, intents: Artefact | None) -> None:
        self.device = experiment.device
        self.encoder = load_encoder(intents, experiment.device) if intents else None
        self.metric, self.k = experiment.config.transport.metric or "sqeuclidean", experiment.config.transport.k or 0
        self.mean = self.std = torch.zeros(())
        if experiment.config.transport.space == "standardised":
            self.mean, self.std = standardisation(torch.from_numpy(experiment.dataset.observations))
        else:
            self.std = torch.ones(())

    def space(self, states: NDArray[np.float32]) -> Tensor:
        """Features before the metric is built in."""
        tensor = torch.from_numpy(np.ascontiguousarray(states))
        if self.encoder:
            return self.encoder(tensor)
        return ((tensor - self.mean) / self.std).to(self.device)

    def __call__(self, states: NDArray[np.float32]) -> Tensor:
        return prepare(self.space(states), self.metric)

    def pairs(self, states: NDArray[np.float32], successors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of one trajectory, each step's features beside those k steps on: what is compared where nothing is transported."""
        return pair_features(self(states).cpu().numpy(), self(successors).cpu().numpy(), self.k)

    def distance(self, experts: Sequence[Expert], solver: Solver) -> Distance:
        """The cost of a solver that transports nothing."""
        pairs = [self.pairs(expert.observations, expert.next_observations) for expert in experts]
        return WITHOUT_TRANSPORT[solver](pairs, self.metric, 1 if self.k == 0 else 2)


def require_length(experiment: Experiment) -> None:
    """Raise ConfigError where the look-ahead reaches beyond the whole expert, or every agent trajectory."""
    k = experiment.config.transport.k or 0
    shortest_expert = min(len(expert.observations) for expert in experiment.experts)
    longest = int(experiment.dataset.lengths.max())
    for length, what in ((shortest_expert, "an expert trajectory"), (longest, "the longest trajectory of the dataset")):
        if k >= length:
            raise ConfigError(f"--transport.k {k} looks beyond the end of {what} ({length} steps): choose a smaller k")
    pairs = longest * max(len(expert.observations) for expert in experiment.experts)
    if experiment.config.transport.solver == "sinkhorn" and pairs > MAX_PAIRS:
        trajectory = int(experiment.dataset.lengths.argmax())
        raise DataError(
            f"{experiment.dataset.source}: trajectory {trajectory} has {longest:,} steps, {pairs:,} pairs with the expert's, "
            f"but at most {MAX_PAIRS:,} fit in memory: mark where its episodes end in `timeouts`"
        )


def partition(lengths: NDArray[np.integer]) -> list[NDArray[np.intp]]:
    """Trajectories by part, the longest first: those of a part are of like length, and the last to be done are short."""
    order = np.argsort(-lengths, kind="stable")
    return [order[i : i + SHARD] for i in range(0, len(order), SHARD)]


def part_path(folder: Path, number: int) -> Path:
    """The file of a solved part in the work folder of an alignment."""
    return folder / CHECKPOINTS / f"part-{number:06d}.parquet"


def missing_parts(folder: Path, parts: int) -> list[int]:
    """Numbers of the parts that are still to be solved."""
    return [number for number in range(parts) if not part_path(folder, number).exists()]


class PartSolver:
    """Solves any part of an experiment's alignment by its number. A part's bytes do not depend on who solves it, or when."""

    def __init__(self, experiment: Experiment, intents: Artefact | None, batched: bool | None = None) -> None:
        """`batched`: solve the trajectories of a part together; on CUDA if None."""
        self.experiment, self.features = experiment, Features(experiment, intents)
        self.rows = list(experiment.dataset.rows())
        self.parts = partition(experiment.dataset.lengths)
        solver = experiment.config.transport.solver or "sinkhorn"
        self.batched = self.features.device.type == "cuda" if batched is None else batched
        self.batched &= solver == "sinkhorn"
        self.distance = self.features.distance(experiment.experts, solver) if solver in WITHOUT_TRANSPORT else None
        self.experts = [] if self.distance else [self.features(expert.observations) for expert in experiment.experts]

    def solve(self, number: int, folder: Path) -> None:
        """Write part `number` into the work folder: one row a solve, or one a trajectory where all experts serve together."""
        trajectories = self.parts[number].tolist()
        if self.distance:
            rows = [row for index in trajectories for row in self._distances(index, self.distance)]
        else:
            rows = list(self._transports(trajectories))
        write_parquet(part_path(folder, number), pa.Table.from_pylist(rows))

    def _transports(self, trajectories: list[int]) -> Iterator[dict[str, Any]]:
        config, observations = self.experiment.config.transport, self.experiment.dataset.observations
        if self.batched:
            agents = [self.features(observations[self.rows[index]]) for index in trajectories]
            for number, expert in enumerate(self.experts):
                for index, solved in zip(trajectories, align_batch(agents, expert, config), strict=True):
                    yield self._row(index, number, solved)
            return
        for index in trajectories:
            agent = self.features(observations[self.rows[index]])
            for number, expert in enumerate(self.experts):
                yield self._row(index, number, align_pair(agent, expert, config))

    def _distances(self, trajectory: int, distance: Distance) -> Iterator[dict[str, Any]]:
        row, dataset = self.rows[trajectory], self.experiment.dataset
        costs = distance(self.features.pairs(dataset.observations[row], dataset.next_observations[row]))
        for expert, cost in enumerate(costs, start=ANY_EXPERT if distance.joint else 0):
            yield {"trajectory": trajectory, "expert": expert, "cost": self._finite(trajectory, cost)}

    def _row(self, trajectory: int, expert: int, solved: Alignment) -> dict[str, Any]:
        coherence = solved.coherence()
        return {
            "trajectory": trajectory,
            "expert": expert,
            "first": solved.first,
            "error": solved.error,
            "converged": solved.converged,
            "iterations": solved.iterations,
            "coherence": coherence.correlation,
            "backward": coherence.backward,
            "cost": self._finite(trajectory, solved.cost),
        }

    def _finite(self, trajectory: int, cost: NDArray[np.float64]) -> NDArray[np.float64]:
        """`cost` (T,), which must be of finite numbers: one that is not would reach every reward through the cost scale."""
        if np.isfinite(cost).all():
            return cost
        dataset = self.experiment.dataset
        largest, bad = float(np.abs(dataset.observations[self.rows[trajectory]]).max()), int((~np.isfinite(cost)).sum())
        epsilon = self.experiment.config.transport.epsilon
        raise DataError(
            f"{dataset.source}: the cost of trajectory {trajectory} is not a finite number in {bad} of {len(cost)} "
            f"steps (largest |state component| {largest:.3g}, --transport.epsilon {epsilon}): leave out states "
            "that are far from all others, or choose a larger --transport.epsilon"
        )


def merge_parts(folder: Path, parts: int) -> None:
    """Make the artefact's tables of all solved parts, in the order of trajectories; the parts go when it is sealed."""
    solved = pa.concat_tables(_read_part(part_path(folder, number)) for number in range(parts))
    solved = solved.sort_by([("trajectory", "ascending"), ("expert", "ascending")])
    costs = solved["cost"].combine_chunks()
    lengths = np.diff(costs.offsets.to_numpy())
    columns = {
        "trajectory": np.repeat(solved["trajectory"].to_numpy().astype(np.int32), lengths),
        "step": np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
        "expert": np.repeat(solved["expert"].to_numpy().astype(np.int16), lengths),
        "cost": costs.flatten().to_numpy().astype(np.float64),
    }
    write_parquet(folder / COSTS, pa.table(columns))
    if "error" in solved.column_names:
        write_parquet(folder / SOLVES, solved.drop_columns(["cost"]).combine_chunks())


def _read_part(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read ({error}): delete it to solve that part again") from error


def load_costs(alignment: Artefact, transitions: int) -> NDArray[np.float64]:
    """Costs (K, N) of an alignment, in the dataset's order; K is 1 where the expert column says that all served together."""
    table = pq.read_table(alignment.path(COSTS), columns=["trajectory", "step", "expert", "cost"])
    columns = {name: table[name].to_numpy() for name in table.column_names}
    order = np.lexsort((columns["step"], columns["trajectory"], columns["expert"]))
    costs: NDArray[np.float64] = columns["cost"][order].reshape(-1, transitions)
    return costs
