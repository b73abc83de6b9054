"""Download a task's own file: resumed where it broke off, checked, and given its final name only when whole."""

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ailot_ray.data.digests import check_sidecar, write_sidecar
from ailot_ray.errors import DataError
from ailot_ray.files import sha256_of
from ailot_ray.tasks import Task

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of every HDF5 file of D4RL."""
CHUNK = 1 << 20
TIMEOUT = 30.0
"""Seconds without a byte after which the server counts as unreachable."""

Opener = Callable[..., Any]
"""Called as `opener(request, timeout=seconds)`; returns a response as :func:`urllib.request.urlopen` does."""


def fetch(task: Task, data_dir: Path, *, sha256: str | None = None, opener: Opener = urllib.request.urlopen) -> Path:
    """Download `task.url` into `data_dir` and return the file; one that is there already is only checked.

    The download grows in ``NAME.part`` and a broken one is resumed there by an HTTP Range, or from the start where the
    server ignores Range. Length, HDF5 signature and `sha256` (hexadecimal), where given, must fit; then ``NAME.sha256`` is
    written and the file gets its name. What is no HDF5 file or has another checksum is set aside as ``NAME.rejected``.

    Raises DataError, with the address and the ways around a download, for everything that goes wrong.
    """
    if task.domain == "custom":
        raise DataError(f"task {task.name} has no address to fetch from; its data are {task.data or 'given with --data FILE'}")
    if task.url is None or task.file_name is None:
        raise DataError(f"task {task.name} comes with ailot_ray; there is nothing to fetch")
    path = data_dir / task.file_name
    part, rejected = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.rejected")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if path.exists():
            check_sidecar(path)
            if sha256 is not None and (digest := sha256_of(path)) != sha256.lower():
                raise DataError(f"{path} has SHA-256 {digest}, but --sha256 asks for {sha256}; delete it to fetch it again")
            return path
        _download(task, part, rejected, opener)
        write_sidecar(path, _accept(task, part, rejected, sha256))
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({_reason(error)}); choose another --data-dir") from error
    return path


def _by_hand(task: Task) -> str:
    return f"download {task.url} by other means and use the copy with --data-dir DIR (under its name) or --data FILE"


def _download(task: Task, part: Path, rejected: Path, opener: Opener) -> None:
    """Bring `part` to the full length the server announces."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(str(task.url), headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = opener(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not done:
                raise DataError(f"{task.url} answered {error.code} {error.reason}; {_by_hand(task)}") from error
            total = _range_total(error.headers)
        if total != done:  # a leftover of another version of the file
            part.unlink()
            _download(task, part, rejected, opener)
        return
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{task.url} cannot be reached ({_reason(error)}); {_by_hand(task)}") from error
    with response:
        _receive(task, response, part, rejected, done)


def _receive(task: Task, response: Any, part: Path, rejected: Path, done: int) -> None:
    resumed = response.status == http.client.PARTIAL_CONTENT
    if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
        raise DataError(f"{task.url} answered with another range than the one asked for; delete {part} and run it again")
    if not resumed:
        done = 0
    length = response.headers.get("Content-Length")
    total = None if length is None else done + int(length)
    try:
        chunk = response.read(CHUNK)
        if not resumed and not chunk.startswith(SIGNATURE):
            rejected.write_bytes(chunk)
            raise DataError(f"{task.url} sent no HDF5 file (kept as {rejected}, look what it says); {_by_hand(task)}")
        with (
            part.open("ab" if resumed else "wb") as stream,
            tqdm(total=total, initial=done, unit="B", unit_scale=True, desc=part.stem, disable=None) as progress,
        ):
            while chunk:
                stream.write(chunk)
                done += len(chunk)
                progress.update(len(chunk))
                chunk = response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{task.url} broke off after {done:,} bytes ({_reason(error)}); run it again to resume") from error
    if total is not None and done < total:
        raise DataError(f"{task.url} broke off after {done:,} of {total:,} bytes; run it again to resume")


def _accept(task: Task, part: Path, rejected: Path, sha256: str | None) -> str:
    """Check a complete download and return its SHA-256."""
    with part.open("rb") as stream:
        signature = stream.read(len(SIGNATURE))
    if signature != SIGNATURE:
        part.replace(rejected)
        raise DataError(f"{task.url} sent no HDF5 file (kept as {rejected}, look what it says); {_by_hand(task)}")
    digest = sha256_of(part)
    if sha256 is not None and digest != sha256.lower():
        part.replace(rejected)
        raise DataError(
            f"{task.url} has SHA-256 {digest}, but --sha256 asks for {sha256} (kept as {rejected}); "
            f"check --sha256 or fetch again"
        )
    return digest


def _range_total(headers: Any) -> int | None:
    """The file's length out of ``Content-Range: bytes */LENGTH``."""
    match = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return " ".join(str(cause).split()) or type(error).__name__
