"""diagnose ─► diagnostics: what to look at in one relabelling, small enough for a page to read at once.

diagnostics.json     the environment, and which trajectories were drawn: names, lengths, true returns
steps.parquet        name, step, cost, reward (before the domain's rescaling), on mazes x, y: expert, best and worst trajectory
coupling.parquet     name, row, column, mass: P binned to at most 128 × 128, with the steps that a bin spans
isometry.parquet     space, horizon, low, median, high: distances of states that lie so many steps apart
places.parquet       on mazes: x, y, reward of some of the dataset's states
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.data.trajectories import Expert
from ailot_ray.errors import ConfigError
from ailot_ray.method.matching import WITHOUT_TRANSPORT
from ailot_ray.method.transport import align as align_pair
from ailot_ray.methods import aligned_methods
from ailot_ray.pipeline.align import Features
from ailot_ray.pipeline.experiment import Experiment
from ailot_ray.pipeline.pretrain import pretrain, standardisation
from ailot_ray.pipeline.relabel import REPORT, REWARDS, relabel
from ailot_ray.records import RelabelReport, read_record
from ailot_ray.store import Artefact, write_json, write_parquet

DIAGNOSTICS = "diagnostics.json"
MAX_BINS = 128
"""Rows and columns that a coupling keeps at most."""
HORIZONS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120)
PAIRS_PER_HORIZON = 2000
"""Pairs of states at each horizon."""
MAX_STATES = 6000
"""States drawn over a maze."""


def diagnose(experiment: Experiment, seeds: Sequence[int]) -> list[Artefact]:
    """Draw the relabelling by each seed's intents, or read the diagnostics back. Relabels first where that is not done.

    Raises ConfigError for a method without an alignment.
    """
    if not experiment.method.aligned:
        raise ConfigError(
            f"--method {experiment.method.name} aligns nothing, so there is nothing to draw: choose {aligned_methods()}"
        )
    rewards = dict(zip(seeds, relabel(experiment, seeds), strict=True))

    def build(missing: Sequence[int], folders: Sequence[Path]) -> None:
        (seed,), (folder,) = missing, folders
        features = Features(experiment, pretrain(experiment, [seed])[0] if experiment.uses_intents else None)
        scale = read_record(rewards[seed].path(REPORT), RelabelReport).cost_scale
        table = pq.read_table(rewards[seed].path(REWARDS), columns=["expert", "squashed"])
        _Sampler(experiment, features, scale).write(folder, table["squashed"].to_numpy(), table["expert"].to_numpy())

    return experiment.make("diagnose", seeds, build)


class _Sampler:
    """Chooses what to look at in one relabelling; `scale` is s of α·exp(−τ·cost/s)."""

    def __init__(self, experiment: Experiment, features: Features, scale: float) -> None:
        self.experiment, self.features, self.scale = experiment, features, scale
        self.maze = experiment.task.domain == "antmaze"
        self.couplings: list[pa.Table] = []
        solver = experiment.config.transport.solver or "sinkhorn"
        self.distance = features.distance(experiment.experts, solver) if solver in WITHOUT_TRANSPORT else None

    def write(self, folder: Path, squashed: NDArray[np.float64], chosen: NDArray[np.int16]) -> None:
        """Write the files. squashed, chosen: (N,), the rewards before rescaling and the expert behind each."""
        dataset, expert = self.experiment.dataset, self.experiment.experts[0]
        rows = list(dataset.rows())
        returns = np.add.reduceat(squashed, dataset.offsets[:-1]) if dataset.rewards is None else dataset.returns()
        others = [i for i, row in enumerate(rows) if not _same(dataset.observations[row], expert)]
        drawn = [("expert", expert.observations, expert.next_observations, 0, expert.true_return)]
        ends = (
            [("best", max(others, key=lambda i: returns[i])), ("worst", min(others, key=lambda i: returns[i]))]
            if others
            else []
        )
        for name, i in ends:
            states, successors = dataset.observations[rows[i]], dataset.next_observations[rows[i]]
            known = None if dataset.rewards is None else float(returns[i])
            drawn.append((name, states, successors, int(chosen[dataset.offsets[i]]), known))
        steps = pa.concat_tables(self._line(*what[:4]) for what in drawn)
        about = [{"name": name, "steps": len(states), "true_return": known} for name, states, _, _, known in drawn]
        for (_, i), line in zip(ends, about[1:], strict=True):
            line["trajectory"] = i
        ranked_by = "relabelled return" if dataset.rewards is None else "true return"
        write_json(folder / DIAGNOSTICS, {"lines": about, "by": ranked_by, "environment": self.experiment.task.environment})
        write_parquet(folder / "steps.parquet", steps)
        if self.couplings:
            write_parquet(folder / "coupling.parquet", pa.concat_tables(self.couplings))
        write_parquet(folder / "isometry.parquet", self._isometry())
        if self.maze:
            some = np.sort(np.random.default_rng(0).permutation(len(dataset))[:MAX_STATES])
            at = dataset.observations[some, :2]
            write_parquet(folder / "places.parquet", pa.table({"x": at[:, 0], "y": at[:, 1], "reward": squashed[some]}))

    def _line(self, name: str, states: NDArray[np.float32], successors: NDArray[np.float32], expert: int) -> pa.Table:
        """The costs and rewards along one trajectory against the expert that the dataset's rewards have taken for it."""
        cost = self._cost(name, states, successors, max(expert, 0))
        config = self.experiment.config.reward
        assert config.alpha is not None and config.tau is not None
        reward = config.alpha * np.exp(-config.tau * cost / (self.scale if self.scale > 0 else 1.0))
        columns: dict[str, Any] = {
            "name": pa.array([name] * len(states), pa.string()),
            "step": np.arange(len(states), dtype=np.int32),
            "cost": cost,
            "reward": reward,
        }
        if self.maze:
            columns |= {"x": states[:, 0].astype(np.float64), "y": states[:, 1].astype(np.float64)}
        return pa.table(columns)

    def _cost(
        self, name: str, states: NDArray[np.float32], successors: NDArray[np.float32], expert: int
    ) -> NDArray[np.float64]:
        transport, experts = self.experiment.config.transport, self.experiment.experts
        if self.distance:
            cost: NDArray[np.float64] = self.distance(self.features.pairs(states, successors))[
                0 if self.distance.joint else expert
            ]
            return cost
        solved = align_pair(self.features(states), self.features(experts[expert].observations), transport)
        self.couplings.append(_binned(name, solved.plan, solved.first if transport.start == "cut" else 0))
        return solved.cost

    def _isometry(self) -> pa.Table:
        """Quartiles of the distances between states of one trajectory that lie `horizon` steps apart, by space."""
        dataset = self.experiment.dataset
        mean, std = standardisation(torch.from_numpy(dataset.observations))
        spaces: dict[str, Any] = {"standardised states": lambda states: (torch.from_numpy(states) - mean) / std}
        if self.experiment.uses_intents:
            spaces["intents"] = self.features.space
        last = np.repeat(dataset.offsets[1:] - 1, dataset.lengths)
        generator = np.random.default_rng(0)
        found = []
        for horizon in HORIZONS:
            starts = np.flatnonzero(np.arange(len(dataset)) + horizon <= last)
            if not len(starts):
                continue
            rows = generator.choice(starts, PAIRS_PER_HORIZON)
            for name, space in spaces.items():
                ahead, here = space(dataset.observations[rows + horizon]), space(dataset.observations[rows])
                low, median, high = np.quantile((ahead - here).double().norm(dim=1).cpu().numpy(), (0.25, 0.5, 0.75))
                found.append({"space": name, "horizon": horizon, "low": low, "median": median, "high": high})
        return pa.Table.from_pylist(found)


def _same(states: NDArray[np.float32], expert: Expert) -> bool:
    return states.shape == expert.observations.shape and bool(np.array_equal(states, expert.observations))


def _binned(name: str, plan: Tensor, first: int) -> pa.Table:
    """A coupling (Ta, Te') summed over at most MAX_BINS × MAX_BINS blocks, with the steps where each block begins and ends."""
    rows, columns = (_edges(size) for size in plan.shape)
    mass = np.add.reduceat(np.add.reduceat(plan.double().cpu().numpy(), rows[:-1], axis=0), columns[:-1], axis=1)
    down, across = (index.ravel() for index in np.indices(mass.shape))
    spans = {
        "row": rows[down],
        "row_end": rows[down + 1],
        "column": columns[across] + first,
        "column_end": columns[across + 1] + first,
    }
    names = {"name": pa.array([name] * mass.size, pa.string())}
    return pa.table(names | {what: steps.astype(np.int32) for what, steps in spans.items()} | {"mass": mass.ravel()})


def _edges(size: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, size, min(size, MAX_BINS) + 1).round().astype(np.int64))
