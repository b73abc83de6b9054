import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from ailot_ray.errors import StoreError
from ailot_ray.files import sha256_of
from ailot_ray.provenance import code_version
from ailot_ray.store import (
    CHECKPOINTS,
    MANIFEST,
    RUN,
    Store,
    digest_of,
    file_name_of,
)

KEY = {"data": {"file": "ab12", "format": 1}, "seed": 3, "tau": 0.5}
OTHER = KEY | {"seed": 4}
FILES = {"weights.bin": b"\x00\x01", "parts/0.txt": b"first", "curve.json": b"[]"}

names = st.sampled_from(["alpha", "seed", "k", ""])
leaves = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, 1.0, "a", "1"])
keys = st.dictionaries(names, leaves | st.lists(leaves, max_size=2) | st.dictionaries(names, leaves, max_size=2), max_size=3)


def reverse(value: Any) -> Any:
    """The same value with every dictionary in the other order."""
    if isinstance(value, dict):
        return {name: reverse(value[name]) for name in reversed(list(value))}
    return [reverse(item) for item in value] if isinstance(value, list) else value


class Build:
    """Writes FILES into the work folder; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        for name, content in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def finished(store: Store) -> list[Path]:
    """Whatever lies outside the store's hidden folders."""
    return [p for p in store.root.rglob("*") if not p.relative_to(store.root).parts[0].startswith(".") and p.is_file()]


@given(keys)
@settings(max_examples=50)
def test_digest_does_not_depend_on_the_order_of_names(key: dict[str, Any]) -> None:
    assert digest_of("intents", key) == digest_of("intents", reverse(key))
    assert len(digest_of("intents", key)) == 64 and digest_of("intents", key) != digest_of("rewards", key)


@given(keys, keys)
@settings(max_examples=50)
def test_different_keys_have_different_digests(first: dict[str, Any], second: dict[str, Any]) -> None:
    assume(json.dumps(first, sort_keys=True) != json.dumps(second, sort_keys=True))
    assert digest_of("intents", first) != digest_of("intents", second)


@given(st.text(min_size=1, max_size=400))
def test_a_tasks_name_in_a_file_name_is_short_in_bytes(name: str) -> None:
    """A file system counts bytes, 255 of them, and a letter may have four."""
    part = file_name_of(name)
    assert len(part.encode()) <= 100 and not set(part) & set("/\\: \0")
    assert file_name_of("minari:mujoco/hopper/medium-v0") == "minari-mujoco-hopper-medium-v0"


def test_what_is_produced_is_found(store: Store) -> None:
    assert store.find("intents", "hopper", KEY) is None
    made = store.produce("intents", "hopper", KEY, Build())
    assert store.find("intents", "hopper", KEY) == made
    assert Store(store.root).find("intents", "hopper", KEY) == made
    assert store.find("intents", "hopper", OTHER) is None
    assert made.digest == digest_of("intents", KEY)
    assert made.folder == store.root / "intents" / f"hopper-{made.digest[:12]}"
    assert {name: made.path(name).read_bytes() for name in FILES} == FILES
    manifest = json.loads(made.path(MANIFEST).read_text())
    assert manifest == {
        "kind": "intents",
        "digest": made.digest,
        "key": KEY,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
        "code": to_builtins(code_version()),
    }
    assert set(manifest["code"]) == {"version", "commit", "dirty"} and made.code == code_version()
    assert not list((store.root / ".work").iterdir())


def test_nothing_is_built_twice(store: Store) -> None:
    build = Build()
    first, second = (store.produce("intents", "hopper", KEY, build) for _ in range(2))
    assert build.calls == 1 and first == second
    store.produce("intents", "hopper", OTHER, build)
    assert build.calls == 2


def test_run_facts_are_no_part_of_the_artefact(store: Store, tmp_path: Path) -> None:
    made = store.produce("intents", "hopper", KEY, Build())
    facts = json.loads(made.path(RUN).read_text())
    assert facts["seconds"] >= 0 and facts["packages"]["torch"] and facts["python"]
    made.path(RUN).write_text("{}")
    assert store.find("intents", "hopper", KEY) == made
    made.path(RUN).unlink()
    assert store.find("intents", "hopper", KEY) == made
    elsewhere = Store(tmp_path / "other").produce("intents", "hopper", KEY, Build())
    assert elsewhere.path(MANIFEST).read_bytes() == made.path(MANIFEST).read_bytes()


def test_a_crash_leaves_nothing_finished_and_the_next_build_goes_on(store: Store) -> None:
    def crash(folder: Path) -> None:
        (folder / CHECKPOINTS).mkdir()
        (folder / CHECKPOINTS / "step").write_text("17")
        (folder / "half").write_text("written")
        (folder / ".tmp-123-half").write_text("not even renamed")
        (folder / MANIFEST).write_text("of a sealing that went no further")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.produce("intents", "hopper", KEY, crash)
    assert store.find("intents", "hopper", KEY) is None and not finished(store)

    def go_on(folder: Path) -> None:
        assert (folder / CHECKPOINTS / "step").read_text() == "17"
        (folder / "half").write_text("whole")

    made = store.produce("intents", "hopper", KEY, go_on)
    assert {path.name for path in made.folder.iterdir()} == {"half", MANIFEST, RUN}
    assert json.loads(made.path(MANIFEST).read_text())["files"].keys() == {"half"}
    assert store.find("intents", "hopper", KEY) == made and made.path("half").read_text() == "whole"


def running_out(write: Callable[..., int], full_at: str) -> Callable[..., int]:
    """`write`, except that a file of that name gets half of its content and then the disk is full."""

    def write_some(path: Path, content: Any, *rest: Any) -> int:
        if full_at not in path.name:
            return write(path, content, *rest)
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    return write_some


@pytest.mark.parametrize("full_at", ["weights.bin", RUN, MANIFEST])
def test_a_full_disk_leaves_nothing_finished(store: Store, monkeypatch: pytest.MonkeyPatch, full_at: str) -> None:
    build = Build()

    def train(folder: Path) -> None:
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
        (folder / CHECKPOINTS / "step").touch()
        build(folder)

    with monkeypatch.context() as patch:
        for method in ("write_text", "write_bytes"):
            patch.setattr(Path, method, running_out(getattr(Path, method), full_at))
        with pytest.raises((OSError, StoreError), match="No space left"):
            store.produce("intents", "hopper", KEY, train)
    assert list(store.root.glob(f".work/*/{CHECKPOINTS}/step"))  # the training is not lost
    assert store.find("intents", "hopper", KEY) is None and not finished(store)
    made = store.produce("intents", "hopper", KEY, Build())  # once there is room again
    assert {name: made.path(name).read_bytes() for name in FILES} == FILES
    assert not list(store.root.rglob(".tmp-*"))


def edit_manifest(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda folder: (folder / "weights.bin").write_bytes(b"\x00\x02"), "weights.bin is damaged"),
        (lambda folder: (folder / "parts" / "0.txt").unlink(), "0.txt is missing"),
        (lambda folder: (folder / MANIFEST).write_text("{ not json"), "manifest.json cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "manifest.json cannot be read"),
        (lambda folder: edit_manifest(folder, digest="0" * 64), "manifest.json is not of the digest"),
        (lambda folder: edit_manifest(folder, key=KEY | {"tau": 9.0}), "manifest.json is not of the digest"),
        (lambda folder: edit_manifest(folder, key=OTHER, digest=digest_of("intents", OTHER)), "is not of the digest"),
        (lambda folder: edit_manifest(folder, files=[]), r"manifest.json cannot be read .*files"),
    ],
)
def test_a_spoilt_artefact_is_refused_by_name(store: Store, spoil: Callable[[Path], object], named: str) -> None:
    made = store.produce("intents", "hopper", KEY, Build())
    spoil(made.folder)
    with pytest.raises(StoreError, match=named) as error:
        store.find("intents", "hopper", KEY)
    assert f"delete the folder {made.folder} and run again" in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(StoreError, match=named):
        store.produce("intents", "hopper", KEY, Build())


def test_a_folder_without_a_manifest_is_not_trusted(store: Store) -> None:
    folder = store.folder("intents", "hopper", KEY)
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"of unknown origin")
    assert store.find("intents", "hopper", KEY) is None
    made = store.produce("intents", "hopper", KEY, Build())
    assert made.path("weights.bin").read_bytes() == FILES["weights.bin"]


def test_artefacts_made_together(store: Store) -> None:
    several = [KEY | {"seed": seed} for seed in (5, 1, 3)]

    def build(folders: list[Path]) -> None:
        (folders[0] / CHECKPOINTS).mkdir()
        for key, folder in zip(several, folders, strict=True):
            (folder / "seed").write_text(str(key["seed"]))

    made = store.produce_all("intents", "hopper", several, build)
    assert [artefact.path("seed").read_text() for artefact in made] == ["5", "1", "3"]
    assert [store.find("intents", "hopper", key) for key in several] == made

    assert store.produce_all("intents", "hopper", several, lambda folders: pytest.fail("built twice")) == made
    assert store.produce("intents", "hopper", several[1], lambda folder: pytest.fail("built twice")) == made[1]


def test_a_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match=rf"--store {root} cannot be written"):
            Store(root)


def _build_slowly(root: Path, ready: Any) -> None:
    def build(folder: Path) -> None:
        with (root / "builds").open("a") as file:
            file.write("x")
        time.sleep(0.3)

    ready.wait(timeout=30)
    Store(root / "store").produce("intents", "hopper", KEY, build)


def test_two_processes_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    processes = [context.Process(target=_build_slowly, args=(tmp_path, ready)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "builds").read_text() == "x" and Store(tmp_path / "store").find("intents", "hopper", KEY)


def test_a_file_is_hashed_when_it_is_new_or_has_changed(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hashed: list[str] = []

    def count(path: Path) -> str:
        hashed.append(path.name)
        return sha256_of(path)

    def hashed_by_finding(store: Store) -> list[str]:
        hashed.clear()
        assert store.find("intents", "hopper", KEY)
        return sorted(hashed)

    monkeypatch.setattr("ailot_ray.store.sha256_of", count)
    made = store.produce("intents", "hopper", KEY, Build())
    assert len(hashed) == len(FILES) and hashed_by_finding(store) == []
    os.utime(made.path("weights.bin"), ns=(1, 1))
    assert hashed_by_finding(store) == ["weights.bin"] and hashed_by_finding(store) == []  # what was seen is noted
    other = Store(tmp_path / "copied")
    copied = other.folder("intents", "hopper", KEY)
    shutil.copytree(made.folder, copied)
    for file in FILES:
        os.utime(copied / file, ns=(2, 2))
    assert hashed_by_finding(other) == sorted(Path(file).name for file in FILES)
