"""Whether the store's folder is one folder on every node: files cross, renames are whole, locks hold, space is left."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from ailot_ray.cluster.checks import GIBIBYTE, Check, Outcome, perform
from ailot_ray.cluster.facts import TOKENS, Origin, eventually

SHARE = "--store must be a folder that every node shares (NFS, say), at the same path"
POSIX = "mount it with locks and renames as POSIX has them (NFS 4 without `nolock`, not an object store's file system)"
WRITABLE = "choose another --store, or mount it for reading and writing, with space left"
PATIENCE = 5.0
"""Seconds for a file to appear on another node: network file systems cache folders for a while."""


@contextlib.contextmanager
def marked(store: Path, seconds: float) -> Iterator[tuple[Origin | None, Outcome]]:
    """Mark `store` as the driver's, and remove the mark, what nodes wrote beside it, and folders that were not there.

    Yields the mark, None where the driver cannot write there, and what was found of the driver's own storage.
    """
    new = [folder for folder in (store / TOKENS, store) if not folder.exists()]
    made: list[Origin] = []

    def mark() -> Outcome:
        made.append(Origin.here(store))
        return Outcome(True, f"writes {store}")

    outcome = perform({"mark": Check(mark, WRITABLE)}, seconds)["mark"]
    try:
        yield (made[0] if made else None), outcome
    finally:
        with contextlib.suppress(OSError):
            for origin in made:
                for left in (store / TOKENS).glob(f"{origin.token}*"):
                    left.unlink(missing_ok=True)
            for folder in new:
                folder.rmdir()  # fails, as it should, where another command has begun to use it


def write_and_read(origin: Origin | None, name: str) -> Outcome:
    """Read the driver's file and leave one of this node, called `name`, for the driver."""
    if origin is None:
        return Outcome(None, "not tried: the driver itself cannot write the store")
    mark = mark_of(origin)
    if not eventually(mark.is_file, PATIENCE):
        return Outcome(False, f"does not see the driver's {origin.store}", SHARE)
    mark.read_text()
    mine = mark_of(origin, name)
    partial = mine.with_suffix(".tmp")
    try:
        partial.write_text(name)
        partial.replace(mine)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        return Outcome(False, f"cannot write {origin.store} ({error.strerror})", WRITABLE)
    return Outcome(True, f"reads and writes {origin.store}")


def confirm(origin: Origin, name: str) -> Outcome:
    """On the driver: whether the file that node `name` says it wrote is there."""
    mine = mark_of(origin, name)
    if eventually(lambda: mine.is_file() and mine.read_text() == name, PATIENCE):
        return Outcome(True, f"reads and writes {origin.store}, and the driver reads what it wrote")
    return Outcome(False, f"wrote to {origin.store}, but the driver does not see its file", SHARE)


def locks_and_renames(origin: Origin | None, name: str) -> Outcome:
    """Whether a lock that the driver holds is held here too (see :func:`holding`), and a folder is renamed as a whole."""
    if origin is None or not mark_of(origin).is_file() or not os.access(origin.store, os.W_OK):
        return Outcome(None, "not tried: there is no shared store to write")
    lock = FileLock(_lock_of(origin), timeout=0)
    try:
        with lock:
            return Outcome(False, f"a lock in {origin.store} does not keep another process out", POSIX)
    except Timeout:
        pass  # as it should be
    before, after = mark_of(origin, f"{name}-before"), mark_of(origin, f"{name}-after")
    try:
        before.mkdir()
        (before / "part").write_text(name)
        before.replace(after)
        whole = (after / "part").read_text() == name and not before.exists()
    finally:
        for folder in (before, after):
            shutil.rmtree(folder, ignore_errors=True)
    if not whole:
        return Outcome(False, f"a folder in {origin.store} is not renamed as a whole", POSIX)
    return Outcome(True, "a lock keeps others out, a folder is renamed as a whole")


def holding(origin: Origin | None) -> contextlib.AbstractContextManager[object]:
    """The lock that the driver holds while nodes try it."""
    return FileLock(_lock_of(origin), timeout=PATIENCE) if origin else contextlib.nullcontext()


def space(folders: Mapping[str, Path]) -> Outcome:
    """Whether at least 1 GiB is free in each of `folders`, named by what they are for."""
    there = {what: folder for what, folder in folders.items() if folder.exists()}
    free = {what: shutil.disk_usage(folder).free / GIBIBYTE for what, folder in there.items()}
    detail = "; ".join(f"{amount:.1f} GiB free for {what} in {there[what]}" for what, amount in free.items())
    if short := [str(there[what]) for what, amount in free.items() if amount < 1]:
        return Outcome(False, detail, f"free some space in {' and '.join(short)}, or choose another folder")
    return Outcome(True, detail)


def mark_of(origin: Origin, name: str = "") -> Path:
    """The driver's file, or that of node `name`."""
    return origin.store / TOKENS / (f"{origin.token}-{name}" if name else origin.token)


def _lock_of(origin: Origin) -> Path:
    return mark_of(origin, "lock")
