"""A remote of Minari's that is a folder of this machine, and datasets recorded here to put into it."""

import os
import shutil
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict
from minari.storage import remotes

GOALS = Dict({"observation": Box(-9, 9, (3,)), "goal": Dict({"y": Box(-9, 9, (1,)), "x": Box(-9, 9, ())})})
ORDER = (("goal.x", 1), ("goal.y", 1), ("observation", 3))
ENVIRONMENT = "Reach-v0"


class Reach(gymnasium.Env[dict[str, Any], Any]):
    """Three numbers that actions push, and a goal for the first two of them."""

    def __init__(self, space: Dict = GOALS) -> None:
        self.observation_space, self.action_space = space, Box(-1.0, 1.0, (2,))

    def _seen(self) -> dict[str, Any]:
        x, y = self.goal
        return {"observation": self.state.copy(), "goal": {"y": np.array([y], np.float32), "x": np.array(x, np.float32)}}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.state = np.zeros(3, np.float32)
        self.goal = self.np_random.uniform(4, 8, 2).astype(np.float32)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        self.state = np.clip(self.state + 0.1 * np.append(action, 1.0), -9, 9).astype(np.float32)
        return self._seen(), -float(np.abs(self.state[:2] - self.goal).sum()), False, False, {}


gymnasium.register(ENVIRONMENT, f"{__name__}:Reach", max_episode_steps=12)


def record(identity: str, environment: str = ENVIRONMENT, episodes: int = 6, kind: str = "hdf5") -> str:
    """Random play as a Minari dataset under MINARI_DATASETS_PATH."""
    env = minari.DataCollector(gymnasium.make(environment, max_episode_steps=12), data_format=kind)
    env.action_space.seed(0)
    for seed in range(episodes):
        env.reset(seed=seed)
        for _ in range(12):
            env.step(env.action_space.sample())
    with warnings.catch_warnings():  # of an author, a code link and so on that a public dataset should have
        warnings.simplefilter("ignore")
        env.create_dataset(identity)
    env.close()
    return f"minari:{identity}"


class Folder(remotes.CloudStorage):  # type: ignore[misc]
    """What Minari asks of a remote, answered from the folder AILOT_TEST_REMOTE."""

    copy: Callable[[str, str], Any] = shutil.copyfile

    def __init__(self, name: str, token: str | None = None) -> None:
        self.root = Path(os.environ["AILOT_TEST_REMOTE"]) / name

    def list_datasets(self, prefix: str | None = None) -> Iterable[str]:
        if not self.root.is_dir():
            raise ConnectionError("no route to host")
        names = (str(path.parents[1].relative_to(self.root)) for path in self.root.rglob("data/metadata.json"))
        return [name for name in names if name.startswith(prefix or "")]

    def get_dataset_metadata(self, dataset_id: str) -> Any:
        return minari.dataset.minari_storage.MinariStorage.read_raw_metadata(self.root / dataset_id / "data")

    def download_dataset(self, dataset_id: str, path: Path) -> None:
        shutil.copytree(self.root / dataset_id, path / dataset_id, dirs_exist_ok=True, copy_function=type(self).copy)

    def list_namespaces(self) -> Iterable[str]:
        return [str(path.parent.relative_to(self.root)) for path in self.root.rglob("namespace_metadata.json")]

    def download_namespace_metadata(self, namespace: str, path: Path) -> None:
        shutil.copyfile(self.root / namespace / "namespace_metadata.json", path / namespace / "namespace_metadata.json")

    upload_dataset = upload_namespace = lambda self, name: None


def serve(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have Minari ask the remote ``folder://main``, and keep its datasets in `folder`/here."""
    monkeypatch.setitem(remotes._registry, "folder", lambda: Folder)
    monkeypatch.setenv("AILOT_TEST_REMOTE", str(folder))
    monkeypatch.setenv("MINARI_REMOTE", "folder://main")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder / "here"))


def publish(monkeypatch: pytest.MonkeyPatch, folder: Path, identity: str, remote: str = "main", **how: Any) -> str:
    """Record a dataset at a remote rather than here."""
    with monkeypatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(folder / remote))
        reference = record(identity, **how)
        for namespace in Path(identity).parents[:-1]:
            (folder / remote / namespace / "namespace_metadata.json").write_text("{}")
    return reference
