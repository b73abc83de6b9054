"""Relabelling as a command: interrupted, its driver killed, a node of its cluster killed, its actors killed at random."""

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ailot_ray.cluster import relabel_by_actors
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.session import connected
from ailot_ray.config import Config

from .programs import Program
from .relabelling import Begun, Hunter, begun, config_of, done, plain, require_nothing_done_twice, times_begun, wait_for
from .tiny import require_nothing_half_written, sealed

pytestmark = [pytest.mark.cluster]

LOSING_A_NODE = Path(__file__).with_name("losing_a_node.py")


def relabelling(config: Config, store: Path, *more: str, before: Sequence[str] = ("-m", "ailot_ray")) -> Program:
    arguments = ["relabel", "--task", config.task, "--data", str(config.data), "--method", "otr", "--device", "cpu"]
    arguments += ["--transport.tolerance", str(config.transport.tolerance)]
    arguments += ["--transport.max-iterations", str(config.transport.max_iterations)]
    return Program([*before, *arguments, "--store", str(store), *more], 240.0, 20.0)


def test_interrupted_then_killed_then_finished(tmp_path: Path) -> None:
    """Each time with parts in flight; what was there is never solved again."""
    parts, store = 10, tmp_path / "store"
    config = config_of(tmp_path, parts)
    expected = sealed(plain(config, tmp_path / "plain"))
    there: frozenset[int] = frozenset()
    for kind, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        first = len(there)
        command = relabelling(config, store, "--workers", "2")
        wait_for(lambda first=first: len(done(store)) >= first + 2, "two more parts")  # type: ignore[misc]
        assert command.process.poll() is None and len(command.processes()) > 5
        if kind == signal.SIGINT:
            os.killpg(command.process.pid, kind)
        else:
            os.kill(command.process.pid, kind)
        _, errors = command.end(status)
        if kind == signal.SIGINT:
            lines = [line for line in errors.splitlines() if line and "trajectory/s" not in line and "its logs" not in line]
            assert lines == ["ailot_ray: interrupted; the same command goes on where this one stopped"]
        require_nothing_half_written(store)
        assert not sealed(store)
        before, there = times_begun(store), done(store)
        assert first + 2 <= len(there) < parts, "it was not stopped in the middle"
    relabelling(config, store, "--workers", "2").end(0)
    assert sealed(store) == expected
    counts = times_begun(store)
    assert all(counts[part] == before[part] for part in there), "a part that was there was solved again"
    assert counts.total() <= parts + 2 * 2, "more was done twice than was in flight"
    assert not list((store / ".work").iterdir()) and not list(store.rglob(".tmp-*"))


@pytest.mark.slow
def test_a_node_is_lost(tmp_path: Path) -> None:
    """One of three nodes of one core each: nothing is left free for what it was doing but the place of another actor."""
    config, store = config_of(tmp_path, 20), tmp_path / "store"
    expected = sealed(plain(config, tmp_path / "plain"))
    output, _ = relabelling(config, store, before=(str(LOSING_A_NODE), "relabel", str(store), "ailot_ray")).end(0)
    lost = json.loads(output.splitlines()[0])
    assert sealed(store) == expected
    counts = times_begun(store)
    assert set(counts) == set(range(20)) and counts.total() <= 21
    assert not {one.part for one in begun(store) if one.time > lost["time"]} & set(lost["done"])
    assert not [one for one in begun(store) if one.pid == lost["pid"] and one.time > lost["time"] + 3.0], "its worker lived on"
    (again,) = (part for part, count in counts.items() if count == 2)
    assert lost["pid"] in {one.pid for one in begun(store) if one.part == again}, "the part in flight on the lost node"


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_twenty_random_kills(tmp_path: Path) -> None:
    parts, kills = 240, 20
    config, store = config_of(tmp_path, parts, iterations=6), tmp_path / "store"
    expected = sealed(plain(config, tmp_path / "plain"))
    rng = random.Random(0)
    due: list[float] = []

    def choose(working: Sequence[Begun]) -> Begun | None:
        if not working:
            return None
        if not due:
            due.append(time.time() + rng.uniform(0.0, 2.0))
        return rng.choice(working) if time.time() > due[0] and due.pop() else None

    options = ClusterOptions(workers=2, retries=kills)
    with Hunter(store, choose, limit=kills) as hunter, connected(options, store) as origin:
        relabel_by_actors(origin, config, 0, options)
    assert len(hunter.kills) == kills, "it was over before the last kill: more parts are needed"
    assert sealed(store) == expected
    require_nothing_done_twice(store, parts, hunter.kills)
    assert times_begun(store).total() - parts >= kills // 2, "most kills missed the parts in flight"
    assert not list((store / ".work").iterdir()) and not list(store.rglob(".tmp-*"))
