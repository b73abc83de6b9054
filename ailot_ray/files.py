"""Files written whole or not at all, and their checksums."""

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from ailot_ray.errors import StoreError


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; the file is streamed."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
        reason = error.strerror or str(error) or type(error).__name__
        raise StoreError(f"cannot write {path} ({reason}): free some space or choose another place") from error
    finally:
        with contextlib.suppress(OSError):  # its folder may be none
            temporary.unlink(missing_ok=True)
