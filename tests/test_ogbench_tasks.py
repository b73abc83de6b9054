"""The table of OGBench's tasks against what OGBench registers; its files fetched; the tool that makes small ones."""

import dataclasses
import urllib.request
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from data.ogbench_made import POINT, SCENE, made, needs_ogbench, write_npz
from make_ogbench import make

from ailot_ray.__main__ import main
from ailot_ray.config import Config
from ailot_ray.data import load_dataset
from ailot_ray.data.fetch import fetch
from ailot_ray.errors import ConfigError, DataError
from ailot_ray.ogbench_tasks import FAMILIES, OGBENCH_NAMES, format_families
from ailot_ray.resolve import resolve
from ailot_ray.tasks import get_task


def test_every_task_is_registered_with_its_horizon() -> None:
    needs_ogbench()
    pytest.importorskip("ogbench")
    assert len(OGBENCH_NAMES) == 47 * 6
    for name in OGBENCH_NAMES:
        task = get_task(name)
        spec = gymnasium.registry[task.environment]
        assert (spec.max_episode_steps, task.name) == (task.horizon, name)
        number = name.split("singletask")[1].removesuffix("-v0").removeprefix("-task")
        assert spec.kwargs["reward_task_id"] == int(number or 0)
    registered = {name.split("-singletask")[0] for name, spec in gymnasium.registry.items() if "-singletask" in name}
    missing = {name for name in registered if not name.startswith("visual")} - FAMILIES.keys()
    assert missing == {"humanoidmaze-teleport", "cube-octuple"}  # no data are published for them at this size


def test_sizes_of_the_mazes() -> None:
    """Those of arms take seconds each; make_env holds every task to its sizes."""
    needs_ogbench()
    pytest.importorskip("ogbench")
    for name in ("pointmaze-giant", "antmaze-teleport", "humanoidmaze-medium", "antsoccer-arena"):
        env = gymnasium.make(f"{name}-singletask-v0", disable_env_checker=True)
        assert env.observation_space.shape == (FAMILIES[name].observation_size,)
        assert env.action_space.shape == (FAMILIES[name].action_size,)
        env.close()


def test_settings_are_antmazes_but_for_rewards_that_are_shifted_already() -> None:
    shifts = {method: resolve(Config(task=POINT, method=method)).reward.shift for method in ("iql", "ailot", "seabo")}
    assert shifts == {"iql": 0.0, "ailot": -2.0, "seabo": -1.0}
    config = resolve(Config(task=SCENE))
    assert (config.iql.expectile, config.evaluation.episodes, config.icvf.standardise) == (0.9, 50, True)
    assert resolve(Config(task=POINT)).icvf.standardise is False
    assert resolve(Config(task="antmaze-umaze-v2", method="iql")).reward.shift == -1.0


def test_unknown_names_and_the_listing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="did you mean scene-play-singletask-task1-v0"):
        get_task("scene-play-singletask-task1-v1")
    write_npz(tmp_path / "scene-noisy-v0.npz", {})
    assert len(format_families(tmp_path).splitlines()) == len(FAMILIES) + 3
    assert main(["tasks", "--data-dir", str(tmp_path)]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("scene")]
    assert row.split() == ["scene", "play,", "noisy", "40", "5", "750", "noisy"]


def test_fetched_from_a_folder(tmp_path: Path) -> None:
    origin = write_npz(tmp_path / "origin" / "pointmaze-medium-navigate-v0.npz", made(POINT))
    found = fetch(get_task(POINT), tmp_path / "data", mirror=str(origin.parent))
    assert found.path.read_bytes() == origin.read_bytes() and not found.verified
    origin.write_bytes(b"<html>")
    with pytest.raises(DataError, match="sent no NPZ file"):
        fetch(get_task(POINT), tmp_path / "again", mirror=str(origin.parent))


def test_without_a_network(tmp_path: Path) -> None:
    asked: list[str] = []

    def unreachable(request: urllib.request.Request, timeout: float) -> None:
        asked.append(request.full_url)
        raise OSError("Name or service not known")

    with pytest.raises(DataError, match=r"cannot be reached \(Name or service not known\); run it again .*--mirror") as caught:
        fetch(get_task(POINT), tmp_path, opener=unreachable)
    assert "\n" not in str(caught.value)
    assert asked == ["https://rail.eecs.berkeley.edu/datasets/ogbench/pointmaze-medium-navigate-v0.npz"]  # and no D4RL mirror


def test_collecting_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "collect", "--task", POINT, "--output", str(tmp_path / "new.hdf5")]) != 0
    assert "make_ogbench.py" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [POINT, "cube-double-noisy-singletask-v0"])
def test_the_tool_makes_what_the_reader_takes(name: str, tmp_path: Path) -> None:
    needs_ogbench()
    path = make(name, episodes=2, steps=41, output_dir=tmp_path)
    data = load_dataset(Config(task=name, data_dir=tmp_path))
    assert (path.parent, path.name) == (tmp_path, get_task(name).file_name)
    assert data.lengths.tolist() == [40, 40] and np.abs(data.actions).max() > 0.5
    if name == POINT:
        with np.load(path) as file:
            kinds = {key: (array.shape, str(array.dtype)) for key, array in file.items()}
        floats = ("observations", "actions", "qpos", "qvel")
        assert kinds == {key: ((82, 2), "float32") for key in floats} | {"terminals": ((82,), "bool")}
        again = make(name, episodes=2, steps=41, output_dir=tmp_path / "again")
        assert again.read_bytes() == path.read_bytes()
        other = make(name, episodes=2, steps=41, seed=1, output_dir=tmp_path / "other")
        assert other.read_bytes() != path.read_bytes()


def test_the_tool_needs_a_recipe_without_a_trained_policy(tmp_path: Path) -> None:
    for name in ("antmaze-large-navigate-singletask-v0", "pointmaze-medium-stitch-singletask-v0", "hopper-medium-v2"):
        with pytest.raises(ConfigError, match=f"--task {name}: take"):
            make(name, output_dir=tmp_path)
    assert dataclasses.replace(get_task(SCENE)).stand_in == "scene-play-v0.npz"
