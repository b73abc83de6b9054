"""The cluster of cluster.yaml on Kubernetes: prints a KubeRay manifest made from the same settings.

    python experiments/kuberay.py | kubectl apply -f -
    python experiments/kuberay.py --entrypoint "python ailot/experiments/sweep_tau.py --address auto" | kubectl apply -f -

The first makes a RayCluster, the second a RayJob: a cluster for one command, taken down after it.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
import yaml

from ailot_ray.cluster.kuberay import kuberay_manifest
from ailot_ray.cluster.nodes import read_cluster_file, with_storage
from ailot_ray.errors import AilotError


@dataclass(frozen=True)
class Arguments:
    cluster: Path = Path("cluster.yaml")
    entrypoint: str | None = None
    """Command of a RayJob, run in the container's home folder; without it, a RayCluster."""
    storage: str | None = None
    """NFS export (server:/path) in the place of the cluster file's."""


def main(arguments: Arguments) -> None:
    settings = read_cluster_file(arguments.cluster)
    if arguments.storage is not None:
        settings = with_storage(settings, arguments.storage)
    print(yaml.safe_dump(kuberay_manifest(settings, arguments.entrypoint), sort_keys=False, width=200), end="")


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments))
    except AilotError as error:
        sys.exit(f"error: {error}")
