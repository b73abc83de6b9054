"""Stages of several methods and seeds on Ray, for a command that is no sweep: one way through the same rooms."""

from collections.abc import Sequence
from pathlib import Path

from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.planning import plan
from ailot_ray.cluster.session import connected
from ailot_ray.cluster.sweep import Sweep
from ailot_ray.cluster.train import fit_by_train
from ailot_ray.cluster.tuning import prepare, run_sweep
from ailot_ray.cluster.work import Job
from ailot_ray.config import Config
from ailot_ray.errors import AilotError
from ailot_ray.stages import Verb


def make_all(
    stage: Verb, base: Config, methods: Sequence[str], seeds: Sequence[int], store: Path, options: ClusterOptions
) -> None:
    """Make the artefacts of `stage`, and of all stages before it, for every method and seed.

    A method that fails does not stop the others. Raises AilotError that names those that failed when all have ended.
    """
    sweep = Sweep("run", base, grid={"method": tuple(methods)}, seeds=tuple(seeds))
    failed: dict[str, str] = {}
    shared: list[str] = []
    if stage == "evaluate":
        for failure in run_sweep(sweep, store, options).failures:
            failed[str(failure.settings["method"])] = failure.reason
    else:
        missing = plan(sweep, store)
        with connected(options, store, missing.data) as origin:
            prepare(origin, missing, options, shared.append, alignments=stage != "pretrain")
            if shared and stage != "train":  # else the trainings that need them fail, each by its name
                raise AilotError("; ".join(dict.fromkeys(shared)))
            for method in methods if stage == "train" else ():
                try:
                    fit_by_train(origin, Job("train", sweep.config({"method": method}), sweep.seeds), options)
                except AilotError as error:
                    failed[method] = str(error)
    if failed:
        raise AilotError("; ".join(f"{stage} {method} {base.task_name}: {reason}" for method, reason in failed.items()))
