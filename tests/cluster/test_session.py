"""What a connection to Ray keeps and removes of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from ailot_ray.cluster import session
from ailot_ray.cluster.facts import DriverContext
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.session import capacity
from ailot_ray.config import Config
from ailot_ray.errors import DataError

ROOT = Path(__file__).parents[2]
HELD = """
import sys, time
from pathlib import Path
from ailot_ray.cluster import session
session.SHORT_FOLDER = Path(sys.argv[1])
with session._own_folder():
    print("held", flush=True)
    time.sleep(60)
"""


def test_folders_of_killed_commands_are_removed_when_their_logs_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SHORT_FOLDER", tmp_path)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    (tmp_path / "ailot-of-somebody-else").mkdir()
    commands = [subprocess.Popen([sys.executable, "-c", HELD, tmp_path], stdout=subprocess.PIPE) for _ in range(3)]
    try:
        folders = []
        for command in commands:
            assert command.stdout and command.stdout.readline()
        folders = sorted(path.parent for path in tmp_path.glob(f"*/{session.OWNER}"))
        for command in commands[:2]:
            command.kill()
            command.wait()
        living = [folder for folder in folders if _held(folder)]
        dead = [folder for folder in folders if folder not in living]
        assert (len(living), len(dead)) == (1, 2)
        for folder in (living[0], dead[0]):
            os.utime(folder / session.OWNER, times=(0, time.time() - session.LOGS_SECONDS - 10))
        with session._own_folder():
            inside = {path for path in tmp_path.iterdir() if path.name != "ailot-of-somebody-else"}
        assert living[0] in inside and dead[1] in inside and dead[0] not in inside and len(inside) == 3
        with pytest.raises(ZeroDivisionError), session._own_folder():
            raise ZeroDivisionError
        assert len(set(tmp_path.iterdir())) == 4, "the logs of what failed stay for a day"
    finally:
        for command in commands:
            command.kill()
            command.wait()


def _held(folder: Path) -> bool:
    try:
        with FileLock(folder / session.OWNER, timeout=0):
            return False
    except Timeout:
        return True


OTHER_RAY = """
import ray, sys, time
ray.init(address="local", num_cpus=1, include_dashboard=False)
print("up", flush=True)
time.sleep(600)
"""
STOPPED = """
import sys, time
from pathlib import Path
import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.session import connected
from ailot_ray.cluster.train import _NoProcessGroup

folder = Path(sys.argv[1])

def work():
    (folder / f"up-{ray.train.get_context().get_world_rank()}").touch()
    time.sleep(600)

@ray.remote(num_cpus=0)
class Trial:
    def go(self):
        run = RunConfig(storage_path=str(folder / "train"), name="stopped")
        TorchTrainer(work, torch_config=_NoProcessGroup(), scaling_config=ScalingConfig(num_workers=2), run_config=run).fit()

with connected(ClusterOptions(workers=2), folder / "store"):
    trial = Trial.remote()
    trial.go.remote()
    while len(list(folder.glob("up-*"))) < 2:
        time.sleep(0.5)
    print("taken", ray.available_resources().get("CPU", 0), flush=True)
    ray.kill(trial)
    for _ in range(120):
        if ray.available_resources().get("CPU", 0) == 2:
            break
        time.sleep(0.5)
    print("free", ray.available_resources().get("CPU", 0), flush=True)
"""


@pytest.mark.slow
@pytest.mark.cluster
def test_a_stopped_trial_frees_its_workers_beside_another_ray(tmp_path: Path) -> None:
    """As Tune stops one: its process is ended, and what it had started for itself must be found and ended."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    clean |= {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", OTHER_RAY], env=clean, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout and other.stdout.readline().strip() == "up"
            ran = subprocess.run(
                [sys.executable, "-c", STOPPED, tmp_path], env=clean, capture_output=True, text=True, timeout=400, check=True
            )
        finally:
            other.terminate()
    assert [line for line in ran.stdout.splitlines() if line.startswith(("taken", "free"))] == ["taken 0", "free 2.0"]
    assert "multiple active Ray" not in ran.stderr


def of_the_cluster(monkeypatch: pytest.MonkeyPatch, file: Path, up: dict[str, float], address: str = "10.0.0.1:6379") -> None:
    """This driver runs on the head of the cluster of `file`, whose nodes are `up` so far."""
    monkeypatch.setattr(session, "CLUSTER_FILE", file)
    monkeypatch.setattr(session, "_resources", lambda: up)
    monkeypatch.setattr(session, "_own_addresses", lambda: ("127.0.0.1", "10.0.0.1"))
    context = type("Context", (), {"gcs_address": address})
    monkeypatch.setattr("ray.get_runtime_context", context)


@pytest.mark.parametrize(
    ("share", "up", "workers"),
    [
        (1.0, {"CPU": 0.0}, 8),  # no GPU node yet: the autoscaler has to be asked for them
        (0.25, {"CPU": 4.0, "GPU": 1.0}, 32),
        (0.25, {"CPU": 400.0, "GPU": 100.0}, 400),  # a cluster that was grown by hand
        (0.0, {"CPU": 4.0}, 32),
        (2.0, {}, 1),  # on no node of it
    ],
)
def test_nodes_that_may_come_count(share: float, up: dict[str, float], workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    of_the_cluster(monkeypatch, ROOT / "cluster.yaml", up)
    assert capacity(ClusterOptions(address="auto", gpus_per_worker=share)) == workers
    limited = ClusterOptions(address="auto", gpus_per_worker=share, workers=3)
    assert capacity(limited) == (3 if share else min(3, workers))


def test_another_clusters_file_says_nothing_of_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_the_cluster(monkeypatch, ROOT / "cluster.yaml", {"GPU": 2.0}, "10.9.9.9:6379")
    assert capacity(ClusterOptions(gpus_per_worker=1.0)) == 2
    of_the_cluster(monkeypatch, tmp_path / "none.yaml", {"GPU": 2.0})
    assert capacity(ClusterOptions(gpus_per_worker=1.0)) == 2


def test_a_worker_is_held_to_the_data_that_the_driver_read(tmp_path: Path) -> None:
    config = Config(task="hopper-builtin", method="bc")
    digest = DriverContext.here(tmp_path).open(config).dataset.digest
    DriverContext.here(tmp_path, {"built-in": digest, "elsewhere": "00"}).open(config)
    with pytest.raises(DataError, match=f"built-in on node .* has SHA-256 {digest}, but the driver read 00"):
        DriverContext.here(tmp_path, {"built-in": "00"}).open(config)
