"""Runs a command on a cluster of three nodes of one core each, and takes one of them away while a worker on it is at work.

losing_a_node.py relabel|sweep STORE COMMAND...
"""

import json
import os
import runpy
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ray.cluster_utils


def parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def in_flight(kind: str, entries: list[dict[str, Any]], parts: list[int]) -> bool:
    """Of a process that wrote these entries: solving a part when three are there, or training its second policy."""
    if kind == "relabel":
        return len(parts) > 2 and any(entry["event"] == "part" for entry in entries)
    scored = any(entry["event"] == "finished" and entry["kind"] == "scores" for entry in entries)
    return scored and entries[-1]["event"] == "began" and entries[-1]["kind"] == "policies"


def lose(cluster: ray.cluster_utils.Cluster, raylets: dict[int | None, Any], kind: str, store: Path) -> None:
    while True:
        for path in (store / ".journal").glob("*.jsonl"):
            entries = [json.loads(line) for line in path.read_text().splitlines()]
            parts = [int(part.stem.rpartition("-")[2]) for part in store.glob(".work/*/checkpoints/part-*.parquet")]
            pid = int(path.stem.rpartition("-")[2])
            if parent(pid) in raylets and in_flight(kind, entries, parts):
                about = {"pid": pid, "time": time.time(), "done": parts, "digest": entries[-1]["digest"]}
                cluster.remove_node(raylets[parent(pid)], allow_graceful=False)
                sys.stdout.write(json.dumps(about) + "\n")
                sys.stdout.flush()
                return
        time.sleep(0.01)


def main() -> None:
    kind, store, sys.argv = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = ray.cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    raylets = {node.all_processes["raylet"][0].process.pid: node for node in nodes}
    threading.Thread(target=lose, args=(cluster, raylets, kind, store), daemon=True).start()
    sys.argv += ["--address", cluster.address]
    try:
        if Path(sys.argv[0]).suffix == ".py":
            runpy.run_path(sys.argv[0], run_name="__main__")
        else:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    main()
