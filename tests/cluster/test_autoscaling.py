"""The node types of cluster.yaml under Ray's fake multi-node provider, as processes here: up for work, down after it."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ailot_ray.store import read_journal
from cluster.relabelling import processes_with, wait_for
from cluster.variants import faked, read

ROOT = Path(__file__).parents[2]
MARK = "AILOT_AUTOSCALING_TEST"

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

WORK = """
import ray, sys, time
ray.init(address="auto", log_to_driver=False)

@ray.remote(num_gpus=1, num_cpus=1)
def work(seconds):
    time.sleep(seconds)
    return ray.get_runtime_context().get_node_id()

count, seconds = int(sys.argv[1]), float(sys.argv[2])
print("nodes used:", len(set(ray.get([work.remote(seconds) for _ in range(count)]))))
"""


class Cluster:
    """A head node whose autoscaler makes and ends raylets here. Everything it starts inherits a mark, by which it is found."""

    def __init__(self, folder: Path, provider: str | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.mark = folder, uuid.uuid4().hex
        settings = read("cluster.yaml")
        address = f"{self.own_address()}:{self.port}"
        made = faked(settings, gcs_address=address, idle_timeout_minutes=0.1)
        made["provider"] |= {"module": provider} if provider else {}
        (folder / "fake.yaml").write_text(yaml.safe_dump(made))
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
            MARK: self.mark,
            "RAY_FAKE_CLUSTER": "1",
            "RAY_ADDRESS": address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": uuid.uuid4().hex * 2,
            "RAY_enable_autoscaler_v2": "0",
            "RAY_AUTOSCALER_UTILIZATION_SCORER": "ailot_ray.cluster.fallback.score",
            "RAY_USAGE_STATS_ENABLED": "0",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}",
        }

    @staticmethod
    def own_address() -> str:
        """The address that Ray gives this machine: that of its way out, else the loopback."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("8.8.8.8", 53))  # sends nothing
            except OSError:
                return "127.0.0.1"
            return str(probe.getsockname()[0])

    def start(self) -> None:
        options = ["--head", f"--port={self.port}", "--num-cpus=0", "--object-store-memory=100000000"]
        options += ["--include-dashboard=false"]
        files = [f"--autoscaling-config={self.folder / 'fake.yaml'}", f"--temp-dir={self.folder / 'r'}"]
        done = self.run("-m", "ray.scripts.scripts", "start", *options, *files)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def work(self, count: int, seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORK, str(count), str(seconds)]
        return subprocess.Popen(
            command, env=self.environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def processes(self) -> list[int]:
        """PIDs of everything that was started here and lives."""
        return processes_with(MARK, self.mark)

    def nodes(self) -> Counter[str]:
        """How many raylets run of each node type; the head has no type of its own."""
        types: list[str] = []
        for pid in self.processes():
            try:
                if Path(f"/proc/{pid}/comm").read_text().strip() != "raylet":
                    continue
                environment = dict(
                    item.split("=", 1) for item in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in item
                )
            except OSError:
                continue
            types.append(environment.get("RAY_NODE_TYPE_NAME", "head"))
        return Counter(types)

    def stop(self) -> None:
        """End what was started here, and nothing else: `ray stop` would end everybody's Ray."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + 10
            while (pids := self.processes()) and time.monotonic() < deadline:
                for pid in pids:
                    try:
                        os.kill(pid, kind)
                    except ProcessLookupError:
                        continue
                time.sleep(0.5)
        assert not self.processes()


@pytest.fixture(name="cluster")
def _cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("finding the processes of this test needs /proc")
    cluster = Cluster(
        tmp_path_factory.mktemp("a"), getattr(request, "param", None)
    )  # short: the path of a socket has at most 107 characters
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_nodes_come_for_work_and_go_after_it(cluster: Cluster) -> None:
    assert cluster.nodes() == {"head": 1}, "nothing to do, nothing to pay"
    job = cluster.work(count=2, seconds=5.0)
    wait_for(lambda: cluster.nodes()["gpu.spot"] == 2, "two spot nodes for two tasks of one GPU", 120)
    output, errors = job.communicate(timeout=180)
    assert "nodes used: 2" in output, errors
    assert cluster.nodes() == {"head": 1, "gpu.spot": 2}, "on-demand nodes stay away while spot nodes come"
    wait_for(lambda: cluster.nodes() == {"head": 1}, "idle nodes end", 120)


def test_a_sweep_has_several_nodes_at_work_at_once(cluster: Cluster) -> None:
    """No GPU node is up when it starts: what its trials wait for is what the autoscaler is asked for."""
    store = cluster.folder / "store"
    taus = "reward.tau=" + ",".join(f"0.{i}" for i in range(1, 5))
    flags = "--address auto --gpus-per-worker 1 --device cpu --task hopper-builtin --method otr --seeds 0 --iql.steps 4000"
    flags += f" --iql.snapshots 1 --evaluation.episodes 1 --evaluation.curve-episodes 0 --store {store} --vary {taus}"
    done = cluster.run(str(ROOT / "experiments" / "sweep_tau.py"), *flags.split(), seconds=600)
    assert done.returncode == 0, done.stdout + done.stderr
    at_work: set[str] = set()
    most = 0
    for entry in read_journal(store):
        if entry["kind"] == "policies":
            (at_work.add if entry["event"] == "began" else at_work.discard)(entry["digest"])
            most = max(most, len(at_work))
    assert most >= 2, "one trial after the other"
    wait_for(lambda: cluster.nodes() == {"head": 1}, "idle nodes end", 120)


@pytest.mark.parametrize("cluster", ["refusing_cloud.RefusesSpot"], indirect=True)
def test_on_demand_nodes_come_where_spot_is_refused(cluster: Cluster) -> None:
    job = cluster.work(count=2, seconds=1.0)
    output, errors = job.communicate(timeout=180)
    assert "nodes used: " in output, errors
    used = cluster.nodes()
    assert used["gpu.on-demand"] >= 1 and used["gpu.spot"] == 0
    wait_for(lambda: cluster.nodes() == {"head": 1}, "idle nodes end", 120)
