"""The cluster of `cluster.yaml` as a KubeRay manifest: the same node types, image, variables, set-up and storage."""

from typing import Any

from ailot_ray.cluster.nodes import MOUNT, Settings, environment_of, storage_of

Manifest = dict[str, Any]

CAPACITY = "eks.amazonaws.com/capacityType"
INSTANCE = "node.kubernetes.io/instance-type"
PROJECT = f"{MOUNT}/ailot"
"""Where the project lies on the shared storage: Kubernetes has no rsync, so it is copied there once."""
MEMORY = {"head": "12Gi", "worker": "12Gi"}
"""Below what Kubernetes leaves of the 16 GiB of the instances in `cluster.yaml`."""


def kuberay_manifest(settings: Settings, entrypoint: str | None = None) -> Manifest:
    """A `RayCluster`, or with `entrypoint` a `RayJob` that makes one, runs the command on it and takes it down.

    KubeRay's autoscaler takes worker groups by `priority` and leaves one whose pods stay pending, so that spot falls back on
    on-demand. Token authentication is KubeRay's own (`authOptions`): it makes the token. The dashboard is a service inside the
    Kubernetes cluster, reached by `kubectl port-forward`.

    Raises:
        ConfigError: where the settings name no storage.
    """
    name, head = settings["cluster_name"], settings["head_node_type"]
    types = settings["available_node_types"]
    spec = {
        "rayVersion": settings["docker"]["image"].partition(":")[2].partition("-")[0],
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {"version": "v2", "idleTimeoutSeconds": int(60 * settings["idle_timeout_minutes"])},
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", **_start_params(settings["head_start_ray_commands"])},
            "template": _pod(settings, types[head], "head"),
        },
        "workerGroupSpecs": [
            {
                "groupName": group.replace(".", "-"),
                "replicas": node_type["min_workers"],
                "minReplicas": node_type["min_workers"],
                "maxReplicas": node_type["max_workers"],
                "priority": node_type.get("priority", 0),
                "rayStartParams": _start_params(settings["worker_start_ray_commands"]),
                "template": _pod(settings, node_type, "worker"),
            }
            for group, node_type in types.items()
            if group != head
        ],
    }
    if entrypoint is None:
        return {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": name}, "spec": spec}
    job = {"entrypoint": entrypoint, "shutdownAfterJobFinishes": True, "rayClusterSpec": spec}
    return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": name}, "spec": job}


def _start_params(commands: list[str]) -> dict[str, str]:
    """The options of `ray start` that KubeRay does not set itself."""
    words = (word for command in commands for word in command.split())
    options = dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--") and "=" in word)
    return {name: options[name] for name in ("object-store-memory",) if name in options}


def _pod(settings: Settings, node_type: dict[str, Any], role: str) -> Manifest:
    server, path = storage_of(settings)
    docker, config, gpus = settings["docker"], node_type["node_config"], node_type["resources"].get("GPU", 0)
    (shared_memory,) = (word.partition("=")[2] for word in " ".join(docker["run_options"]).split() if "--shm-size=" in word)
    setup = [f"cp -r {PROJECT} ~/ailot", *settings["setup_commands"]]
    capacity = "SPOT" if config.get("InstanceMarketOptions", {}).get("MarketType") == "spot" else "ON_DEMAND"
    amounts = {"cpu": str(node_type["resources"]["CPU"] - 1), "memory": MEMORY[role]}  # a core for Kubernetes itself
    amounts |= {"nvidia.com/gpu": str(gpus)} if gpus else {}
    container = {
        "name": f"ray-{role}",
        "image": docker.get(f"{role}_image", docker["image"]),
        # KubeRay hands the start command over in a variable where this pod's annotation asks for it.
        "command": ["/bin/bash", "-lc", "--"],
        "args": [" && ".join([*(f"({command})" for command in setup), "$KUBERAY_GEN_RAY_START_CMD"])],
        "env": [{"name": name, "value": value} for name, value in environment_of(settings).items() if name != "RAY_AUTH_MODE"],
        "resources": {"limits": dict(amounts), "requests": dict(amounts)},
        "volumeMounts": [{"name": "storage", "mountPath": MOUNT}, {"name": "shm", "mountPath": "/dev/shm"}],
    }
    return {
        "metadata": {"annotations": {"ray.io/overwrite-container-cmd": "true"}},
        "spec": {
            "nodeSelector": {INSTANCE: config["InstanceType"], CAPACITY: capacity},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}] if gpus else [],
            "containers": [container],
            "volumes": [
                {"name": "storage", "nfs": {"server": server, "path": path}},
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory.upper() + "i"}},
            ],
        },
    }
