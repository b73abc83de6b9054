"""doctor on nodes that answer and nodes that do not, its command line and its JSON."""

import json
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import ray

from ailot_ray import cluster
from ailot_ray.__main__ import main
from ailot_ray.cluster import doctor
from ailot_ray.cluster.doctor import DRIVER, Finding, examine
from ailot_ray.cluster.facts import TOKENS, DriverContext, NodeMismatchError, versions
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
        (DRIVER, "datasets"): False,
        ("cluster", "Ray"): False,
    }
    assert all(bool(finding.remedy) is (finding.ok is False) for finding in found)
    assert tree(tmp_path) == {"file"} and not ray.is_initialized() and not hasattr(cluster, "nonsense")


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


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = answer(monkeypatch, GOOD, IDLE)
    assert main(["doctor", "--address", "head:6379", "--store", "s", "--data-dir", "d", "--seconds", "5"]) == 0
    assert asked == [((ClusterOptions(address="head:6379"), Path("s"), Path("d"), ()), {"seconds": 5.0})]
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert [line.split()[:3] for line in lines[:2]] == [["✓", "driver", "storage"], ["–", "node-1", "GPUs"]]
    assert lines[0].endswith("writes /store") and len(lines) == 3 and not captured.err

    answer(monkeypatch, GOOD, BAD, BAD)
    assert main(["doctor", "--json"]) == 1
    captured = capsys.readouterr()
    told = next(line for line in captured.out.splitlines() if line.startswith("✗"))
    assert told.split()[1:3] == ["node-2", "space"] and told.endswith(" 0.5 GiB free for the store: free some space in /store")
    assert json.loads(captured.out.splitlines()[-1]) == {"ok": False, "findings": [asdict(one) for one in (GOOD, BAD, BAD)]}
    assert captured.err == "ailot_ray: 2 checks of 3 failed: each line with ✗ ends in its remedy\n"


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


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_every_node_is_examined(tmp_path: Path) -> None:
    found = examine(ClusterOptions(), tmp_path / "store", tmp_path / "data", seconds=120.0)
    ((node,),) = ([one["NodeManagerHostname"]] for one in ray.nodes())  # type: ignore[no-untyped-call]
    examined = {finding.check for finding in found if finding.node == node}
    assert examined == {"versions", "GPUs", "storage", "simulators", "rendering", "datasets"}
    failed = [finding for finding in found if finding.ok is False and finding.check != "rendering"]
    assert not failed
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


def test_a_store_that_a_node_cannot_write_or_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = DriverContext.here(tmp_path)
    origin.require_same_store()
    assert {path.name for path in (tmp_path / TOKENS).iterdir()} == {origin.token}
    (tmp_path / TOKENS / origin.token).rename(tmp_path / TOKENS / "other")
    monkeypatch.setattr("ailot_ray.cluster.facts.NFS_SECONDS", 0.1)
    with pytest.raises(NodeMismatchError, match=r"does not see .*--store"):
        origin.require_same_store()


@pytest.mark.parametrize(
    ("error", "detail", "remedy"),
    [
        (ModuleNotFoundError("No module named 'ailot_ray'"), "No module named", "requirements.txt"),
        (RuntimeError("a trace\nof lines\nWorker died unexpectedly"), "Worker died unexpectedly", "logs"),
        (TimeoutError("no answer within 1 s"), "no answer within 1 s", "logs"),
    ],
)
def test_a_node_that_is_silent_is_one_line_with_its_remedy(error: Exception, detail: str, remedy: str) -> None:
    finding = doctor._silent("node", error)
    assert finding.ok is False and detail in finding.detail and "\n" not in finding.detail and remedy in finding.remedy
