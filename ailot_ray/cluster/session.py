"""One connection to Ray for one command: joined or started, and ended with everything that it started."""

import contextlib
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import ray
import torch
import yaml
from filelock import FileLock, Timeout

from ailot_ray.cluster.facts import DriverContext
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.reach import require_answer
from ailot_ray.errors import AilotError
from ailot_ray.progress import tell_line

WORKER_ENVIRONMENT = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of a configuration mean the driver's folder
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # one process less a group: a node that goes away is survived by the store
    "RAY_AIR_NEW_OUTPUT": "0",  # or Tune draws a box whatever it is told
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the command; Tune would go on to the table of what there is
    "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl"),
}


SHORT_FOLDER = Path("/tmp")
"""The sockets of Ray lie below; their names may have 107 characters in all."""


FOLDER_PREFIX, OWNER = "ailot-", "owner.lock"
LOGS_SECONDS = 24 * 3600.0
"""So long the logs of a command that was killed or failed are kept."""


class ClusterError(AilotError):
    """Ray cannot be reached or started."""


@contextlib.contextmanager
def connected(options: ClusterOptions, store: Path, data: Mapping[str, str] | None = None) -> Iterator[DriverContext]:
    """Join the cluster of `options`, or start Ray on this machine; yields what remote calls carry along.

    `data` is the SHA-256 of each dataset by its source, to which workers are held. A session that is already open is used and
    left open. Otherwise the connection is closed at the end, by whatever end: a local Ray with all of its processes, or this
    driver's actors, tasks and placement groups on a cluster. Raises ClusterError where Ray cannot be reached, StoreError where
    `store` cannot be written.
    """
    with contextlib.ExitStack() as stack:
        origin = DriverContext.here(store, data)
        stack.callback(origin.forget)
        if not ray.is_initialized():
            address = options.address or os.environ.get("RAY_ADDRESS")
            if address is None:
                stack.enter_context(_own_folder())
            stack.callback(ray.shutdown)
            _start(options, address)
        yield origin


@contextlib.contextmanager
def _own_folder() -> Iterator[None]:
    """A folder for the files of a local Ray, removed where all went well; else its logs stay.

    In the folder that all sessions of a machine share, Ray Train's own watchdogs take the newest session for theirs: with two
    at a time, one would look for its workers among the other's.
    """
    if "RAY_TMPDIR" in os.environ:
        yield
        return
    home = SHORT_FOLDER if SHORT_FOLDER.is_dir() else Path(tempfile.gettempdir())
    _remove_leftovers(home)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=home))
    os.environ["RAY_TMPDIR"] = str(folder)
    tell_line(f"Ray starts on this machine; its logs, which stay if this command fails: {folder}/ray/session_latest/logs")
    try:
        with FileLock(folder / OWNER):
            yield
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        del os.environ["RAY_TMPDIR"]


def _remove_leftovers(home: Path) -> None:
    """Remove the folders of commands that were killed or failed, when their logs have stayed for :data:`LOGS_SECONDS`."""
    for folder in home.glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):  # somebody else's, or of one that still runs
            if (folder / OWNER).stat().st_mtime < time.time() - LOGS_SECONDS:
                with FileLock(folder / OWNER, timeout=0):
                    shutil.rmtree(folder)


def _start(options: ClusterOptions, address: str | None) -> None:
    os.environ.update({name: value for name, value in WORKER_ENVIRONMENT.items() if name not in os.environ})
    local = address is None
    if address:
        require_answer(address)  # where nobody answers, Ray would go on trying for minutes
    # Ray Train's watchdogs look for "the" Ray of a machine, and find none where there are two: a stopped trial kept its CPUs
    port = _free_port()
    head = address or f"{ray.util.get_node_ip_address()}:{port}"  # type: ignore[no-untyped-call]
    if local:
        os.environ["RAY_GCS_SERVER_PORT"] = str(port)
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # that tokens are on is as it should be
    try:
        ray.init(
            address=address or "local",
            num_cpus=(options.workers or os.cpu_count()) if local else None,
            runtime_env={"env_vars": WORKER_ENVIRONMENT | ({} if head == "auto" else {"RAY_ADDRESS": head})},
            logging_level=logging.WARNING,
            log_to_driver=True,  # the bars of long work on workers, and what an autoscaler does
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = address or "this machine"
        reason = " ".join(str(error).split())[:300]
        raise ClusterError(
            f"no Ray at {where} ({reason}): check --address, or leave it out to start Ray on this machine"
        ) from error
    finally:
        os.environ.pop("RAY_GCS_SERVER_PORT", None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def gpus_per_worker(options: ClusterOptions) -> float:
    """GPUs of each worker, as asked for, else 1 where the connected cluster has any."""
    if options.gpus_per_worker is not None:
        return options.gpus_per_worker
    return 1.0 if _resources().get("GPU", 0) else 0.0


def capacity(options: ClusterOptions) -> int:
    """How many workers the connected cluster runs side by side, by its GPUs and their shares, else by its cores.

    Nodes that its autoscaler may still add count as well: they come when they are asked for, and not before.
    """
    share = gpus_per_worker(options)
    kind, each = ("GPU", share) if share else ("CPU", 1.0)
    count = max(int(_resources().get(kind, 0) / each), _workers_at_most(kind, each))
    if share and options.workers:  # the user's word, where nothing here knows what may come
        return options.workers
    return max(1, min(count, options.workers or count))


CLUSTER_FILE = Path("~/ray_bootstrap_config.yaml")
"""Where `ray up` leaves the cluster's file on its head."""


def _workers_at_most(kind: str, each: float) -> int:
    """Workers that take `each` of `kind` on all nodes that the cluster's file allows; 0 where there is no autoscaler here."""
    file = CLUSTER_FILE.expanduser()
    if not file.exists() or ray.get_runtime_context().gcs_address.rpartition(":")[0] not in _own_addresses():
        return 0
    settings = yaml.safe_load(file.read_text())
    types = settings.get("available_node_types", {})
    left = int(settings.get("max_workers", 0))
    workers = 0
    for node in sorted(types.values(), key=lambda node: -node.get("resources", {}).get(kind, 0)):
        nodes = min(left, int(node.get("max_workers", left)))
        workers, left = workers + nodes * int(node.get("resources", {}).get(kind, 0) / each), left - nodes
    return workers


def _own_addresses() -> tuple[str, ...]:
    return "127.0.0.1", ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]


def worker_resources(options: ClusterOptions) -> dict[str, float]:
    """What one worker takes, as keyword arguments of `ray.remote`."""
    return {"num_cpus": 1, "num_gpus": gpus_per_worker(options)}


def limit_gpu_memory(share: float) -> None:
    """Keep this process to its share of its GPU's memory, so that one that wants more fails alone."""
    if 0 < share < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(share)


def _resources() -> dict[str, float]:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources


def object_store_bytes() -> int:
    """Bytes taken in the object store of the cluster that this process is connected to."""
    name = "object_store_memory"
    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    return int(_resources().get(name, 0.0) - free.get(name, 0.0))


def raised(error: Exception) -> Exception:
    """What to raise for an error that came out of Ray: an AilotError as it was raised on the worker, or one line about it."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, AilotError):
        return type(cause)(str(cause))
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return ClusterError(
        f"a Ray worker failed ({lines[0]} {lines[-1] if len(lines) > 1 else ''}): run the same command again, it goes on where "
        "it was; `doctor` looks at the nodes"
    )
