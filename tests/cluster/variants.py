"""cluster.yaml and hosts.yaml as tests need them: filled in for hosts of this machine, or as fake nodes."""

import copy
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MOUNT = "/mnt/ailot"
"""Where every node sees the shared storage."""
FAKE_PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
"""By its class: under its name, `fake_multinode`, Ray looks for a file of defaults that its wheel lacks."""
Settings = dict[str, Any]
"""A cluster file of Ray as read from YAML."""


def read(name: str) -> Settings:
    """A cluster file of the project."""
    settings: Settings = yaml.safe_load((ROOT / name).read_text())
    return settings


def on_hosts(head: str, workers: list[str], ssh_user: str, ssh_key: str) -> Settings:
    """hosts.yaml as a user fills it in."""
    settings = read("docs/cluster/hosts.yaml")
    first = settings["initialization_commands"][0]
    return settings | {
        "provider": {"type": "local", "head_ip": head, "worker_ips": workers},
        "auth": {"ssh_user": ssh_user, "ssh_private_key": ssh_key},
        "min_workers": len(workers),
        "max_workers": len(workers),
        "initialization_commands": [first.replace("AILOT_STORAGE=\n", "AILOT_STORAGE=nfs.example:/export\n")],
    }


def faked(settings: Settings, *, gcs_address: str, idle_timeout_minutes: float, cpus: int = 1) -> Settings:
    """The same node types as processes of one machine, for Ray's fake multi-node provider; what costs money is left out.

    GPUs are only counted, not used. Each worker type keeps its name, its limits and its GPUs, and has `cpus` cores; the
    head computes nothing. Ray must be started with `RAY_FAKE_CLUSTER=1`.
    """
    types = copy.deepcopy(settings["available_node_types"])
    for name, node_type in types.items():
        resources = {} if name == settings["head_node_type"] else {**node_type["resources"], "CPU": cpus}
        node_type |= {"node_config": {}, "resources": resources}
    kept = ("cluster_name", "max_workers", "upscaling_speed", "head_node_type")
    lists = ["cluster_synced_files", "initialization_commands", "setup_commands", "head_setup_commands"]
    lists += ["worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"]
    provider = {
        "type": "external",
        "module": FAKE_PROVIDER,
        "gcs_address": gcs_address,
        "launch_multiple": True,
        "use_node_id_as_ip": True,  # all nodes have one address: idle ones would not be told apart
    }
    # Ray has no defaults for a provider of another kind than its own
    empty: Settings = {"auth": {}, "docker": {}, "file_mounts": {}, **{name: [] for name in lists}}
    about = {"provider": provider, "idle_timeout_minutes": idle_timeout_minutes, "available_node_types": types}
    return {name: settings[name] for name in kept} | about | empty
