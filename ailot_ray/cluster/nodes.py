"""One description of a cluster, `cluster.yaml`, and what else is made of it: given hosts, fake nodes for tests, Kubernetes.

Pure functions from settings to settings, in the schema of Ray's cluster launcher; nothing here talks to Ray or to a cloud.
"""

import copy
import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import yaml

from ailot_ray.errors import ConfigError

Settings = dict[str, Any]
"""A cluster file of Ray as read from YAML."""

STORAGE = "AILOT_STORAGE"
MOUNT = "/mnt/ailot"
"""Where every node sees the shared storage."""
FAKE_PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
"""By its class: under its name, `fake_multinode`, Ray looks for a file of defaults that its wheel lacks."""
REQUIRED = ("cluster_name", "provider", "available_node_types", "head_node_type", "docker", "initialization_commands")
_STORAGE_LINE = re.compile(rf"^{STORAGE}=[ \t]*(\S*)[ \t]*$", re.MULTILINE)


def read_cluster_file(path: Path) -> Settings:
    """Read a cluster file. Raises ConfigError where it is missing, is no YAML, or lacks a section."""
    try:
        settings = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name a cluster file such as cluster.yaml") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML ({' '.join(str(error).split())}): correct that line") from error
    missing = [name for name in REQUIRED if not isinstance(settings, dict) or not settings.get(name)]
    if missing:
        raise ConfigError(f"{path} has no {', '.join(missing)}: start from the project's cluster.yaml")
    storage_line(settings)
    return dict(settings)


def storage_line(settings: Settings) -> re.Match[str]:
    """Where the first initialization command sets the storage. Raises ConfigError where it does not."""
    found = _STORAGE_LINE.search(settings["initialization_commands"][0])
    if found is None:
        raise ConfigError(
            f"initialization_commands of the cluster file has no line {STORAGE}=...: start from the project's cluster.yaml"
        )
    return found


def storage_of(settings: Settings) -> tuple[str, str]:
    """Server and path of the NFS export that all nodes share. Raises ConfigError where it is not set or not of that form."""
    export = storage_line(settings)[1]
    if not export:
        raise ConfigError(f"{STORAGE} is not set: write your NFS export (server:/path) into the first lines of cluster.yaml")
    server, colon, path = export.partition(":")
    if not (server and colon and path.startswith("/") and not path.startswith("//")):
        raise ConfigError(f"{STORAGE} is {export}, which is no NFS export: write it as server:/path into cluster.yaml")
    return server, path


def with_storage(settings: Settings, export: str) -> Settings:
    """The same settings with another export, ``server:/path``."""
    settings = copy.deepcopy(settings)
    line = storage_line(settings)
    command: str = settings["initialization_commands"][0]
    settings["initialization_commands"][0] = command[: line.start(1)] + export + command[line.end(1) :]
    return settings


def environment_of(settings: Settings) -> dict[str, str]:
    """Environment variables of every node, from the ``--env NAME=VALUE`` options of the container."""
    options = shlex.split(" ".join(settings["docker"].get("run_options", [])))
    pairs = (value.partition("=") for flag, value in itertools.pairwise(options) if flag in ("--env", "-e"))
    return {name: value for name, _, value in pairs}


def local_variant(
    settings: Settings, *, head: str, workers: list[str], ssh_user: str, ssh_key: str, environment: str = "~/.ailot-venv"
) -> Settings:
    """The same cluster on hosts that are there already, for `ray up` with Ray's `local` provider; without containers.

    Args:
        settings: As read from the cluster file; its storage must be set.
        head: Address of the host that becomes the head node.
        workers: Addresses of the other hosts.
        ssh_user: Who logs in; may mount the storage (sudo) unless it is mounted already.
        ssh_key: Private key file.
        environment: Folder of the virtual environment on each host, made with `python3.11` where it is missing. What it has
            of the pinned requirements already is not installed again.

    Raises:
        ConfigError: where the storage is not set.
    """
    storage_of(settings)
    variables = {"PATH": f"{environment.replace('~', '$HOME', 1)}/bin:$PATH", **environment_of(settings)}
    exports = " ".join(shlex.quote(f'export {name}="{value}"') for name, value in variables.items())
    local = {
        name: copy.deepcopy(settings[name])
        for name in (
            "cluster_name",
            "initialization_commands",
            "idle_timeout_minutes",
            "upscaling_speed",
            "file_mounts",
            "rsync_exclude",
            "head_start_ray_commands",
            "worker_start_ray_commands",
        )
    }
    return local | {
        "provider": {"type": "local", "head_ip": head, "worker_ips": list(workers)},
        "auth": {"ssh_user": ssh_user, "ssh_private_key": ssh_key},
        "max_workers": len(workers),
        "min_workers": len(workers),
        "setup_commands": [
            f"test -x {environment}/bin/python || python3.11 -m venv {environment}",
            # Ray's shells are interactive, so that this reaches every later command, `ray exec` and `ray submit` too.
            f"printf '%s\\n' {exports} > ~/.ailot-env; grep -qs ailot-env ~/.bashrc || echo '. ~/.ailot-env' >> ~/.bashrc",
            *(f". ~/.ailot-env; {command}" for command in settings["setup_commands"]),
        ],
    }


def fake_multinode_variant(settings: Settings, *, gcs_address: str, idle_timeout_minutes: float, cpus: int = 1) -> Settings:
    """The same node types as processes of one machine, for Ray's fake multi-node provider; what costs money is left out.

    GPUs are only counted, not used. Each worker type keeps its name, its limits and its GPUs, and has `cpus` cores; the
    head computes nothing. Ray must be started with `RAY_FAKE_CLUSTER=1`.
    """
    types = copy.deepcopy(settings["available_node_types"])
    for name, node_type in types.items():
        resources = {} if name == settings["head_node_type"] else {**node_type["resources"], "CPU": cpus}
        node_type |= {"node_config": {}, "resources": resources}
    return {
        "cluster_name": settings["cluster_name"],
        "provider": {
            "type": "external",
            "module": FAKE_PROVIDER,
            "gcs_address": gcs_address,
            "launch_multiple": True,
            "use_node_id_as_ip": True,  # all nodes have one address: idle ones would not be told apart
        },
        "auth": {},
        "max_workers": settings["max_workers"],
        "upscaling_speed": settings["upscaling_speed"],
        "idle_timeout_minutes": idle_timeout_minutes,
        "head_node_type": settings["head_node_type"],
        "available_node_types": types,
        # Ray has no defaults for a provider of another kind than its own.
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
    }
