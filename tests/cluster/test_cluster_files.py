"""cluster.yaml against Ray's own checks, and the files for given hosts and Kubernetes against it; offline, without Ray."""

import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ray.autoscaler._private.node_provider_availability_tracker import (
    NodeAvailabilityRecord,
    NodeAvailabilitySummary,
    UnavailableNodeInformation,
)
from ray.autoscaler._private.resource_demand_scheduler import get_nodes_for
from ray.autoscaler._private.util import prepare_config, validate_config

from ailot_ray.cluster import fallback

from .variants import MOUNT, ROOT, Settings, faked, on_hosts, read


@pytest.fixture(name="settings")
def _settings() -> Settings:
    return read("cluster.yaml")


def environment_of(settings: Settings) -> dict[str, str]:
    """Environment variables of every node, from the ``--env NAME=VALUE`` options of the container."""
    options = shlex.split(" ".join(settings["docker"]["run_options"]))
    return dict(value.split("=", 1) for flag, value in itertools.pairwise(options) if flag == "--env")


HOSTS = on_hosts("10.0.0.1", ["10.0.0.2", "10.0.0.3"], "me", "key.pem")
CLUSTER = read("docs/cluster/kuberay.yaml")


@pytest.mark.parametrize(
    "made", [read("cluster.yaml"), read("docs/cluster/hosts.yaml"), HOSTS], ids=["aws", "delivered", "hosts"]
)
def test_ray_accepts(made: Settings) -> None:
    validate_config(prepare_config(made))


def test_ray_accepts_fake_nodes(settings: Settings) -> None:
    validate_config(prepare_config(faked(settings, gcs_address="127.0.0.1:6379", idle_timeout_minutes=0.1)))


def test_ray_would_refuse_a_misspelt_setting(settings: Settings) -> None:
    with pytest.raises(Exception, match="idle_timeout"):
        validate_config(prepare_config(settings | {"idle_timeout": 5}))


def test_image_and_requirements_pin_the_same_ray_and_python(settings: Settings) -> None:
    pins = re.findall(r"^ray(?:\[[^]]*\])?==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert len(pins) == 1, "requirements.txt pins ray once"
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    tags = {settings["docker"][name] for name in ("image", "head_image")}
    assert tags == {f"rayproject/ray:{pins[0]}-{python}-{kind}" for kind in ("gpu", "cpu")}


def test_spot_workers_with_on_demand_beside_them(settings: Settings) -> None:
    types = settings["available_node_types"]
    spot = {name for name, kind in types.items() if "InstanceMarketOptions" in kind["node_config"]}
    assert spot == {"gpu.spot"}
    assert types["gpu.spot"]["resources"] == types["gpu.on-demand"]["resources"]
    assert types["gpu.spot"]["priority"] > types["gpu.on-demand"]["priority"]
    assert types[settings["head_node_type"]]["max_workers"] == 0
    assert len({kind["node_config"]["ImageId"] for kind in types.values()}) == 1


def refused(*names: str) -> NodeAvailabilitySummary:
    why = UnavailableNodeInformation("InsufficientInstanceCapacity", "no capacity")
    return NodeAvailabilitySummary({name: NodeAvailabilityRecord(name, False, 0.0, why) for name in names})


def launched(settings: Settings, summary: NodeAvailabilitySummary, gpus: int) -> dict[str, int]:
    """Which nodes Ray's scheduler (of its autoscaler) launches for `gpus` requests of one GPU, with the project's scorer."""

    def scorer(*arguments: Any) -> Any:
        return fallback.score(*arguments, node_availability_summary=summary)

    types = prepare_config(settings)["available_node_types"]
    demand: Any = [{"GPU": 1}] * gpus
    nodes, _ = get_nodes_for(types, {}, settings["head_node_type"], settings["max_workers"], demand, scorer)
    return dict(nodes)


def test_the_autoscaler_prefers_spot_and_falls_back(settings: Settings) -> None:
    assert launched(settings, refused(), 2) == {"gpu.spot": 2}
    assert launched(settings, refused("gpu.spot"), 2) == {"gpu.on-demand": 2}
    assert launched(settings, refused("gpu.spot", "gpu.on-demand"), 2) == {"gpu.spot": 2}


def test_fallback_stops_at_its_own_limit(settings: Settings) -> None:
    limit = settings["available_node_types"]["gpu.on-demand"]["max_workers"]
    assert launched(settings, refused("gpu.spot"), limit + 1) == {"gpu.on-demand": limit, "gpu.spot": 1}


def test_the_scorer_is_the_one_that_the_cluster_names(settings: Settings) -> None:
    start = settings["head_start_ray_commands"][-1]
    assert f"RAY_AUTOSCALER_UTILIZATION_SCORER={fallback.__name__}.{fallback.score.__name__} " in start
    assert "RAY_enable_autoscaler_v2=0 " in start, "version 2 knows no scorer"


def test_what_must_not_be_open_is_closed(settings: Settings) -> None:
    assert "--dashboard-host=127.0.0.1" in settings["head_start_ray_commands"][-1]
    assert environment_of(settings)["RAY_AUTH_MODE"] == "token"
    assert settings["file_mounts"]["~/.ray"] == "~/.ray", "the token reaches the nodes"
    assert CLUSTER["spec"]["authOptions"] == {"mode": "token"}


def test_what_is_ignored_by_git_stays_here(settings: Settings) -> None:
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()} - {"MUJOCO_LOG.TXT"}
    assert ignored <= set(settings["rsync_exclude"])
    assert ".git" in settings["rsync_exclude"]


@pytest.mark.parametrize("name", ["cluster.yaml", "docs/cluster/hosts.yaml"])
def test_an_unset_storage_stops_a_node_and_names_the_file(name: str) -> None:
    command = read(name)["initialization_commands"][0]
    assert command.count("AILOT_STORAGE=\n") == 1
    done = subprocess.run(["bash", "-c", f"({command})"], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stderr == f"AILOT_STORAGE is not set: write your NFS export into {Path(name).name}\n"


def test_given_hosts_keep_everything_but_aws(settings: Settings) -> None:
    same = ("file_mounts", "rsync_exclude", "head_start_ray_commands", "worker_start_ray_commands")
    for name in (*same, "idle_timeout_minutes", "upscaling_speed", "cluster_name"):
        assert HOSTS[name] == settings[name], name
    here, there = (one["initialization_commands"][0].partition("mountpoint")[2] for one in (settings, HOSTS))
    assert here == there and "nfs4" in here
    for command in settings["setup_commands"]:
        assert any(mine.endswith(command) for mine in HOSTS["setup_commands"])
    for name, value in environment_of(settings).items():
        assert f'export {name}="{value}"' in HOSTS["setup_commands"][1]
    assert "boto3" not in str(HOSTS) and "docker" not in HOSTS


def test_the_variables_of_given_hosts_reach_a_shell(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for _ in range(2):  # `ray up` runs it again
        subprocess.run(["bash", "-c", HOSTS["setup_commands"][1]], env=environment, check=True, timeout=30)
    command = ["bash", "-c", ". ~/.bashrc; echo $RAY_AUTH_MODE $PATH"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)
    assert shown.stdout.split() == ["token", f"{tmp_path}/.ailot-venv/bin:/usr/bin:/bin"]
    assert (tmp_path / ".bashrc").read_text().count("ailot-env") == 1


def test_the_kubernetes_file_follows_the_settings(settings: Settings) -> None:
    spec, docker = CLUSTER["spec"], settings["docker"]
    assert (CLUSTER["kind"], spec["rayVersion"]) == ("RayCluster", docker["image"].split(":")[1].split("-")[0])
    assert spec["autoscalerOptions"]["idleTimeoutSeconds"] == 60 * settings["idle_timeout_minutes"]
    groups = {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    kinds = {name.replace(".", "-"): kind for name, kind in settings["available_node_types"].items()}
    head = settings["head_node_type"].replace(".", "-")
    assert groups.keys() == kinds.keys() - {head}
    templates = {name: group["template"]["spec"] for name, group in groups.items()}
    templates[head] = spec["headGroupSpec"]["template"]["spec"]
    for name, pod in templates.items():
        kind, (container,) = kinds[name], pod["containers"]
        spot = "InstanceMarketOptions" in kind["node_config"]
        assert pod["nodeSelector"]["node.kubernetes.io/instance-type"] == kind["node_config"]["InstanceType"]
        assert pod["nodeSelector"]["eks.amazonaws.com/capacityType"] == ("SPOT" if spot else "ON_DEMAND")
        assert container["image"] == (docker["head_image"] if name == head else docker["image"])
        assert int(container["resources"]["limits"]["cpu"]) < kind["resources"]["CPU"]
        assert int(container["resources"]["limits"].get("nvidia.com/gpu", 0)) == kind["resources"].get("GPU", 0)
        assert all(command in container["args"][0] for command in settings["setup_commands"])
        variables = {one["name"]: one["value"] for one in container["env"]}
        assert variables == {key: value for key, value in environment_of(settings).items() if key != "RAY_AUTH_MODE"}
        assert {"name": "storage", "mountPath": MOUNT} in container["volumeMounts"] and "nfs" in pod["volumes"][0]
    for name, group in groups.items():
        assert (group["minReplicas"], group["maxReplicas"]) == (kinds[name]["min_workers"], kinds[name]["max_workers"])
        shares = 1 / 0.25  # of the documented command; each takes a core
        assert int(group["rayStartParams"]["num-cpus"]) >= shares
    assert groups["gpu-spot"]["priority"] > groups["gpu-on-demand"]["priority"]


def test_a_kubernetes_job_holds_the_same_cluster() -> None:
    job = read("docs/cluster/kuberay-job.yaml")
    assert job["kind"] == "RayJob" and "sweep_tau.py --address auto" in job["spec"]["entrypoint"]
    program, *flags = job["spec"]["entrypoint"].split()[1:]
    asked = dict(zip(flags[::2], flags[1::2], strict=True))
    assert program.endswith("/sweep_tau.py") and asked["--gpus-per-worker"] == "0.25"
    assert asked["--store"].startswith(MOUNT) and asked["--data-dir"].startswith(MOUNT), "all nodes see these"
    assert job["spec"]["rayClusterSpec"] == CLUSTER["spec"] and job["spec"]["shutdownAfterJobFinishes"] is True
