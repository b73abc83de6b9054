"""What a worker does with the seeds it was given, the same under Ray Train, inside a Tune trial, or with neither."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ailot_ray.config import Config
from ailot_ray.pipeline import Experiment, evaluate, pretrain, score_snapshot, train
from ailot_ray.pipeline.pretrain import CURVE
from ailot_ray.pipeline.train import snapshot_name, snapshot_steps
from ailot_ray.records import EPISODES
from ailot_ray.stages import Verb
from ailot_ray.store import file_name_of, read_json

POINTS = 10
"""Reports of a pretraining on its way."""


@dataclass(frozen=True)
class Job:
    """A stage for one configuration and some of its seeds."""

    stage: Verb
    config: Config
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        seeds = "-".join(map(str, self.seeds))[:60]  # a folder's name ends at 255 bytes
        return f"{self.stage}-{file_name_of(self.config.method)}-{file_name_of(self.config.task_name)}-seeds-{seeds}"


@dataclass(frozen=True)
class Point:
    """What is known at one step of all seeds of a worker."""

    step: int
    values: dict[int, float]
    """The metric of each seed: the mean score of a snapshot, or the loss of a pretraining."""
    files: dict[int, Path] = field(default_factory=dict)
    """The snapshot of each seed."""

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.values.values())))

    @property
    def spread(self) -> float:
        """Sample standard deviation over seeds; 0 for one."""
        return float(np.std(list(self.values.values()), ddof=1)) if len(self.values) > 1 else 0.0


Report = Callable[[Point], None]


class SeedBarrier:
    """Collects values of seeds that may not advance together, and tells of each step once, when every seed has reached it.

    A seed records all of its steps, in their order; those it recorded before it may record again. So each worker of a group
    tells the same steps in the same order, however its seeds were divided, resumed or already done: Ray Train's reports are a
    barrier, and a worker that reports less often than another would stop it for ever.
    """

    def __init__(self, seeds: Sequence[int], tell: Report) -> None:
        self.seeds, self.tell = tuple(seeds), tell
        self.values: dict[int, dict[int, float]] = {}
        self.files: dict[int, dict[int, Path]] = {}
        self.last = -1

    def record(self, seed: int, step: int, value: float, file: Path | None = None) -> None:
        if step <= self.last:
            return
        self.values.setdefault(step, {})[seed] = value
        if file:
            self.files.setdefault(step, {})[seed] = file
        for ready in sorted(step for step, values in self.values.items() if len(values) == len(self.seeds)):
            self.last = ready
            self.tell(Point(ready, self.values.pop(ready), self.files.pop(ready, {})))


def run_job(experiment: Experiment, job: Job, tell: Report) -> None:
    """Do `job` and tell of each step that all its seeds have reached. Raises what the stages raise."""
    {"pretrain": _pretrain, "train": _train, "evaluate": _evaluate}[job.stage](experiment, job.seeds, tell)


def _pretrain(experiment: Experiment, seeds: Sequence[int], tell: Report) -> None:
    gathered, total = SeedBarrier(seeds, tell), experiment.config.icvf.steps
    reached = dict.fromkeys(seeds, 0)

    def record(together: Sequence[int], point: dict[str, Any]) -> None:
        for member, seed in enumerate(together):
            if point["step"] * POINTS // total > reached[seed] * POINTS // total:
                loss = point["loss"]
                gathered.record(seed, point["step"], loss[member] if isinstance(loss, list) else loss)
                reached[seed] = point["step"]

    for group in _groups(experiment, seeds):
        for seed, artefact in zip(group, pretrain(experiment, group, record), strict=True):
            for point in read_json(artefact.path(CURVE)):  # what a seed that was finished before has not told
                record([seed], point)


def _train(experiment: Experiment, seeds: Sequence[int], tell: Report) -> None:
    for group in _groups(experiment, seeds):
        train(experiment, group)


def _evaluate(experiment: Experiment, seeds: Sequence[int], tell: Report) -> None:
    gathered, reached = SeedBarrier(seeds, tell), dict.fromkeys(seeds, 0)
    config = experiment.config.iql
    early = snapshot_steps(config.steps, config.snapshots)[:-1]  # the last is told when all is sealed: who hears may kill us
    for group in _groups(experiment, seeds):

        def score(together: Sequence[int], step: int, files: Sequence[Path]) -> None:
            for seed, file in zip(together, files, strict=True):
                for ready in early:  # this snapshot, and before it those of a training that was killed since
                    kept = file.with_name(snapshot_name(ready))
                    if reached[seed] < ready <= step:
                        value = score_snapshot(experiment, seed, ready, kept)
                        if value is not None:
                            gathered.record(seed, ready, value, kept)
                reached[seed] = step

        # a finished seed's snapshots are in their artefact, not where they were scored
        for seed, policies in zip(group, train(experiment, group, score), strict=True):
            episodes = pq.read_table(evaluate(experiment, [seed])[0].path(EPISODES), columns=["step", "score"]).to_pandas()
            for step, value in episodes.groupby("step")["score"].mean().items():
                gathered.record(seed, int(step), float(value), policies.path(snapshot_name(int(step))))


def _groups(experiment: Experiment, seeds: Sequence[int]) -> list[list[int]]:
    """Seeds that train stacked, in one step, on a GPU; one by one on a CPU, where stacking gains nothing."""
    return [list(seeds)] if experiment.device.type == "cuda" else [[seed] for seed in seeds]


def copy_files(point: Point, folder: Path) -> None:
    """Put the snapshots of `point` into `folder`, by seed."""
    for seed, file in point.files.items():
        shutil.copyfile(file, folder / f"seed-{seed}{file.suffix}")
