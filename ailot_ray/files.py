"""Files written whole or not at all, by one process at a time, and their checksums."""

import contextlib
import hashlib
import logging
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ailot_ray.errors import StoreError, way_out

_LOGGER = logging.getLogger(__name__)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; the file is streamed."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced."""
    status = path.stat() if path.is_file() else None
    return status and (status.st_ino, status.st_size, status.st_mtime_ns)


def own_file(root: Path, path: Path) -> Path | None:
    """`path` where it is a plain file of the store at `root`; None where it is none, or a link leads out of the store."""
    try:
        real = path.resolve(strict=True)
        return real if real.is_file() and real.is_relative_to(root.resolve()) else None
    except (OSError, RuntimeError, ValueError):  # links in a circle, a name that no file can have
        return None


def synchronise(path: Path) -> None:
    """Have the operating system write a file's bytes, or a folder's names, to the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`, which becomes `path` where the block succeeds and is removed where it fails.

    Makes the folder of `path` where there is none; the temporary name keeps the suffix. Raises StoreError where the file cannot
    be written (a full disk, a folder that is none).
    """
    # processes of several nodes, which share a folder, may have the same number
    temporary = path.with_name(f".tmp-{platform.node()}-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        synchronise(temporary)  # a power cut after the renaming must not leave a whole name on half of the bytes
        temporary.replace(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__  # Arrow repeats the path
        raise StoreError(f"cannot write {path} ({reason}): {way_out(error)}, or choose another place") from error
    finally:
        with contextlib.suppress(OSError):  # its folder may be none
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` while `what` is made; who waits for longer than a second says for whom, as a warning.

    Whoever dies lets the lock go.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(path), path.with_suffix(".holder")
    try:
        lock.acquire(timeout=1.0)
    except Timeout:
        who = holder.read_text(errors="replace") if holder.is_file() else "another process"
        _LOGGER.warning("waiting for %s, which makes %s; it goes on here when that has ended", who, what)
        lock.acquire()
    try:
        with contextlib.suppress(OSError):  # only the words of a warning
            holder.write_text(f"process {os.getpid()} on {platform.node()}")
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()
