"""Stages of several methods and seeds: in this process where one is enough, on Ray where more can work side by side."""

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ailot_ray import cluster
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.config import Config
from ailot_ray.errors import AilotError
from ailot_ray.pipeline import Experiment, run_stage
from ailot_ray.pipeline.align import SHARD
from ailot_ray.stages import Verb
from ailot_ray.store import Artefact, Store

_LOGGER = logging.getLogger(__name__)

FEW_PARTS = 8
"""An alignment of no more parts is done before Ray has started."""


def run_all(
    stage: Verb, base: Config, methods: Sequence[str], seeds: Sequence[int], root: Path, options: ClusterOptions
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
        together = [seeds] if experiment.device.type == "cuda" else [[seed] for seed in seeds]  # stacked, in one step
        for group in together:
            try:
                done += run_stage(stage, experiment, group)  # what Ray has made is read back
            except (AilotError, OSError) as error:
                failed.setdefault((method, str(error)), []).extend(group)
    if failed:
        raise AilotError("; ".join(_failure(stage, base.task_name, *what, those) for what, those in failed.items()))
    return done


def _failure(stage: Verb, task: str, method: str, reason: str, seeds: Sequence[int]) -> str:
    return f"{stage} {method} {task} seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}: {reason}"


def _worth_ray(
    stage: Verb, base: Config, methods: Sequence[str], seeds: Sequence[int], root: Path, options: ClusterOptions
) -> bool:
    """Whether there is more than one thing to do at a time. `--workers 1` without an address never starts Ray."""
    if options.address is not None:
        return True
    if options.workers == 1:
        return False
    if options.workers is None and importlib.util.find_spec("ray") is None:
        _LOGGER.warning("one thing at a time, as ray is not installed: `pip install 'ailot-ray[ray]'` works on all cores")
        return False
    if len(methods) * len(seeds) > 1:
        return True
    trajectories = Experiment.open(replace(base, method=methods[0]), Store(root)).dataset.trajectories
    return stage == "relabel" and trajectories > FEW_PARTS * SHARD
