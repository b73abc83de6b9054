"""A store that is not one folder on every node, cannot be written or locked, or is full; and nothing is left behind."""

import errno
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ailot_ray.cluster import sharing
from ailot_ray.cluster.facts import TOKENS, Origin

from .conftest import require_failed, tree


def test_a_shared_store(shared: Origin) -> None:
    assert sharing.write_and_read(shared, "node").ok
    assert sharing.confirm(shared, "node").ok
    with sharing.holding(shared):
        assert sharing.locks_and_renames(shared, "node").ok
    assert tree(shared.store / TOKENS) <= {shared.token, f"{shared.token}-node", f"{shared.token}-lock"}


def test_a_store_that_is_another_on_the_node(shared: Origin, tmp_path: Path) -> None:
    there = replace(shared, store=tmp_path / "there")
    require_failed(sharing.write_and_read(there, "node"), f"does not see the driver's {there.store}", "every node shares")
    assert sharing.locks_and_renames(there, "node").ok is None
    assert not there.store.exists()


def test_a_file_that_the_driver_does_not_see(shared: Origin) -> None:
    require_failed(sharing.confirm(shared, "node"), "the driver does not see its file", "every node shares")
    sharing.mark_of(shared, "node").write_text("of another run")
    assert not sharing.confirm(shared, "node").ok


def test_a_file_that_comes_late(shared: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "PATIENCE", 10.0)
    threading.Timer(0.5, lambda: sharing.mark_of(shared, "node").write_text("node")).start()
    assert sharing.confirm(shared, "node").ok


def test_a_store_that_the_node_cannot_write(shared: Origin) -> None:
    sharing.mark_of(shared, "node").mkdir()
    require_failed(
        sharing.write_and_read(shared, "node"), f"cannot write {shared.store} (Is a directory)", "reading and writing"
    )
    sharing.mark_of(shared, "node").rmdir()
    assert tree(shared.store / TOKENS) == {shared.token}


def test_a_lock_that_keeps_nobody_out(shared: Origin) -> None:
    # The driver holds no lock: what a file system without locks looks like from a node.
    require_failed(sharing.locks_and_renames(shared, "node"), "does not keep another process out", "POSIX")


def test_a_rename_that_copies(shared: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", lambda path, target: shutil.copytree(path, target))
    with sharing.holding(shared):
        require_failed(sharing.locks_and_renames(shared, "node"), "not renamed as a whole", "POSIX")
    assert not [name for name in tree(shared.store) if name.endswith(("before", "after"))]


def test_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = {str(tmp_path): 1 << 29, "/": 1 << 40}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free[str(folder)]))
    assert sharing.space({"the store": Path("/")}).ok
    found = sharing.space({"the store": tmp_path, "temporary files": Path("/"), "nothing": tmp_path / "absent"})
    require_failed(found, "0.5 GiB free for the store", f"free some space in {tmp_path}, or")


def test_the_store_is_left_as_it_was(tmp_path: Path) -> None:
    new, used = tmp_path / "new", tmp_path / "used"
    (used / TOKENS).mkdir(parents=True)
    (used / TOKENS / "of-another-run").touch()
    before = tree(used)
    for store in (new, used):
        with sharing.marked(store, 10.0) as (origin, _):
            assert origin
            sharing.write_and_read(origin, "node")
            with sharing.holding(origin):
                sharing.locks_and_renames(origin, "node")
            assert len(tree(store)) > 2
    assert not new.exists() and tree(used) == before


def test_a_full_disk_leaves_nothing_of_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_text", full)
    with sharing.marked(tmp_path / "new", 10.0) as (origin, outcome):
        assert origin is None
        require_failed(outcome, f"--store {tmp_path / 'new'} cannot be written (No space left on device)", "--store DIR")
    assert not tree(tmp_path)


def test_a_store_that_others_begin_to_use_stays(tmp_path: Path) -> None:
    with sharing.marked(tmp_path / "new", 10.0):
        (tmp_path / "new" / "scores").mkdir()
    assert tree(tmp_path / "new") == {"scores"}
