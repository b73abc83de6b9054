"""Running a sweep: shared stages once each, then Ray Tune over the trials, then a table that also names what failed."""

import contextlib
import functools
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ray.tune.integration.ray_train import TuneReportCallback

from ailot_ray.cluster.announce import SweepStatusCallback, publishing_status
from ailot_ray.cluster.brackets import BracketATask
from ailot_ray.cluster.facts import DriverContext
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.planning import Plan, plan, score_settings
from ailot_ray.cluster.relabel import align_by_actors
from ailot_ray.cluster.session import capacity, connected, gpus_per_worker, limit_gpu_memory, raised, worker_resources
from ailot_ray.cluster.studies import Studies, finished_before
from ailot_ray.cluster.sweep import Sweep
from ailot_ray.cluster.trackers import Wandb, WandbTrials, trial_name
from ailot_ray.cluster.train import RAY_FOLDER, fit_by_train
from ailot_ray.cluster.work import Job, Point, run_job
from ailot_ray.config import Config
from ailot_ray.errors import AilotError
from ailot_ray.progress import silence, tell_line

METRIC, STEP = "score", "step"
WAITING_MEMORY = 512 * 2**20
"""Bytes of a trial that only waits for its worker group: no CPU of it, which the workers may need whole."""


@dataclass(frozen=True)
class Failure:
    """A trial that did not end in scores."""

    settings: Mapping[str, Any]
    reason: str
    log: Path
    """Tune's folder of the trial."""


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to. The numbers themselves are in the store."""

    sweep: Sweep
    settings: Sequence[Mapping[str, Any]]
    """Of every trial, in the order in which they were run."""
    scores: frozenset[str]
    """Digests of the score artefacts of all trials."""
    failures: Sequence[Failure] = ()
    stopped: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    """Trials that the scheduler stopped early."""


def run_sweep(
    sweep: Sweep, store: Path, options: ClusterOptions, wandb: Wandb | None = None, ahead: Plan | None = None
) -> SweepResult:
    """Run what is missing of `sweep`: pretrainings, alignments, then the trials; reads back what `store` has.

    `ahead` is its plan, where it has been made already.

    A trial that fails does not stop the others. Raises ConfigError or DataError for a sweep that cannot work, before anything
    is started, and ClusterError where Ray cannot be reached.
    """
    ahead = ahead or plan(sweep, store)
    done = {step.digest for step in ahead.steps["scores"] if step.done}
    settings = [chosen for chosen, _ in ahead.trials]
    before = finished_before(sweep, store) if sweep.space else {}
    search = Studies(sweep, METRIC, [(entry.settings, score) for entry, score in before.values()]) if sweep.space else None
    if search:
        settings = [entry.settings for entry, _ in before.values()]
    waiting = [chosen for chosen, scores in ahead.trials if not sweep.space and not scores <= done]
    if not (search.trials if search else waiting):
        return SweepResult(sweep, settings, frozenset(score_settings(sweep, store, settings)))
    drawn = [entry for entry, _ in before.values()]
    with connected(options, store, ahead.data) as origin, publishing_status(ahead, origin.store, drawn) as announcer:
        if not sweep.space:
            prepare(origin, ahead, options, lambda failure: sys.stderr.write(f"ailot_ray: {failure}\n"))
        return _tune(origin, sweep, settings, waiting, options, announcer, wandb, search)


def prepare(
    origin: DriverContext, ahead: Plan, options: ClusterOptions, tell: Callable[[str], object], alignments: bool = True
) -> None:
    """Make the pretrainings and alignments that trials share, each once.

    What fails is told, and the rest is made: its trials will stand in the table as failed.
    """
    groups: dict[tuple[str, str], tuple[Config, list[int]]] = {}
    for step in ahead.missing("intents"):
        key = (step.task, repr((step.key["data"], step.key["icvf"])))
        groups.setdefault(key, (step.config, []))[1].append(step.seed)
    jobs = [Job("pretrain", config, tuple(seeds)) for config, seeds in groups.values()]
    for job in jobs:
        tell_line(f"pretraining {job.config.task_name}, seeds {' '.join(map(str, job.seeds))}")
    refs = (
        [_prepare_job.remote(origin, job, options) for job in jobs]
        if use_train(options, len(jobs))
        else [
            _perform_job.options(**worker_resources(options), max_retries=options.retries).remote(
                origin, Job("pretrain", job.config, (seed,)), gpus_per_worker(options)
            )
            for job in jobs
            for seed in job.seeds
        ]
    )
    for ref in refs:
        with _telling(tell):
            ray.get(ref)
    for step in ahead.missing("alignment") if alignments else ():
        with _telling(tell):
            align_by_actors(origin, step.config, step.seed, options)


@contextlib.contextmanager
def _telling(tell: Callable[[str], object]) -> Iterator[None]:
    try:
        yield
    except ray.exceptions.RayError as error:
        tell(str(raised(error)))
    except AilotError as error:
        tell(str(error))


def use_train(options: ClusterOptions, jobs: int) -> bool:
    """Whether Ray Train runs `jobs`: as told, else wherever they alone would leave workers idle or there are GPUs."""
    if options.launcher != "auto":
        return options.launcher == "train"
    return bool(gpus_per_worker(options)) or jobs < capacity(options)


@ray.remote(num_cpus=0)
def _prepare_job(origin: DriverContext, job: Job, options: ClusterOptions) -> None:
    fit_by_train(origin, job, options)


@ray.remote(num_cpus=1)
def _perform_job(origin: DriverContext, job: Job, gpus: float) -> None:
    origin.require_same_node()
    limit_gpu_memory(gpus)
    run_job(origin.open(job.config), job, lambda point: None)


def _tune(
    origin: DriverContext,
    sweep: Sweep,
    settings: Sequence[Mapping[str, Any]],
    waiting: Sequence[Mapping[str, Any]],
    options: ClusterOptions,
    announcer: SweepStatusCallback,
    wandb: Wandb | None,
    search: Studies | None,
) -> SweepResult:
    count = search.trials if search else len(waiting)
    share = gpus_per_worker(options)
    by_train = _by_train(sweep, options, count)
    workers = (1 if share else min(len(sweep.seeds), capacity(options))) if by_train else 1
    folder = origin.store / RAY_FOLDER / "tune"
    body = functools.partial(_trial, origin=origin, sweep=sweep, options=options, workers=workers if by_train else 0)
    space: dict[str, Any] = {} if search else {"settings": tune.grid_search([dict(chosen) for chosen in waiting])}
    scheduler = BracketATask(STEP, sweep.base.iql.steps) if sweep.scheduler == "asha" else None
    tuner = tune.Tuner(
        tune.with_resources(body, {"memory": WAITING_MEMORY} if by_train else {"cpu": 1, "gpu": share}),
        param_space=space,
        tune_config=TuneConfig(
            metric=METRIC,
            mode="max",
            num_samples=search.trials if search else 1,
            search_alg=search,
            scheduler=scheduler,
            max_concurrent_trials=_at_once(options, by_train, workers),
            trial_name_creator=lambda trial: trial_name(sweep, trial.config["settings"]),
            trial_dirname_creator=lambda trial: trial_name(sweep, trial.config["settings"]),
        ),
        run_config=RunConfig(
            name=sweep.name,
            storage_path=str(folder),
            failure_config=FailureConfig(max_failures=options.retries),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            callbacks=[announcer, *([WandbTrials(sweep, wandb, origin.store / "wandb")] if wandb else [])],
            verbose=0,  # the announcer tells of each trial
        ),
    )
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Tune's own ends in a table, as if the sweep had been finished
    results = tuner.fit()
    failures, stopped, ran = [], [], []
    for result in (results[i] for i in range(len(results))):
        chosen = (result.config or {}).get("settings", {})
        ran.append(chosen)
        reason = (result.metrics or {}).get("failure") or (_last_line(result.error) if result.error else None)
        if reason:
            failures.append(Failure(chosen, reason, Path(result.path)))
        elif not (result.metrics or {}).get("complete"):
            stopped.append(chosen)
    trials = [*settings, *ran] if search else settings
    return SweepResult(sweep, trials, frozenset(score_settings(sweep, origin.store, trials)), failures, stopped)


def _by_train(sweep: Sweep, options: ClusterOptions, trials: int) -> bool:
    """Whether trials train in worker groups. On GPUs one is one worker, its seeds stacked: its own process will do."""
    if options.launcher == "auto" and gpus_per_worker(options):
        return False
    return use_train(options, trials) or (sweep.scheduler == "asha" and len(sweep.seeds) > 1 and options.launcher == "auto")


def _at_once(options: ClusterOptions, by_train: bool, workers: int) -> int | None:
    """How many trials Tune starts at once; None leaves it to what each asks for.

    Trials in their own processes ask for their worker's place: those that wait for one are what an autoscaler adds nodes for.
    A trial of Ray Train's asks for none, only its worker group does.
    """
    if by_train:
        return max(1, capacity(options) // workers)
    return options.workers


def _last_line(error: BaseException) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)


def _trial(params: dict[str, Any], origin: DriverContext, sweep: Sweep, options: ClusterOptions, workers: int) -> None:
    """One configuration with all its seeds, inside a Tune trial: with Ray Train (`workers` of it) or here (0)."""
    job = Job("evaluate", sweep.config(params["settings"]), sweep.seeds)
    total = job.config.iql.steps

    def tell(point: Point) -> None:
        tune.report({STEP: point.step, METRIC: point.mean, "spread": point.spread, "complete": point.step == total})

    try:
        if workers:
            fit_by_train(origin, job, options, workers, [_MeanOverSeeds(total)])
        else:
            origin.require_same_node()
            limit_gpu_memory(gpus_per_worker(options))
            silence()
            run_job(origin.open(job.config), job, tell)
    except AilotError as error:  # the same again would fail the same: reported, not raised, so that Tune does not retry
        tune.report({STEP: 0, METRIC: math.nan, "spread": math.nan, "complete": False, "failure": str(error)})


class _MeanOverSeeds(TuneReportCallback):
    """Hands Tune the mean over the seeds of all workers, where Ray's own callback knows the first worker's only."""

    def __init__(self, total: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = total

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        values = {int(seed): value for worker in metrics for seed, value in worker["values"].items()}
        point = Point(metrics[0]["step"], values)
        told = {STEP: point.step, METRIC: point.mean, "spread": point.spread, "complete": point.step == self.total}
        super().after_report(run_context, [told], checkpoint)
