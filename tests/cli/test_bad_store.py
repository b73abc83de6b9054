"""Stores that cannot be written or trusted: full disks and damaged artefacts, each one line with its remedy."""

import contextlib
import json
import re
import resource
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ailot_ray.store import MANIFEST

from .conftest import HOPPER_TASK, TINY, Command, finished, require_nothing_half_written, require_one_line


@pytest.mark.parametrize("verb", ["pretrain", "relabel", "train", "evaluate", "run"])
def test_a_store_that_cannot_be_one(verb: str, work: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "store"):
        require_one_line(work(verb, "--store", place), re.escape(f"--store {place} cannot be written"), "choose another")
    assert (tmp_path / "file").read_text() == "in the way"


def test_results_of_a_store_that_is_not_there(command: Command, tmp_path: Path) -> None:
    require_one_line(command("results", "--store", tmp_path / "none"), "none is not there: .*python -m ailot_ray run")
    assert not (tmp_path / "none").exists()


FULL: dict[str, tuple[Sequence[str], int, str]] = {
    "pretrain": (["pretrain"], 200, "icvf.safetensors"),
    "relabel": (["relabel"], 200, "parquet"),
    "train": (["train", "--method", "bc"], 200, "actor-00000004.safetensors"),
    "evaluate": (["evaluate", "--method", "bc"], 200, r"episodes-\d+.parquet"),
    "run": (["run", "--method", "bc"], 20_000, "learning_curves.png"),
}
"""A verb, the largest file the disk takes, and the file on which it fails."""


@pytest.mark.parametrize("name", FULL)
def test_a_disk_that_fills_up(name: str, work: Command, store: Path, tmp_path: Path) -> None:
    arguments, limit, file = FULL[name]
    assert work(*arguments, "--store", tmp_path / "other").status == 0, "Numba's compiled kernels are on the disk"
    before_it = {"relabel": "pretrain", "evaluate": "train"}.get(name)
    if before_it:
        assert work(before_it, *arguments[1:]).status == 0
    before = finished(store)
    with files_no_larger_than(limit):
        ended = work(*arguments)
    require_one_line(ended, rf"cannot write .*{file} \(.*File too large\): free some space, or choose another place")
    assert name == "run" or finished(store) == before
    require_nothing_half_written(store)
    assert work(*arguments).status == 0, "the same command goes on when there is space"


def test_a_disk_that_fills_up_during_an_export(command: Command, hopper: Path, store: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.hdf5"
    arguments = ["data", "export", *HOPPER_TASK, "--data", hopper, "--store", store, *TINY[:-2], "--output", output]
    assert command(*arguments, "--method", "otr").status == 0
    before = output.read_bytes()
    with files_no_larger_than(10_000):
        ended = command(*arguments, "--method", "otr", "--overwrite")
    require_one_line(ended, r"cannot write .*out.hdf5 \(File too large\): free some space")
    assert output.read_bytes() == before and not list(tmp_path.glob(".tmp*"))


@contextlib.contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let the kernel refuse to write files beyond `size` bytes, as it does when a disk is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


DAMAGED = [
    ("intents", "icvf.safetensors", "relabel"),
    ("alignment", "costs.parquet", "relabel"),
    ("alignment", "solves.parquet", "train"),
    ("rewards", "rewards.parquet", "train"),
    ("rewards", "report.json", "relabel"),
    ("policies", "actor-00000008.safetensors", "evaluate"),
    ("scores", "episodes.parquet", "evaluate"),
    ("scores", "trial.json", "run"),
]


@pytest.mark.parametrize(("kind", "name", "verb"), DAMAGED)
def test_a_damaged_artefact(kind: str, name: str, verb: str, work: Command, command: Command, store: Path) -> None:
    assert work("evaluate").status == 0
    (path,) = store.glob(f"{kind}/*/{name}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    before = finished(store)
    require_one_line(work(verb), re.escape(str(path)), f"is damaged .*: delete the folder {re.escape(str(path.parent))}")
    assert finished(store) == before
    if kind == "scores":
        require_one_line(command("results", "--store", store), re.escape(str(path.parent)), "is damaged .*: delete the folder")


def test_a_missing_file_of_an_artefact(work: Command, store: Path) -> None:
    assert work("relabel").status == 0
    (path,) = store.glob("rewards/*/rewards.parquet")
    path.unlink()
    require_one_line(work("train"), "rewards.parquet is missing: delete the folder")


def _another_digest(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest | {"digest": "0" * 64})


BAD_MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "another digest": (_another_digest, "manifest.json is not of the digest .*: delete the folder"),
    "no files": (
        lambda manifest: json.dumps({"digest": manifest["digest"]}),
        "manifest.json cannot be read .*: delete the folder",
    ),
    "a list": (lambda manifest: "[]", "manifest.json cannot be read"),
    "cut off": (lambda manifest: json.dumps(manifest)[:40], "manifest.json cannot be read .*: delete the folder"),
    "empty": (lambda manifest: "", "manifest.json cannot be read .*: delete the folder"),
}


@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_a_manifest_that_cannot_be_trusted(name: str, work: Command, store: Path) -> None:
    assert work("train", "--method", "bc").status == 0
    (path,) = store.glob(f"policies/*/{MANIFEST}")
    change, pattern = BAD_MANIFESTS[name]
    path.write_text(change(json.loads(path.read_text())))
    require_one_line(work("evaluate", "--method", "bc"), re.escape(str(path)), pattern)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x10\0\0\0\0\0\0\0{}              "])
def test_a_damaged_checkpoint(content: bytes, work: Command, store: Path, tmp_path: Path) -> None:
    assert work("train", "--method", "bc", "--store", tmp_path / "other").status == 0
    (folder,) = (tmp_path / "other" / "policies").iterdir()
    digest = folder.name.rsplit("-", 1)[-1]
    checkpoint = store / ".work" / f"policies-{digest}" / "checkpoints" / "learner.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(content)
    ended = work("train", "--method", "bc")
    require_one_line(ended, re.escape(str(checkpoint)), "cannot be resumed from .*: delete it to start that stage over")
    require_nothing_half_written(store)
    checkpoint.unlink()
    assert work("train", "--method", "bc").status == 0


def test_a_damaged_part_of_an_alignment(work: Command, store: Path, tmp_path: Path) -> None:
    assert work("relabel", "--method", "otr", "--store", tmp_path / "other").status == 0
    (folder,) = (tmp_path / "other" / "alignment").iterdir()
    part = store / ".work" / f"alignment-{folder.name.rsplit('-', 1)[-1]}" / "checkpoints" / "part-000000.parquet"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"PAR1")
    require_one_line(work("relabel", "--method", "otr"), re.escape(str(part)), "cannot be read .*: delete it")


def test_export_does_not_overwrite(command: Command, hopper: Path, store: Path) -> None:
    before = hopper.read_bytes()
    arguments = ["data", "export", *HOPPER_TASK, "--data", hopper, "--store", store, *TINY[:-2], "--output", hopper]
    require_one_line(command(*arguments), re.escape(str(hopper)), "exists: choose another --output or pass --overwrite")
    assert hopper.read_bytes() == before and not store.exists()
    require_one_line(
        command(*arguments[:-1], hopper.parent / "new.hdf5", "--seed", -1), "--seed is -1, but it must be 0 or more"
    )


def test_export_where_nothing_can_be_written(command: Command, hopper: Path, store: Path) -> None:
    arguments = ["data", "export", *HOPPER_TASK, "--data", hopper, "--store", store, *TINY[:-2], "--method", "otr"]
    ended = command(*arguments, "--output", hopper / "below-a-file.hdf5")
    require_one_line(ended, "below-a-file.hdf5", "cannot write .* choose another place")
