"""Artefact folders: each named by a digest of exactly what it depends on, sealed by a manifest, never half written.

    <root>/<kind>/<task>-<digest>/manifest.json     kind, digest, key, code version, and the SHA-256 of every file beside it
    <root>/.work/<kind>-<digest>/                    being made: checkpoints and parts, from which a killed run goes on
    <root>/.locks/<kind>-<digest>.lock               held while it is made, so that two processes never make it twice
    <root>/.journal/<host>-<process>.jsonl           what that process began and finished, a line each

A folder is renamed into place when it is complete, so whatever has a manifest is whole. `run.json` (time, host, versions) is
kept beside the results but is no part of them: it has no digest, and equal keys give equal bytes without it. A file is hashed
when it is sealed, and again when its size or its time of change differ from what they were then.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ailot_ray.errors import StoreError
from ailot_ray.files import locked, replacing, sha256_of, synchronise
from ailot_ray.provenance import code_version, run_facts
from ailot_ray.records import CodeVersion, Manifest, RunRecord, read_record

MANIFEST, RUN = "manifest.json", "run.json"
CHECKPOINTS = "checkpoints"
SHORT = 12

Key = dict[str, Any]
"""JSON-able description of everything an artefact depends on; parents stand in it by their digests."""


def digest_of(kind: str, key: Key) -> str:
    """SHA-256 of the kind and the key in canonical JSON."""
    return hashlib.sha256(_canonical({"kind": kind, "key": key}).encode()).hexdigest()


_canonical = json.JSONEncoder(sort_keys=True).encode


def file_name_of(task: str) -> str:
    """A task's name as part of a file name: ``minari:mujoco/hopper/medium-v0`` is ``minari-mujoco-hopper-medium-v0``.

    The end of it, of 100 bytes at most: file systems allow 255 for a name, whatever the letters.
    """
    return re.sub(r"[^\w.-]+", "-", task).encode(errors="replace")[-100:].decode(errors="ignore").strip("-.")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys sorted; records (:mod:`ailot_ray.records`) as they are read back. NaN is none: ValueError."""
    text = json.dumps(value, indent=2, sort_keys=True, default=msgspec.to_builtins, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n")


def read_json(path: Path) -> Any:
    """Read JSON. Raises StoreError naming the file where it cannot be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}): delete the folder {path.parent} and run again") from error


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a Parquet table atomically; the same table gives the same bytes."""
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


@dataclass(frozen=True)
class Artefact:
    """A finished artefact."""

    kind: str
    digest: str
    folder: Path
    code: CodeVersion | None = field(default=None, compare=False)
    """Which code made it; None of stores from before manifests told."""

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def run(self) -> RunRecord | None:
        """When, where and with what it was made; None where that is not known."""
        return read_run(self.folder)


class Store:
    """The artefacts below one folder. Raises StoreError where the folder cannot be used.

    >>> Store("store").root
    PosixPath('store')
    """

    def __init__(self, root: Path | str) -> None:
        self.root = root = Path(root)
        try:
            (root / ".locks").mkdir(parents=True, exist_ok=True)
            probe = root / ".locks" / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise StoreError(f"--store {root} cannot be written ({error.strerror}): choose another with --store DIR") from error

    def folder(self, kind: str, task: str, key: Key) -> Path:
        return self.root / kind / f"{file_name_of(task)}-{digest_of(kind, key)[:SHORT]}"

    def work_folder(self, kind: str, key: Key) -> Path:
        """Where the artefact of this key is being made, and where parts made ahead of it belong."""
        return self.root / ".work" / f"{kind}-{digest_of(kind, key)[:SHORT]}"

    def finished(self, kind: str, task: str, key: Key) -> bool:
        """Whether the artefact is there; unlike `find` this reads no file of it."""
        return (self.folder(kind, task, key) / MANIFEST).exists()

    def note(self, event: str, kind: str, digest: str, **about: Any) -> None:
        """Add a line to this process's journal: what was really executed, by whom and when."""
        line = {"event": event, "kind": kind, "digest": digest[:SHORT], "time": round(time.time(), 3), **about}
        path = self.root / ".journal" / f"{platform.node()}-{os.getpid()}.jsonl"
        with contextlib.suppress(OSError):  # best effort: no work depends on it
            path.parent.mkdir(exist_ok=True)
            with path.open("a") as journal:
                journal.write(json.dumps(line) + "\n")

    def find(self, kind: str, task: str, key: Key) -> Artefact | None:
        """The finished artefact of this key, its files checked against the manifest; None where there is none.

        Raises StoreError where a file is missing or changed, or the manifest belongs to another key.
        """
        folder, digest = self.folder(kind, task, key), digest_of(kind, key)
        if not (folder / MANIFEST).exists():
            return None
        remedy = f"delete the folder {folder} and run again"
        manifest = read_record(folder / MANIFEST, Manifest)
        if not manifest.digest == digest == digest_of(kind, manifest.key):
            raise StoreError(f"{folder / MANIFEST} is not of the digest {digest[:SHORT]} that its folder names: {remedy}")
        _check_files(folder, manifest, remedy)
        return Artefact(kind, digest, folder, manifest.code)

    def produce(self, kind: str, task: str, key: Key, build: Callable[[Path], None], amount: int = 1) -> Artefact:
        """Find the artefact, or let `build` fill a work folder and seal it. What an earlier, killed build left there stays."""
        return self.produce_all(kind, task, [key], lambda folders: build(folders[0]), amount)[0]

    def produce_all(
        self,
        kind: str,
        task: str,
        keys: list[Key],
        build: Callable[[list[Path]], None],
        amount: int = 1,
        sources: Mapping[str, str] | None = None,
    ) -> list[Artefact]:
        """As `produce` for artefacts that are made together; all of `keys` are handed to `build`, so leave finished ones out.

        The work folder of the first key holds what they share, such as a checkpoint. `amount` and `sources` are noted in
        run.json (:class:`ailot_ray.records.RunRecord`).
        """
        with contextlib.ExitStack() as stack:
            for digest in sorted({digest_of(kind, key) for key in keys}):  # one order for everybody: no deadlock
                name = f"{kind}-{digest[:SHORT]}"
                stack.enter_context(locked(self.root / ".locks" / f"{name}.lock", f"{name} of {task}"))
            found = [self.find(kind, task, key) for key in keys]
            if all(found):  # another process made them while this one waited for the lock
                return [artefact for artefact in found if artefact]
            work = [self.work_folder(kind, key) for key in keys]
            for folder, key in zip(work, keys, strict=True):
                folder.mkdir(parents=True, exist_ok=True)
                self.note("began", kind, digest_of(kind, key))
            began = time.time()
            build(work)
            facts = run_facts(amount, sources or {})
            return [self._seal(kind, task, key, folder, began, facts) for key, folder in zip(keys, work, strict=True)]

    def _seal(self, kind: str, task: str, key: Key, work: Path, began: float, facts: RunRecord) -> Artefact:
        for leftover in work.rglob(".tmp-*"):
            leftover.unlink()
        paths = sorted(path.relative_to(work) for path in work.rglob("*") if path.is_file())
        kept = [path for path in paths if path.parts[0] not in (RUN, MANIFEST, CHECKPOINTS)]
        files = {str(path): sha256_of(work / path) for path in kept}
        stamps = {str(path): _stamp(work / path) for path in kept}
        write_json(work / RUN, msgspec.structs.replace(facts, seconds=round(time.time() - began, 3), stamps=stamps))
        digest, final, code = digest_of(kind, key), self.folder(kind, task, key), code_version()
        write_json(work / MANIFEST, Manifest(kind, digest, key, files, code))
        final.parent.mkdir(parents=True, exist_ok=True)
        if (final / MANIFEST).exists():  # another process made it, as part of another group: the same bytes
            shutil.rmtree(work)
            return Artefact(kind, digest, final, code)
        if final.exists():  # no manifest, so never finished
            shutil.rmtree(final)
        shutil.rmtree(work / CHECKPOINTS, ignore_errors=True)  # last: where the disk is full above, training is not lost
        synchronise(work)
        work.replace(final)
        synchronise(final.parent)
        self.note("finished", kind, digest)
        return Artefact(kind, digest, final, code)


def open_artefact(kind: str, folder: Path) -> Artefact:
    """The finished artefact in `folder`, its files checked. Raises StoreError where it is none, damaged, or of another kind."""
    if not (folder / MANIFEST).is_file():
        raise StoreError(f"{folder} is no artefact of a store (it has no {MANIFEST}): name a folder below STORE/{kind}")
    manifest = read_record(folder / MANIFEST, Manifest)
    if manifest.kind != kind:
        raise StoreError(f"{folder} does not hold {kind}: name a folder below STORE/{kind}")
    remedy = f"delete the folder {folder} and run the same command again"
    if manifest.digest != digest_of(kind, manifest.key):
        raise StoreError(f"{folder / MANIFEST} was changed, its digest is not its key's: {remedy}")
    _check_files(folder, manifest, remedy)
    return Artefact(kind, manifest.digest, folder, manifest.code)


def _check_files(folder: Path, manifest: Manifest, remedy: str) -> None:
    """Raise StoreError where a file that the manifest lists is missing or changed; files with their old stamp are not read."""
    run = read_run(folder)
    known = run.stamps if run else {}
    stamps = {}
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise StoreError(f"{path} is missing: {remedy}")
        stamps[name] = _stamp(path)
        if known.get(name) != stamps[name] and sha256_of(path) != expected:
            raise StoreError(f"{path} is damaged (its SHA-256 is not the manifest's): {remedy}")
    if run and known != stamps:  # a copied store: hashed once, not at every run
        with contextlib.suppress(StoreError):
            write_json(folder / RUN, msgspec.structs.replace(run, stamps=stamps))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def read_run(folder: Path) -> RunRecord | None:
    """None where there is none, or it cannot be read: it is no part of the artefact."""
    try:
        return read_record(folder / RUN, RunRecord)
    except StoreError:
        return None


def read_journal(root: Path) -> list[dict[str, Any]]:
    """Everything that was begun and finished in the store at `root`, in the order of time."""
    lines = (line for path in (root / ".journal").glob("*.jsonl") for line in path.read_text().splitlines())
    return sorted((json.loads(line) for line in lines), key=lambda entry: entry["time"])
