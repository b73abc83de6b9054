"""doctor: whether the driver and every node of a cluster can take part, before hours are spent on finding out.

The driver's own machine is a node of the cluster and examined as one. The driver's lines say what that cannot: the versions
that every node must have, its storage and its datasets, and what the cluster as a whole looks like.
"""

import contextlib
import functools
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray._private.worker
from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ailot_ray.cluster import checks, sharing
from ailot_ray.cluster.checks import Check, Outcome, failed, perform, reason
from ailot_ray.cluster.facts import Origin, versions
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.reach import require_answer
from ailot_ray.cluster.session import connected
from ailot_ray.errors import AilotError

DRIVER, CLUSTER = "driver", "cluster"
HEAD = "node:__internal_head__"
"""The resource that Ray gives to the head node alone."""
GRACE = 15.0
"""Seconds beyond its checks' own limit for a node's answer to come back."""
NODE_REMEDY = "look into that node's /tmp/ray/session_latest/logs, then end Ray there and start it again"

Node = Mapping[str, Any]
"""An entry of `ray.nodes()`."""


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    node: str
    """The driver, the cluster as a whole, or a node's host name (with the start of its id where several share the name)."""
    check: str
    ok: bool | None
    """None where the check does not apply."""
    detail: str
    remedy: str = ""
    """What to do; empty unless the check failed."""


@dataclass(frozen=True)
class Plan:
    """What every node is told to examine."""

    origin: Origin | None
    """The driver's store; None where the driver itself cannot use it."""
    data_dir: Path
    tasks: Sequence[str]
    on_driver: frozenset[str]
    """The tasks' own files that the driver has."""
    seconds: float


@dataclass(frozen=True)
class Greeting:
    """A node's first answer."""

    versions: Mapping[str, str]
    time: float
    token_required: bool


def examine(
    options: ClusterOptions,
    store: Path,
    data_dir: Path,
    tasks: Sequence[str] = (),
    *,
    seconds: float = 60.0,
    report: Callable[[Finding], None] | None = None,
) -> list[Finding]:
    """Examine the driver and every node that is alive.

    `tasks` name those whose files must lie in `data_dir` on every node. No check, and no node's answer, is waited for longer
    than about `seconds`. `report` is called with each finding as it comes. What a user can cause is a failed finding, not an
    error: a check that breaks, a node that does not answer, a cluster that cannot be reached. `store` is left as it was.
    """
    findings = []
    for finding in _examine(options, store.absolute(), data_dir.absolute(), tasks, seconds):
        findings.append(finding)
        if report:
            report(finding)
    return findings


def _examine(options: ClusterOptions, store: Path, data_dir: Path, tasks: Sequence[str], seconds: float) -> Iterator[Finding]:
    with contextlib.ExitStack() as stack:
        origin, storage = stack.enter_context(sharing.marked(store, seconds))
        own = {
            "versions": Check(lambda: checks.compare_versions(versions(), versions()), checks.PACKAGES_REMEDY),
            "storage": Check(lambda: storage, sharing.WRITABLE),
            "locks": Check(lambda: sharing.locks_and_renames(origin, DRIVER), sharing.POSIX),
            "datasets": Check(lambda: checks.datasets(data_dir, tasks, ()), checks.DATA_REMEDY),
        }
        with contextlib.suppress(OSError, NotImplementedError):  # where nothing can be locked, the line "locks" says so
            stack.enter_context(sharing.holding(origin))
        yield from _as_findings(DRIVER, perform(own, seconds))
        # connected() marks the folder that it is given: a store that cannot be written must not end the examination.
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        try:
            address = options.address or os.environ.get("RAY_ADDRESS")
            if address and not ray.is_initialized():
                require_answer(address)
            stack.enter_context(connected(options, Path(scratch)))
        except AilotError as error:
            yield Finding(CLUSTER, "Ray", *failed(error))
            return
        yield from _examine_nodes(Plan(origin, data_dir, tasks, frozenset(checks.files_in(data_dir)), seconds))


def _examine_nodes(plan: Plan) -> Iterator[Finding]:
    everyone: Sequence[Node] = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = {node["NodeID"]: node for node in everyone if node["Alive"]}
    names = name_nodes(list(nodes.values()))
    gone = len(everyone) - len(nodes)
    total = ", ".join(f"{kind} {sum(node['Resources'].get(kind, 0) for node in nodes.values()):g}" for kind in ("CPU", "GPU"))
    yield Finding(CLUSTER, "nodes", True, f"{len(nodes)} alive ({total})" + (f"; {gone} ended earlier" if gone else ""))

    greetings = _ask(greet, {node: () for node in nodes}, plan.seconds)
    head = next((greetings[id] for id, node in nodes.items() if HEAD in node["Resources"]), None)
    token_required = head.token_required if isinstance(head, Greeting) else is_token_auth_enabled()
    dashboard = Check(lambda: checks.dashboard(_dashboard_address(), token_required), "look at `ray status`")
    yield from _as_findings(CLUSTER, perform({"dashboard": dashboard}, plan.seconds))

    greeted = {node: answer for node, answer in greetings.items() if isinstance(answer, Greeting)}
    yield from (_silent(names[node], "worker", error) for node, error in greetings.items() if node not in greeted)
    offsets = {node: _clock_offset(node, plan.seconds) for node in greeted}
    arguments = {node: (names[node], nodes[node]["Resources"], plan) for node in greeted}
    answers = _ask(examine_here, arguments, plan.seconds + GRACE)
    for node, greeting in greeted.items():
        same = checks.compare_versions(greeting.versions, versions())
        yield from _as_findings(names[node], {"versions": same, "clock": offsets[node]})
        answer = answers[node]
        if isinstance(answer, Exception):
            yield _silent(names[node], "examination", answer)
            continue
        if plan.origin and answer["storage"].ok:
            confirm = Check(functools.partial(sharing.confirm, plan.origin, names[node]), sharing.SHARE)
            answer |= perform({"storage": confirm}, plan.seconds)
        yield from _as_findings(names[node], answer)


def greet() -> Greeting:
    """On a node: what it runs, its time, and whether its Ray asks for a token."""
    return Greeting(dict(versions()), time.time(), is_token_auth_enabled())


def examine_here(name: str, offered: Mapping[str, float], plan: Plan) -> dict[str, Outcome]:
    """On a node: every check there, side by side."""
    folders = {"temporary files": Path(tempfile.gettempdir())} | ({"the store": plan.origin.store} if plan.origin else {})
    here = {
        "hardware": Check(lambda: checks.hardware(offered), NODE_REMEDY),
        "GPUs": Check(lambda: checks.gpus(offered.get("GPU", 0), plan.seconds), checks.PACKAGES_REMEDY),
        "storage": Check(lambda: sharing.write_and_read(plan.origin, name), sharing.SHARE),
        "locks": Check(lambda: sharing.locks_and_renames(plan.origin, name), sharing.POSIX),
        "space": Check(lambda: sharing.space(folders), sharing.WRITABLE),
        "simulators": Check(lambda: checks.simulators(plan.seconds), checks.PACKAGES_REMEDY),
        "rendering": Check(lambda: checks.rendering(plan.seconds), "`apt-get install libegl1` or `libosmesa6` there"),
        "datasets": Check(lambda: checks.datasets(plan.data_dir, plan.tasks, plan.on_driver), checks.DATA_REMEDY),
    }
    return perform(here, plan.seconds)


def name_nodes(nodes: Sequence[Node]) -> dict[str, str]:
    """A name for each node's id: its host's, with the start of the id where several nodes share a host."""
    hosts = {node["NodeID"]: node["NodeManagerHostname"] for node in nodes}
    shared = Counter(hosts.values())
    return {node: f"{host}-{node[:6]}" if shared[host] > 1 else host for node, host in hosts.items()}


def _ask(function: Callable[..., Any], arguments: Mapping[str, Sequence[Any]], seconds: float) -> dict[str, Any]:
    """Call `function` on each node of `arguments` (by id), all at once; an answer is a value or the Exception in its place."""
    remote = ray.remote(num_cpus=0, max_retries=0)(function)  # no core is asked for: a busy node answers too
    pinned = {node: NodeAffinitySchedulingStrategy(node, soft=False) for node in arguments}
    calls = {node: remote.options(scheduling_strategy=pinned[node]).remote(*given) for node, given in arguments.items()}
    _, late = ray.wait(list(calls.values()), num_returns=len(calls), timeout=seconds) if calls else ([], [])
    answers: dict[str, Any] = {}
    for node, call in calls.items():
        try:
            if call in late:
                ray.cancel(call, force=True)
                raise TimeoutError(f"no answer within {seconds:g} s")
            answers[node] = ray.get(call)
        except Exception as error:
            answers[node] = error
    return answers


def _clock_offset(node: str, seconds: float) -> Outcome:
    """Compare clocks: the node's answer to a second call, which no start of a worker delays, lies between two readings here."""
    before = time.time()
    answer = _ask(greet, {node: ()}, seconds)[node]
    after = time.time()
    if isinstance(answer, Exception):
        return Outcome(False, reason(answer), NODE_REMEDY)
    return checks.clock(answer.time - (before + after) / 2, (after - before) / 2)


def _silent(name: str, check: str, error: Exception) -> Finding:
    cause = reason(error)
    missing = "ModuleNotFoundError" in cause or "ImportError" in cause or "AttributeError" in cause
    return Finding(name, check, False, cause, checks.SAME_PACKAGES if missing else NODE_REMEDY)


def _dashboard_address() -> str | None:
    node = ray._private.worker._global_node
    return node.webui_url if node else None


def _as_findings(name: str, outcomes: Mapping[str, Outcome]) -> Iterator[Finding]:
    return (Finding(name, check, *outcome) for check, outcome in outcomes.items())
