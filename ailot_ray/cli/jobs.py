"""Stages of several methods and seeds: in this process where one is enough, on Ray where more can work side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ailot_ray import cluster
from ailot_ray.cluster.options import ClusterOptions, Stage
from ailot_ray.config import Config
from ailot_ray.errors import AilotError
from ailot_ray.pipeline import Experiment, evaluate, pretrain, relabel, train
from ailot_ray.pipeline.align import SHARD
from ailot_ray.store import Artefact, Store

FEW_PARTS = 8
"""An alignment of no more parts is done before Ray has started."""


def perform(stage: Stage, experiment: Experiment, seed: int) -> Artefact:
    """One stage, with all that it needs, for one seed in this process."""
    stages = {"pretrain": pretrain, "relabel": relabel, "train": train, "evaluate": evaluate}
    return stages[stage](experiment, [seed])[0]


def perform_all(
    stage: Stage, base: Config, methods: Sequence[str], seeds: Sequence[int], root: Path, options: ClusterOptions
) -> list[Artefact]:
    """Do a stage for all methods and seeds and return the artefacts, method by method.

    One that fails does not stop the others; when all have ended, AilotError names those that failed.
    """
    if _worth_ray(stage, base, methods, seeds, root, options):
        cluster.make_all(stage, base, methods, seeds, root, options)
    done: list[Artefact] = []
    failed: dict[tuple[str, str], list[int]] = {}
    for method in methods:
        experiment = Experiment.open(replace(base, method=method), Store(root))
        if experiment.device.type == "cuda" and len(seeds) > 1:
            _learn_stacked(stage, experiment, seeds)
        for seed in seeds:
            try:
                done.append(perform(stage, experiment, seed))  # what Ray has made is read back
            except (AilotError, OSError) as error:
                failed.setdefault((method, str(error)), []).append(seed)
    if failed:
        raise AilotError("; ".join(_failure(stage, base.task_name, *what, those) for what, those in failed.items()))
    return done


def _failure(stage: Stage, task: str, method: str, reason: str, seeds: Sequence[int]) -> str:
    return f"{stage} {method} {task} seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}: {reason}"


def _worth_ray(
    stage: Stage, base: Config, methods: Sequence[str], seeds: Sequence[int], root: Path, options: ClusterOptions
) -> bool:
    """Whether there is more than one thing to do at a time. `--workers 1` without an address never starts Ray."""
    if options.address is not None:
        return True
    if options.workers == 1:
        return False
    if len(methods) * len(seeds) > 1:
        return True
    trajectories = Experiment.open(replace(base, method=methods[0]), Store(root)).dataset.trajectories
    return stage == "relabel" and trajectories > FEW_PARTS * SHARD


def _learn_stacked(stage: Stage, experiment: Experiment, seeds: Sequence[int]) -> None:
    """Train the seeds together, so that the single ones only read them back."""
    if experiment.uses_intents:
        pretrain(experiment, seeds)
    if stage in ("train", "evaluate"):
        train(experiment, seeds)
