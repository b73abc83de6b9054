"""cluster.yaml against Ray's own checks, and what is made of it; offline, without starting Ray."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.node_provider_availability_tracker import (
    NodeAvailabilityRecord,
    NodeAvailabilitySummary,
    UnavailableNodeInformation,
)
from ray.autoscaler._private.resource_demand_scheduler import get_nodes_for
from ray.autoscaler._private.util import prepare_config, validate_config

from ailot_ray.cluster import fallback
from ailot_ray.cluster.kuberay import kuberay_manifest
from ailot_ray.cluster.nodes import (
    MOUNT,
    Settings,
    environment_of,
    fake_multinode_variant,
    local_variant,
    read_cluster_file,
    storage_of,
    with_storage,
)
from ailot_ray.errors import ConfigError

ROOT = Path(__file__).parents[2]
EXPORT = "fs-0123.efs.us-west-2.amazonaws.com:/"


@pytest.fixture(name="settings")
def _settings() -> Settings:
    return read_cluster_file(ROOT / "cluster.yaml")


def local(settings: Settings) -> Settings:
    workers = ["10.0.0.2", "10.0.0.3"]
    return local_variant(with_storage(settings, EXPORT), head="10.0.0.1", workers=workers, ssh_user="me", ssh_key="key.pem")


def fake(settings: Settings) -> Settings:
    return fake_multinode_variant(settings, gcs_address="127.0.0.1:6379", idle_timeout_minutes=0.1)


@pytest.mark.parametrize("made", [lambda settings: settings, local, fake], ids=["aws", "local", "fake"])
def test_ray_accepts(settings: Settings, made: Any) -> None:
    validate_config(prepare_config(made(settings)))


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
    manifest = kuberay_manifest(with_storage(settings, EXPORT))
    assert manifest["spec"]["authOptions"] == {"mode": "token"}


def test_what_is_ignored_by_git_stays_here(settings: Settings) -> None:
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()} - {"MUJOCO_LOG.TXT"}
    assert ignored <= set(settings["rsync_exclude"])
    assert ".git" in settings["rsync_exclude"]


# --- shared storage ---


def test_the_storage_of_the_file_as_delivered_is_unset(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"^AILOT_STORAGE is not set: .*cluster\.yaml$"):
        storage_of(settings)
    with pytest.raises(ConfigError, match="AILOT_STORAGE is not set"):
        local_variant(settings, head="10.0.0.1", workers=[], ssh_user="me", ssh_key="key.pem")


def test_an_unset_storage_stops_a_node_with_the_same_message(settings: Settings) -> None:
    command = settings["initialization_commands"][0]
    done = subprocess.run(["bash", "-c", f"({command})"], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stderr == "AILOT_STORAGE is not set: write your NFS export into cluster.yaml\n"


def test_one_line_sets_the_storage_everywhere(settings: Settings, tmp_path: Path) -> None:
    text = (ROOT / "cluster.yaml").read_text()
    assert len(re.findall(r"^ *AILOT_STORAGE=", text, re.MULTILINE)) == 1
    path = tmp_path / "cluster.yaml"
    path.write_text(re.sub(r"AILOT_STORAGE=$", f"AILOT_STORAGE={EXPORT}", text, flags=re.MULTILINE))
    changed = read_cluster_file(path)
    assert changed == with_storage(settings, EXPORT)
    assert storage_of(changed) == ("fs-0123.efs.us-west-2.amazonaws.com", "/")
    assert f"AILOT_STORAGE={EXPORT}\n" in local(settings)["initialization_commands"][0]
    volumes = kuberay_manifest(changed)["spec"]["headGroupSpec"]["template"]["spec"]["volumes"]
    assert volumes[0] == {"name": "storage", "nfs": {"server": "fs-0123.efs.us-west-2.amazonaws.com", "path": "/"}}
    assert f"-v {MOUNT}:{MOUNT}" in settings["docker"]["run_options"]


@pytest.mark.parametrize("export", ["s3://bucket/folder", "server", ":/", "server:folder"])
def test_what_is_no_nfs_export_is_refused(settings: Settings, export: str) -> None:
    with pytest.raises(ConfigError, match=f"AILOT_STORAGE is {export}, which is no NFS export"):
        storage_of(with_storage(settings, export))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("a: [", "is not valid YAML"),
        ("[]", "has no cluster_name, provider"),
        ("cluster_name: a", "has no provider, available_node_types"),
    ],
)
def test_bad_cluster_files(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=rf"mine\.yaml {message}") as caught:
        read_cluster_file(path)
    assert "\n" not in str(caught.value)


# --- variants ---


def test_the_local_variant_keeps_everything_but_aws(settings: Settings) -> None:
    made = local(settings)
    for name in (
        "file_mounts",
        "rsync_exclude",
        "head_start_ray_commands",
        "worker_start_ray_commands",
        "idle_timeout_minutes",
    ):
        assert made[name] == settings[name]
    for command in settings["setup_commands"]:
        assert any(mine.endswith(command) for mine in made["setup_commands"])
    for name, value in environment_of(settings).items():
        assert f'export {name}="{value}"' in made["setup_commands"][1]
    assert "boto3" not in yaml.safe_dump(made) and "docker" not in made
    assert made["provider"] == {"type": "local", "head_ip": "10.0.0.1", "worker_ips": ["10.0.0.2", "10.0.0.3"]}


def test_the_variables_of_the_local_variant_reach_a_shell(settings: Settings, tmp_path: Path) -> None:
    command = local(settings)["setup_commands"][1]
    for _ in range(2):  # `ray up` runs it again
        subprocess.run(["bash", "-c", command], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True, timeout=30)
    shown = subprocess.run(
        ["bash", "-c", ". ~/.bashrc; echo $RAY_AUTH_MODE $PATH"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert shown.stdout.split() == ["token", f"{tmp_path}/.ailot-venv/bin:/usr/bin:/bin"]
    assert (tmp_path / ".bashrc").read_text().count("ailot-env") == 1


def test_the_fake_variant_keeps_types_and_limits(settings: Settings) -> None:
    made, original = fake(settings)["available_node_types"], settings["available_node_types"]
    assert made.keys() == original.keys()
    for name in made:
        assert [made[name][key] for key in ("min_workers", "max_workers")] == [
            original[name][key] for key in ("min_workers", "max_workers")
        ]
        assert made[name]["resources"].get("GPU", 0) == original[name]["resources"].get("GPU", 0)
    assert fake(settings)["max_workers"] == settings["max_workers"]


def test_variants_leave_the_settings_alone(settings: Settings) -> None:
    before = yaml.safe_dump(settings)
    local(settings), fake(settings), kuberay_manifest(with_storage(settings, EXPORT))
    assert yaml.safe_dump(settings) == before


def test_the_kubernetes_manifest_follows_the_settings(settings: Settings) -> None:
    manifest = kuberay_manifest(with_storage(settings, EXPORT))
    spec = manifest["spec"]
    assert (manifest["kind"], spec["rayVersion"]) == ("RayCluster", "2.60.0")
    assert spec["autoscalerOptions"]["idleTimeoutSeconds"] == 60 * settings["idle_timeout_minutes"]
    groups = {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    assert groups.keys() == {"gpu-spot", "gpu-on-demand"}
    for name, group in groups.items():
        kind = settings["available_node_types"][name.replace("-", ".", 1)]
        assert group["maxReplicas"] == kind["max_workers"]
        pod = group["template"]["spec"]
        assert pod["containers"][0]["image"] == settings["docker"]["image"]
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert pod["nodeSelector"]["node.kubernetes.io/instance-type"] == kind["node_config"]["InstanceType"]
        assert all(command in pod["containers"][0]["args"][0] for command in settings["setup_commands"])
    capacity = {
        name: group["template"]["spec"]["nodeSelector"]["eks.amazonaws.com/capacityType"] for name, group in groups.items()
    }
    assert capacity == {"gpu-spot": "SPOT", "gpu-on-demand": "ON_DEMAND"}
    assert spec["headGroupSpec"]["template"]["spec"]["containers"][0]["image"] == settings["docker"]["head_image"]


def test_a_kubernetes_job_holds_the_same_cluster(settings: Settings) -> None:
    settings = with_storage(settings, EXPORT)
    job = kuberay_manifest(settings, "python sweep.py")
    assert (job["kind"], job["spec"]["entrypoint"]) == ("RayJob", "python sweep.py")
    assert job["spec"]["rayClusterSpec"] == kuberay_manifest(settings)["spec"]
    assert job["spec"]["shutdownAfterJobFinishes"] is True


def test_the_experiment_prints_the_manifest(settings: Settings) -> None:
    command = [sys.executable, "experiments/kuberay.py"]
    shown = subprocess.run([*command, "--storage", EXPORT], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert yaml.safe_load(shown.stdout) == kuberay_manifest(with_storage(settings, EXPORT))
    refusal = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (refusal.returncode, refusal.stdout) == (1, "")
    assert refusal.stderr.startswith("error: AILOT_STORAGE is not set") and refusal.stderr.count("\n") == 1
