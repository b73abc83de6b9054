"""`ray up` for real: cluster.yaml on three hosts made of this machine, a sweep, a host lost in the middle of it, `ray down`."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from cluster.hosts import Host, hosts, processes_of, reason_not_to
from cluster.relabelling import wait_for
from cluster.variants import MOUNT, on_hosts

ROOT = Path(__file__).parents[2]
SCRIPT = "experiments/sweep_tau.py"
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "store", "shared", "__pycache__", "*.egg-info", ".*_cache", "*.mp4")
NOT_COMPARED = {"run.json", "results.parquet"}
"""Time, host and versions of a run; and the table that names them."""
COUNT = 'python -c \'import ray; ray.init(); print("nodes:", sum(n["Alive"] for n in ray.nodes()))\''

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


class Cluster:
    """`ray` as a user calls it: in the project's folder, from a home folder of its own."""

    def __init__(self, folder: Path, machines: list[Host]) -> None:
        self.machines, self.shared, self.home, self.project = machines, folder / "shared", folder / "client", folder / "project"
        (self.home / "tmp").mkdir(parents=True)
        shutil.copytree(ROOT, self.project, ignore=NOT_COPIED)
        addresses = [host.address for host in machines]
        settings = on_hosts(addresses[0], addresses[1:], "root", str(folder / "key"))  # the storage is mounted already
        settings["cluster_name"] = f"ailot-{os.getpid()}"
        start = settings["worker_start_ray_commands"]
        start[-1] = start[-1].replace("ray start", "ray start --num-cpus=1")  # three hosts share this machine's few cores
        (self.project / "hosts.yaml").write_text(yaml.safe_dump(settings))
        self.log = folder / "ray.log"
        self("get-auth-token", "--generate")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "RAY_TMPDIR": str(self.home / "tmp"),
        }
        command = [sys.executable, "-m", "ray.scripts.scripts", *arguments]
        with self.log.open("ab") as log:
            log.write(f"\n$ ray {' '.join(arguments)}\n".encode())
            log.flush()
            return subprocess.Popen(
                command, cwd=self.project, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def finish(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        assert code == 0, f"{process.args!r}: exit status {code}\n{self.output()[-6000:]}"

    def __call__(self, *arguments: str, timeout: float = 300) -> str:
        before = self.log.stat().st_size if self.log.exists() else 0
        self.finish(self.start(*arguments), timeout)
        return self.log.read_bytes()[before:].decode(errors="replace")

    def submit(self, store: str) -> subprocess.Popen[bytes]:
        return self.start("submit", "hosts.yaml", SCRIPT, "--", "--smoke", "--address", "auto", "--store", f"{MOUNT}/{store}")

    def output(self) -> str:
        return self.log.read_text(errors="replace")


@pytest.fixture(name="cluster")
def _cluster(tmp_path: Path) -> Iterator[Cluster]:
    reason = reason_not_to()
    if reason is not None:
        pytest.skip(reason)
    with hosts(3, tmp_path) as machines:
        yield Cluster(tmp_path, machines)


def artefacts(store: Path) -> dict[str, bytes]:
    """Every file of the finished artefacts, by its path in the store; the sweep's summary without the store's own path."""
    here = f"{MOUNT}/{store.name}/".encode()
    found = {path.relative_to(store): path for path in sorted(store.glob("[!.]*/*/*")) if path.is_file()}
    return {str(name): path.read_bytes().replace(here, b"") for name, path in found.items() if path.name not in NOT_COMPARED}


def sealed(store: Path) -> int:
    return len(list(store.glob("[!.]*/*/manifest.json")))


def test_a_sweep_survives_the_loss_of_a_host(cluster: Cluster) -> None:
    head, first, second = cluster.machines
    assert "Ray runtime started" in cluster("up", "-y", "hosts.yaml")
    wait_for(lambda: "nodes: 3" in cluster("exec", "hosts.yaml", COUNT), "two workers join the head", 180)
    for host in cluster.machines:
        assert (host.home / "ailot/requirements.txt").exists() and not (host.home / "ailot/.venv").exists()
        assert (host.home / ".ray/auth_token").read_text() == (cluster.home / ".ray/auth_token").read_text()

    cluster.finish(cluster.submit("undisturbed"), 900)
    expected = artefacts(cluster.shared / "undisturbed")
    total = sealed(cluster.shared / "undisturbed")
    assert total > 2

    disturbed = cluster.shared / "disturbed"
    run = cluster.submit("disturbed")
    wait_for(lambda: sealed(disturbed) >= 1 or run.poll() is not None, "a first artefact", 300)
    assert run.poll() is None and sealed(disturbed) < total, "the host is lost in the middle of the run"
    lost, left = sorted((first, second), key=cpu_seconds_in(3.0), reverse=True)
    lost.kill()
    cluster.finish(run, 900)
    assert artefacts(disturbed) == expected
    assert not list(disturbed.glob(".work/*")), "nothing is left half done"

    cluster("down", "-y", "hosts.yaml")
    assert len(processes_of(head)) <= 2, "sshd, and what is left of the last connection"
    wait_for(lambda: not runs_raylet(left), "the worker leaves when it misses the head", 180)


def test_strangers_are_turned_away(cluster: Cluster) -> None:
    """The dashboard answers on the head alone, and nobody joins without the token."""
    cluster("up", "-y", "hosts.yaml", "--max-workers", "0", "--min-workers", "0")
    head, stranger, _ = cluster.machines
    assert "listening on 127.0.0.1" in cluster("exec", "hosts.yaml", probe("127.0.0.1"))
    assert f"closed on {head.address}" in cluster("exec", "hosts.yaml", probe(head.address))
    key = str(cluster.home.parent / "key")
    options = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={os.devnull}"]
    ssh = ["ssh", "-i", key, *options, f"root@{stranger.address}"]
    guess = f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN={'0' * 64}"
    join = f"{guess} timeout 100 ~/.ailot-venv/bin/ray start --address={head.address}:6379 --num-cpus=1"
    refused = subprocess.run([*ssh, join], capture_output=True, text=True, check=False, timeout=120)
    assert refused.returncode != 0
    assert "token" in (refused.stdout + refused.stderr).lower()
    assert "nodes: 1" in cluster("exec", "hosts.yaml", COUNT)
    cluster("down", "-y", "hosts.yaml")


def cpu_seconds_in(seconds: float) -> Callable[[Host], float]:
    """How much a host computes during the next `seconds`."""

    def ticks(host: Host) -> int:
        total = 0
        for pid in processes_of(host):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])  # utime and stime
        return total

    def spent(host: Host) -> float:
        before = ticks(host)
        time.sleep(seconds)
        return (ticks(host) - before) / os.sysconf("SC_CLK_TCK")

    return spent


def runs_raylet(host: Host) -> bool:
    return any(Path(f"/proc/{pid}/comm").read_text().strip() == "raylet" for pid in processes_of(host))


def probe(address: str) -> str:
    attempt = f"(exec 3<>/dev/tcp/{address}/8265) 2>/dev/null && echo listening on {address} || echo closed on {address}"
    return f"bash -c '{attempt}'"
