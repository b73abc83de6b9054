"""Ray Train: a worker group that divides the seeds of one configuration among its workers.

Seeds share nothing, so no gradient is exchanged; what Ray Train gives is placement, restarts, metrics and checkpoints. A
restarted group goes on from the artefact store, whose checkpoints are at most 20 seconds old and end in the same bytes; the
checkpoints reported to Ray hold the snapshots of every seed, for whoever reads the run with Ray's own tools.
"""

import json
import logging
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train import CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, TorchTrainer

from ailot_ray.cluster.facts import DriverContext
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.session import capacity, gpus_per_worker, limit_gpu_memory, raised
from ailot_ray.cluster.work import Job, Point, copy_files, run_job
from ailot_ray.errors import AilotError
from ailot_ray.files import replacing
from ailot_ray.store import digest_of

RAY_FOLDER = "ray"
"""Below the store: what Ray Train and Ray Tune keep for themselves (metrics, logs, TensorBoard files)."""


@dataclass(frozen=True)
class _Assignment:
    """What a worker group is started with."""

    origin: DriverContext
    job: Job
    gpus: float
    verdict: Path
    """Where a worker writes why going on is useless."""


class _NoProcessGroup(TorchConfig):
    """Workers that exchange no gradients need none: NCCL would have to be there, and refuses two shares of one GPU."""

    @property
    def backend_cls(self) -> type[Backend]:
        return Backend


def fit_by_train(
    origin: DriverContext, job: Job, options: ClusterOptions, workers: int | None = None, callbacks: Sequence[Any] = ()
) -> None:
    """Do `job` in a TorchTrainer of at most one worker a seed; on GPUs, of as many as `workers` (default 1, seeds stacked).

    The run is named by what it computes, so the same call after a crash of everything goes on. Raises AilotError as a stage
    raised it (a loss that is not finite, say), at once and without a retry; ClusterError where workers kept dying.
    """
    share = gpus_per_worker(options)
    count = min(len(job.seeds), workers or (1 if share else capacity(options)))
    folder = origin.store / RAY_FOLDER / "train"
    name = run_name(job)
    verdict = folder / name / "failed.json"
    verdict.unlink(missing_ok=True)
    trainer = TorchTrainer(
        _work,
        train_loop_config={"assignment": _Assignment(origin, job, share, verdict)},
        torch_config=_NoProcessGroup(),
        scaling_config=ScalingConfig(
            num_workers=count,
            use_gpu=share > 0,
            resources_per_worker={"CPU": 1, **({"GPU": share} if share else {})},
        ),
        run_config=RunConfig(  # type: ignore[call-arg]  # mypy sees the older of the two that ray.train has
            name=name,
            storage_path=str(folder),
            failure_config=FailureConfig(max_failures=options.retries),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            callbacks=list(callbacks),
            logging_config=LoggingConfig(log_level="WARNING"),
        ),
    )
    failure: Exception | None = None
    try:
        _fit(trainer)
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        failure = error
    if verdict.exists():
        raise AilotError(json.loads(verdict.read_text())["message"]) from failure
    if failure:
        raise raised(failure) from failure


def _fit(trainer: TorchTrainer) -> None:
    """`trainer.fit()` beside the main thread, where Ray Train would take Ctrl-C over: it waits, then exits with status 0."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            trainer.fit()
            future.set_result(None)
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    future.result()


def run_name(job: Job) -> str:
    """The deterministic name of a job's training run."""
    return f"{job.name}-{digest_of('run', {'job': repr(job)})[:12]}"


def _work(settings: dict[str, Any]) -> None:
    logging.getLogger().setLevel(logging.WARNING)  # Ray Train's own level lets a line a report through
    assignment: _Assignment = settings["assignment"]
    if assignment.verdict.exists():  # the same again would fail the same
        return
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    mine = replace(assignment.job, seeds=assignment.job.seeds[rank::world])

    def tell(point: Point) -> None:
        metrics = {"step": point.step, "values": {str(seed): value for seed, value in point.values.items()}}
        with tempfile.TemporaryDirectory() as folder:
            copy_files(point, Path(folder))
            checkpoint = ray.train.Checkpoint.from_directory(folder) if point.files else None
            ray.train.report(metrics, checkpoint=checkpoint, checkpoint_dir_name=f"step-{point.step:08d}")

    try:
        assignment.origin.require_same_node()
        limit_gpu_memory(assignment.gpus)
        run_job(assignment.origin.open(mine.config), mine, tell)
    except AilotError as error:
        with replacing(assignment.verdict) as temporary:
            temporary.write_text(json.dumps({"message": str(error)}))
        raise  # which stops the other workers, who may wait at a report, and starts a group that reads the verdict
