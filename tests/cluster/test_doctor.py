"""doctor on nodes that answer and nodes that do not, its command line and its JSON."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import ray

from ailot_ray.__main__ import main
from ailot_ray.cluster import doctor, sharing
from ailot_ray.cluster.doctor import DRIVER, Finding, examine, name_nodes
from ailot_ray.cluster.facts import Origin, versions
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.reach import UnreachableError, require_answer

from .conftest import tree

NOBODY = "127.0.0.1:1"
"""An address where nothing listens."""


def test_addresses(tmp_path: Path) -> None:
    for address in ("auto", "local"):
        require_answer(address)
    for address in ("nonsense", "http://127.0.0.1:8265", "ray://127.0.0.1:10001", ":6379", "host:"):
        with pytest.raises(UnreachableError, match="is no address of a Ray cluster: give the host:port"):
            require_answer(address)
    for address in (NOBODY, "127.0.0.1:99999"):
        with pytest.raises(UnreachableError, match=f"nothing answers at {address} .*: start Ray there"):
            require_answer(address)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=f"what answers at {address} is not Ray"):
            require_answer(address, seconds=1.0)


def test_names_of_nodes() -> None:
    hosts = {"a1" * 28: "one", "b2" * 28: "two", "c3" * 28: "two"}
    nodes = [{"NodeID": node, "NodeManagerHostname": host} for node, host in hosts.items()]
    assert list(name_nodes(nodes).values()) == ["one", "two-b2b2b2", "two-c3c3c3"]


@pytest.mark.parametrize("name", ["store", "file/store"])
def test_a_cluster_that_is_not_there(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    reported: list[Finding] = []
    found = examine(ClusterOptions(address=NOBODY), tmp_path / name, tmp_path, ["door-human-v1"], report=reported.append)
    assert found == reported
    results = {(finding.node, finding.check): finding.ok for finding in found}
    writable = name == "store"
    assert results == {
        (DRIVER, "versions"): True,
        (DRIVER, "storage"): writable,
        (DRIVER, "locks"): True if writable else None,
        (DRIVER, "datasets"): False,
        ("cluster", "Ray"): False,
    }
    assert all(bool(finding.remedy) is (finding.ok is False) for finding in found)
    assert tree(tmp_path) == {"file"} and not ray.is_initialized()


GOOD = Finding("driver", "storage", True, "writes /store")
IDLE = Finding("node-1", "GPUs", None, "none")
BAD = Finding("node-2", "space", False, "0.5 GiB free\nfor the store", "free some space in /store")


def answer(monkeypatch: pytest.MonkeyPatch, *found: Finding) -> list[Any]:
    """Let doctor find these; returns what it was asked."""
    asked: list[Any] = []

    def fake(*arguments: Any, report: Any, **settings: Any) -> list[Finding]:
        asked.append((arguments, settings))
        for finding in found:
            report(finding)
        return list(found)

    monkeypatch.setattr(doctor, "examine", fake)
    return asked


def test_the_command_of_a_fit_cluster(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = answer(monkeypatch, GOOD, IDLE)
    assert main(["doctor", "--address", "head:6379", "--store", "s", "--data-dir", "d", "--seconds", "5"]) == 0
    captured = capsys.readouterr()
    assert not captured.err
    lines = captured.out.splitlines()
    assert [line.split()[:3] for line in lines[:2]] == [["✓", "driver", "storage"], ["–", "node-1", "GPUs"]]
    assert lines[0].endswith("writes /store") and len(lines) == 3
    assert asked == [((ClusterOptions(address="head:6379"), Path("s"), Path("d"), ()), {"seconds": 5.0})]


def test_the_command_of_an_unfit_cluster(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer(monkeypatch, GOOD, BAD, IDLE)
    assert main(["doctor"]) == 1
    captured = capsys.readouterr()
    line = captured.out.splitlines()[1]
    assert line.split()[:3] == ["✗", "node-2", "space"]
    assert line.endswith(" 0.5 GiB free for the store: free some space in /store")
    assert captured.err == "ailot_ray: 1 check of 3 failed: each line with ✗ ends in its remedy\n"


def test_the_commands_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for found, status in (([GOOD, IDLE], 0), ([GOOD, BAD, BAD], 1)):
        answer(monkeypatch, *found)
        assert main(["doctor", "--json"]) == status
        captured = capsys.readouterr()
        result = json.loads(captured.out.splitlines()[-1])
        assert result == {"ok": status == 0, "findings": [asdict(finding) for finding in found]}
        assert ("2 checks of 3 failed" in captured.err) is (status == 1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--tasks", "hopper-medum-v2"], "did you mean hopper-medium-v2"),
        (["--seconds", "0"], "--seconds is 0, but it must be above 0"),
        (["--adress", "x"], "did you mean --address?"),
    ],
)
def test_flags_that_cannot_work(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *arguments]) != 0
    captured = capsys.readouterr()
    assert text in captured.err and captured.err.count("\n") == 1 and not captured.out


def test_a_command_line_starts_without_ray() -> None:
    code = (
        "import sys, ailot_ray.__main__, ailot_ray.cluster; print('ray' in sys.modules, hasattr(ailot_ray.cluster, 'nonsense'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_every_node_is_examined(tmp_path: Path) -> None:
    found = examine(ClusterOptions(), tmp_path / "store", tmp_path / "data", seconds=120.0)
    (node,) = name_nodes(ray.nodes()).values()  # type: ignore[no-untyped-call]
    examined = {finding.check for finding in found if finding.node == node}
    about_the_node = {
        "versions",
        "clock",
        "hardware",
        "GPUs",
        "storage",
        "locks",
        "space",
        "simulators",
        "rendering",
        "datasets",
    }
    assert examined == about_the_node
    depends_on_the_machine = {"rendering", "space", "hardware"}
    failed = [finding for finding in found if finding.ok is False and finding.check not in depends_on_the_machine]
    assert not failed
    (storage,) = (finding for finding in found if (finding.node, finding.check) == (node, "storage"))
    assert "the driver reads what it wrote" in storage.detail
    assert not tree(tmp_path) and ray.is_initialized()


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_a_node_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everyone: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    ghost = {"NodeID": "ab" * 28, "NodeManagerHostname": "ghost", "Alive": True, "Resources": {"CPU": 4.0}}
    dead = ghost | {"NodeID": "cd" * 28, "Alive": False}
    monkeypatch.setattr(ray, "nodes", lambda: [*everyone, ghost, dead])
    monkeypatch.setattr(doctor, "versions", lambda: {**versions(), "torch": "0.0"})
    found = {(finding.node, finding.check): finding for finding in examine(ClusterOptions(), tmp_path, tmp_path, seconds=60.0)}
    silent = found["ghost", "worker"]
    assert silent.ok is False and "not schedulable" in silent.detail and silent.remedy
    assert not any(node == "ghost" and check != "worker" for node, check in found)
    assert "2 alive (CPU 6" in found["cluster", "nodes"].detail and "1 ended earlier" in found["cluster", "nodes"].detail
    host = everyone[0]["NodeManagerHostname"]
    assert "the driver has 0.0" in found[host, "versions"].detail and found[host, "versions"].ok is False
    assert found[host, "storage"].ok


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_a_worker_that_dies_or_hangs_or_lacks_the_package() -> None:
    node = ray.get_runtime_context().get_node_id()

    def dies() -> None:
        os._exit(3)

    def hangs() -> None:
        time.sleep(600)

    def lacks() -> None:
        raise ModuleNotFoundError("No module named 'ailot_ray'")

    began = time.monotonic()
    for function, seconds, text in (
        (dies, 60, "died unexpectedly"),
        (hangs, 1, "no answer within 1 s"),
        (lacks, 60, "No module"),
    ):
        error = doctor._ask(function, {node: ()}, seconds)[node]
        finding = doctor._silent("node", "worker", error)
        assert finding.ok is False and text in finding.detail and "\n" not in finding.detail
        assert ("requirements.txt" in finding.remedy) is (function is lacks)
    assert time.monotonic() - began < 60


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_a_lock_of_the_driver_holds_in_a_worker(shared: Origin) -> None:
    node = ray.get_runtime_context().get_node_id()
    for context, ok in ((contextlib.nullcontext(), False), (sharing.holding(shared), True)):
        with context:
            assert doctor._ask(sharing.locks_and_renames, {node: (shared, "node")}, 60.0)[node].ok is ok
