"""Minari datasets that are not on this machine: downloaded whole or not at all, and one line where that cannot be."""

import logging
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import minari
import pytest

from ailot_ray.config import Config
from ailot_ray.data import load_dataset
from ailot_ray.errors import AilotError, ConfigError, DataError
from ailot_ray.minari_fetch import dataset_folder, no_download, split
from ailot_ray.tasks import get_task

from .remote import Folder, publish, record, serve

NAME = "toy/reach/random-v0"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the datasets `here`, none yet, and those of the remote `main`."""
    serve(monkeypatch, tmp_path)
    publish(monkeypatch, tmp_path, NAME)
    return tmp_path


def require_one_line(error: type[AilotError], pattern: str, reference: str = f"minari:{NAME}") -> None:
    with pytest.raises(error, match=pattern) as caught:
        get_task(reference)
    assert "\n" not in str(caught.value)


def test_a_dataset_that_is_not_here_is_downloaded_once(
    world: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    task = get_task(f"minari:{NAME}")
    (said,) = caplog.messages
    assert said.startswith(f"downloading minari:{NAME}, 0.") and "MB, from folder://main to" in said
    assert f"{world / 'here' / NAME} (MINARI_DATASETS_PATH says where)" in said
    shutil.rmtree(world / "main")
    data = load_dataset(Config(task=task.name))
    assert data.lengths.tolist() == [12] * 6 and len(caplog.messages) == 1
    assert list(minari.list_local_datasets()) == [NAME] and not (world / "here/.ailot_ray").exists()
    assert minari.namespace.list_local_namespaces() == ["toy", "toy/reach"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("written", ["minari:folder://other/", "minari:folder:/other/"])
def test_another_remote(world: Path, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    publish(monkeypatch, world, "mine/own-v3", remote="other")
    task = get_task(f"{written}mine/own-v3")
    assert (task.name, task.data) == ("minari:mine/own-v3", "minari:mine/own-v3")
    with_slash_lost = load_dataset(Config(data=Path("minari:folder://other/mine/own-v3")))
    assert with_slash_lost.task == with_slash_lost.source == "minari:mine/own-v3"
    assert split("minari:hf://farama-minari/D4RL/door/human-v2") == ("hf://farama-minari", "D4RL/door/human-v2")


def test_a_download_that_breaks_off_is_never_taken_for_a_dataset(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: str, target: str) -> None:
        if source.endswith(".hdf5"):
            Path(target).write_bytes(Path(source).read_bytes()[:5000])
            raise RuntimeError("connection reset\nby peer")
        shutil.copyfile(source, target)

    monkeypatch.setattr(Folder, "copy", staticmethod(broken))
    for _ in range(2):
        require_one_line(
            DataError, rf"minari:{NAME}: the download broke off \(.*reset by peer.*the same command goes on with it"
        )
        assert minari.list_local_datasets() == {} and not (world / "here" / NAME).exists()
    monkeypatch.undo()
    serve(monkeypatch, world)
    assert get_task(f"minari:{NAME}").observation_size == 5
    assert len(load_dataset(Config(task=f"minari:{NAME}"))) == 72


@pytest.mark.parametrize("what", ["truncated", "an episode short", "code for spaces"])
def test_what_comes_damaged_is_not_kept(world: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def damaged(source: str, target: str) -> None:
        content = Path(source).read_bytes()
        if what == "truncated" and source.endswith(".hdf5"):
            content = content[: len(content) // 2]
        if what == "an episode short":
            content = content.replace(b'"total_episodes": 6', b'"total_episodes": 5')
        if what == "code for spaces":
            content = content.replace(b'"observation_space"', b'"another_space"')
        Path(target).write_bytes(content)

    monkeypatch.setattr(Folder, "copy", staticmethod(damaged))
    reason = "does not describe its spaces" if what == "code for spaces" else r"is damaged \("
    require_one_line(DataError, f"minari:{NAME}.* {reason}.*; what came was removed: run it again")
    assert not list((world / "here").rglob("metadata.json"))


def test_what_is_not_to_be_had_is_one_line(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    near = f"is neither on this machine .* nor at folder://main: did you mean minari:{NAME}"
    require_one_line(DataError, near, "minari:toy/reach/randon-v0")
    require_one_line(DataError, near, "minari:toy/reach/random-v1")
    record("mine/walk/slow-v0")
    require_one_line(DataError, "did you mean minari:mine/walk/slow-v0", "minari:mine/walk/slow-v1")  # of this machine
    require_one_line(DataError, "nor at folder://main: `minari list remote` shows what there is", "minari:quite/else-v0")
    require_one_line(ConfigError, "is not the name of a Minari dataset, such as minari:mujoco/", "minari:../../etc-v0")
    require_one_line(ConfigError, "is not the name of a Minari dataset", "minari:toy/reach/random")
    monkeypatch.setenv("MINARI_REMOTE", "folder://gone")
    require_one_line(DataError, r"folder://gone cannot be asked for it \(ConnectionError: no route to host\): try again")
    monkeypatch.setenv("MINARI_REMOTE", "folder://main")
    monkeypatch.setattr(minari, "supported_dataset_versions", {"9.0"})
    require_one_line(DataError, "was written by Minari 0.5.4, which the one installed here cannot read: upgrade Minari")
    monkeypatch.undo()
    serve(monkeypatch, world)
    (world / "here" / NAME / "data").mkdir(parents=True)
    require_one_line(DataError, rf"{NAME} holds no whole dataset: remove it, and it is downloaded")


def test_what_a_download_needs_is_told(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_REMOTE", "hf://farama-minari")
    monkeypatch.delitem(sys.modules, "minari.storage.remotes.huggingface", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    require_one_line(DataError, "not on this machine, and cannot be downloaded: huggingface_hub is not installed.*pip install")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(world / "main" / NAME / "data" / "main_data.hdf5"))
    require_one_line(
        DataError, r"main_data.hdf5/toy/.* cannot be written \(.*: choose another folder with MINARI_DATASETS_PATH"
    )


def test_plans_download_nothing(world: Path) -> None:
    with no_download():
        require_one_line(ConfigError, rf"is not on this machine \({world}.*`python -m ailot_ray data fetch minari:{NAME}`")
    assert not (world / "here").exists()
    get_task(f"minari:{NAME}")
    with no_download():
        assert get_task(f"minari:{NAME}").observation_size == 5


def test_only_one_downloads_at_a_time(world: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    inside, asked, copies = threading.Event(), threading.Event(), []
    listed = Folder.list_datasets

    def slow(self: Folder, prefix: str | None = None) -> Any:
        inside.set()
        assert asked.wait(10)
        copies.append(prefix)
        return listed(self, prefix)

    monkeypatch.setattr(Folder, "list_datasets", slow)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(dataset_folder(f"minari:{NAME}"))) for _ in range(2)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    with caplog.at_level(logging.WARNING):
        while not any("waiting for" in message for message in caplog.messages):
            threads[1].join(0.05)
    asked.set()
    for thread in threads:
        thread.join()
    assert found == [world / "here" / NAME] * 2
    assert len(copies) == 2  # the first one's: its own question, and Minari's
