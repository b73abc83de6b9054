"""doctor: whether the driver and every node of a cluster can take part, before hours are spent on finding out.

The driver's own machine is a node of the cluster and examined as one. The driver's lines say what that cannot: its storage,
its datasets, and what the cluster as a whole looks like.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

# no public name tells whether Ray asks for a token: the mode may come from a variable, a file, or the default
from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ailot_ray.cluster import checks
from ailot_ray.cluster.checks import Check, Outcome, run_checks
from ailot_ray.cluster.facts import DriverContext, NodeMismatchError, versions
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.reach import require_answer
from ailot_ray.cluster.session import connected
from ailot_ray.errors import AilotError, StoreError, one_line

DRIVER, CLUSTER = "driver", "cluster"
SHARE = "--store must be a folder that every node shares (NFS, say), at the same path"
NODE_REMEDY = "look into that node's /tmp/ray/session_latest/logs, then end Ray there and start it again"
DATA_REMEDY = "install ailot_ray again there, and check --data-dir"


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    node: str
    """The driver, the cluster as a whole, or a node's host name."""
    check: str
    ok: bool | None
    """None where the check does not apply."""
    detail: str
    remedy: str = ""
    """What to do; empty unless the check failed."""


@dataclass(frozen=True)
class Plan:
    """What every node is told to examine."""

    origin: DriverContext | None
    """The driver's store; None where the driver itself cannot use it."""
    versions: Mapping[str, str]
    """The driver's."""
    data_dir: Path
    tasks: Sequence[str]
    seconds: float


def examine(
    options: ClusterOptions,
    store: Path,
    data_dir: Path,
    tasks: Sequence[str] = (),
    *,
    seconds: float = 60.0,
    report: Callable[[Finding], None] = lambda finding: None,
) -> list[Finding]:
    """Examine the driver and every node that is alive.

    `tasks` name those whose files must lie in `data_dir` on every node. No node's answer is waited for longer than a few times
    `seconds`, the limit of each check there. `report` is called with each finding as it comes. What a user can cause is a
    failed finding, not an error: a check that breaks, a node that does not answer, a cluster that cannot be reached. `store`
    is left as it was.
    """
    findings = []
    for finding in _examine(options, store.absolute(), data_dir.absolute(), tasks, seconds):
        findings.append(finding)
        report(finding)
    return findings


def _examine(options: ClusterOptions, store: Path, data_dir: Path, tasks: Sequence[str], seconds: float) -> Iterator[Finding]:
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(_marked(store))
        own = {
            "versions": Check(lambda: checks.compare_versions(versions(), versions()), checks.PACKAGES_REMEDY),
            "storage": Check(lambda: _of_driver(origin), SHARE),
            "datasets": Check(lambda: checks.datasets(data_dir, tasks), DATA_REMEDY),
        }
        yield from _as_findings(DRIVER, run_checks(own))
        try:
            address = options.address or os.environ.get("RAY_ADDRESS")
            if address and not ray.is_initialized():
                require_answer(address)
            # connected() marks the folder that it is given: a store that cannot be written must not end the examination
            scratch = stack.enter_context(tempfile.TemporaryDirectory())
            stack.enter_context(connected(options, Path(scratch)))
        except AilotError as error:
            yield Finding(CLUSTER, "Ray", *checks.failed(error))
            return
        good = origin if isinstance(origin, DriverContext) else None
        yield from _examine_nodes(Plan(good, versions(), data_dir, tasks, seconds))


@contextlib.contextmanager
def _marked(store: Path) -> Iterator[DriverContext | StoreError]:
    """Mark `store` as the driver's, and remove the mark and folders that were not there; the error where that cannot be."""
    new = [folder for folder in (store / ".nodes", store) if not folder.exists()]
    try:
        origin: DriverContext | StoreError = DriverContext.here(store)
    except StoreError as error:
        origin = error
    try:
        yield origin
    finally:
        if isinstance(origin, DriverContext):
            origin.forget()
        for folder in new:
            with contextlib.suppress(OSError):  # fails, as it should, where another command has begun to use it
                folder.rmdir()


def _of_driver(origin: DriverContext | StoreError) -> Outcome:
    if isinstance(origin, StoreError):
        return checks.failed(origin, SHARE)
    return Outcome(True, f"writes {origin.store}")


def _examine_nodes(plan: Plan) -> Iterator[Finding]:
    everyone: Sequence[Mapping[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = {node["NodeID"]: node for node in everyone if node["Alive"]}
    gone = len(everyone) - len(nodes)
    total = ", ".join(f"{kind} {sum(node['Resources'].get(kind, 0) for node in nodes.values()):g}" for kind in ("CPU", "GPU"))
    yield Finding(CLUSTER, "nodes", True, f"{len(nodes)} alive ({total})" + (f"; {gone} ended earlier" if gone else ""))
    address = ray.init(ignore_reinit_error=True).dashboard_url
    dashboard = Check(lambda: checks.dashboard(address, is_token_auth_enabled()), "look at `ray status`")
    yield from _as_findings(CLUSTER, run_checks({"dashboard": dashboard}))

    remote = ray.remote(num_cpus=0, max_retries=0)(examine_here)  # no core is asked for: a busy node answers too
    calls = {}
    for node, about in nodes.items():
        pinned = NodeAffinitySchedulingStrategy(node, soft=False)
        calls[node] = remote.options(scheduling_strategy=pinned).remote(about["Resources"].get("GPU", 0), plan)
    _, late = ray.wait(list(calls.values()), num_returns=len(calls), timeout=4 * plan.seconds) if calls else ([], [])
    for node, call in calls.items():
        name = nodes[node]["NodeManagerHostname"]
        try:
            if call in late:
                ray.cancel(call, force=True)
                raise TimeoutError(f"no answer within {4 * plan.seconds:g} s")
            answer: dict[str, Outcome] = ray.get(call)
            yield from _as_findings(name, answer)
        except Exception as error:  # a node that died, lacks the package, or hangs is a finding
            yield _silent(name, error)


def examine_here(gpus: float, plan: Plan) -> dict[str, Outcome]:
    """On a node: every check there. `gpus` is what Ray schedules here."""
    here = {
        "versions": Check(lambda: checks.compare_versions(versions(), plan.versions), checks.PACKAGES_REMEDY),
        "GPUs": Check(lambda: checks.gpus(gpus, plan.seconds), checks.PACKAGES_REMEDY),
        "storage": Check(lambda: _storage(plan.origin), SHARE),
        "simulators": Check(lambda: checks.simulators(plan.seconds), checks.PACKAGES_REMEDY),
        "rendering": Check(lambda: checks.rendering(plan.seconds), checks.DRAW_REMEDY),
        "datasets": Check(lambda: checks.datasets(plan.data_dir, plan.tasks), DATA_REMEDY),
    }
    return run_checks(here)


def _storage(origin: DriverContext | None) -> Outcome:
    """Whether the node sees the driver's store and can write it."""
    if origin is None:
        return Outcome(None, "not tried: the driver itself cannot write the store")
    try:
        origin.require_same_store()
    except NodeMismatchError as error:
        return checks.failed(error, SHARE)
    return Outcome(True, f"reads and writes {origin.store}")


def _silent(name: str, error: Exception) -> Finding:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [one_line(error)]
    lacks = any(kind in str(error) for kind in ("ModuleNotFoundError", "ImportError", "AttributeError", "No module named"))
    return Finding(name, "worker", False, lines[-1], checks.SAME_PACKAGES if lacks else NODE_REMEDY)


def _as_findings(name: str, outcomes: Mapping[str, Outcome]) -> Iterator[Finding]:
    return (Finding(name, check, *outcome) for check, outcome in outcomes.items())
