"""Download the files that D4RL and OGBench publish: from their host or a mirror, resumed, trusted by their digest."""

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ailot_ray.data.digests import check_sidecar, write_sidecar
from ailot_ray.errors import DataError
from ailot_ray.files import locked, sha256_of
from ailot_ray.tasks import Task

MIRROR = "https://huggingface.co/datasets/imone/D4RL/resolve/main"
"""A copy of D4RL's files under their names, asked where their own host does not serve."""
SIGNATURES = {".hdf5": ("HDF5", b"\x89HDF\r\n\x1a\n"), ".npz": ("NPZ", b"PK\x03\x04")}
"""The format of a file by its ending, and the first bytes of every such file: D4RL's, OGBench's."""
CHUNK = 1 << 20
TIMEOUT = 30.0
"""Seconds without a byte after which the server counts as unreachable."""

Opener = Callable[..., Any]
"""Called as `opener(request, timeout=seconds)`; returns a response as :func:`urllib.request.urlopen` does."""


@dataclass(frozen=True)
class Fetched:
    path: Path
    sha256: str
    verified: bool
    """Whether a digest from elsewhere vouches for the file; the one beside a download vouches for whatever came."""


@dataclass(frozen=True)
class _Wanted:
    """A file to be had, and what is known of it."""

    path: Path
    size: int | None
    digest: str | None

    @property
    def part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def origin(self) -> Path:
        """Beside the part: which version of which address it is of."""
        return self.path.with_name(f"{self.path.name}.part.json")

    @property
    def rejected(self) -> Path:
        return self.path.with_name(f"{self.path.name}.rejected")

    def drop_part(self) -> None:
        self.part.unlink(missing_ok=True)
        self.origin.unlink(missing_ok=True)


def fetch(
    task: Task,
    data_dir: Path,
    *,
    sha256: str | None = None,
    mirror: str | None = None,
    opener: Opener = urllib.request.urlopen,
) -> Fetched:
    """Download the task's file into `data_dir`; one that is there already is only checked.

    Asked are, one after the other, the host by https and by http and, for D4RL's, :data:`MIRROR`; or `mirror` alone, an address
    or a folder that holds the files under their names. What comes must be an HDF5 file of the digest that is known
    (:attr:`ailot_ray.tasks.Task.published_file`, or `sha256`, hexadecimal, which stands above it); what is not is set aside as
    ``NAME.rejected`` and the next source is asked. Then ``NAME.sha256`` is written and the file gets its name.

    The download grows in ``NAME.part``. A broken one is resumed by an HTTP Range where its end can be checked: by a known
    digest, or where the server confirms (If-Range) that it still has the version of which the first part came.

    Raises DataError, with the addresses and the ways around a download, for everything that goes wrong.
    """
    if task.domain == "custom":
        raise DataError(f"task {task.name} has no address to fetch from; its data are {task.data or 'given with --data FILE'}")
    if task.url is None or task.file_name is None:
        raise DataError(f"task {task.name} comes with ailot_ray; there is nothing to fetch")
    size, digest = task.published_file or (None, None)
    if sha256 is not None and sha256.lower() != digest:
        size, digest = None, sha256.lower()
    wanted = _Wanted(data_dir / task.file_name, size, digest)
    try:
        with locked(data_dir / f".{task.file_name}.lock", f"{wanted.path}"):
            found = _check(wanted) if wanted.path.exists() else _download(wanted, _sources(task, mirror), opener)
        return Fetched(wanted.path, found, digest is not None)
    except OSError as error:
        raise DataError(f"{wanted.path} cannot be written ({_reason(error)}); choose another --data-dir") from error


def _sources(task: Task, mirror: str | None) -> list[str]:
    if mirror is None:
        own = [re.sub("^http:", "https:", str(task.url)), str(task.url)]
        return [*own, f"{MIRROR}/{task.file_name}"] if task.of_d4rl else own
    if not re.match(r"[a-z]+://", mirror):
        return [(Path(mirror).absolute() / str(task.file_name)).as_uri()]
    if not re.match(r"https?://", mirror):
        raise DataError(f"--mirror {mirror} must be an address of http or https, or a folder")
    return [f"{mirror.rstrip('/')}/{task.file_name}"]


def _check(wanted: _Wanted) -> str:
    """The SHA-256 of a file that is there; DataError where it is another than the one that is known."""
    check_sidecar(wanted.path)
    digest = sha256_of(wanted.path)
    if wanted.digest not in (None, digest):
        raise DataError(
            f"{wanted.path} is another file than the one wanted (SHA-256 {digest}, not {wanted.digest}): "
            f"move it away to fetch that, or use it with --data FILE"
        )
    return digest


def _download(wanted: _Wanted, sources: list[str], opener: Opener) -> str:
    """Get the file from the first source that has it, and return its SHA-256."""
    failures: list[str] = []
    for source in dict.fromkeys(sources):
        try:
            resumed = _receive(source, wanted, opener)
            digest = _accept(source, wanted, resumed)
            if digest is None:  # the first part was of another file: once more, whole
                _receive(source, wanted, opener)
                digest = _accept(source, wanted, resumed=False)
        except DataError as error:
            failures.append(str(error))
        else:
            write_sidecar(wanted.path, str(digest))
            wanted.origin.unlink(missing_ok=True)
            wanted.part.replace(wanted.path)
            return str(digest)
    raise DataError(
        f"{'; '.join(failures)}; run it again to try again and resume, give --mirror URL or DIR, "
        f"or get the file by other means and use it with --data-dir DIR (under the name {wanted.path.name}) or --data FILE"
    )


def _receive(source: str, wanted: _Wanted, opener: Opener) -> bool:
    """Bring the part to the full length that `source` announces; whether it went on from an earlier one."""
    headers = _range_headers(source, wanted)
    try:
        response = opener(urllib.request.Request(source, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not headers:
                raise DataError(f"{source} answered {error.code} {error.reason}") from error
            if _range_total(error.headers) == wanted.part.stat().st_size:
                return True
        wanted.drop_part()  # a leftover of another version of the file
        return _receive(source, wanted, opener)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataError(f"{source} cannot be reached ({_reason(error)})") from error
    with response:
        return _write_part(source, response, wanted)


def _range_headers(source: str, wanted: _Wanted) -> dict[str, str]:
    """Those that ask for the rest of a part, where what comes of it can be checked; else none."""
    if not wanted.part.exists() or not (done := wanted.part.stat().st_size):
        return {}
    headers = {"Range": f"bytes={done}-"}
    if wanted.digest is not None:
        return headers
    try:
        origin = json.loads(wanted.origin.read_text())
        known = origin["source"] == source and origin["version"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return {**headers, "If-Range": origin["version"]} if known else {}


def _write_part(source: str, response: Any, wanted: _Wanted) -> bool:
    resumed = bool(response.status == http.client.PARTIAL_CONTENT)
    done = wanted.part.stat().st_size if resumed else 0
    if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
        wanted.drop_part()
        raise DataError(f"{source} answered with another range than the one asked for")
    length = response.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else wanted.size
    if wanted.size not in (None, total):
        raise DataError(f"{source} serves another file, of {total:,} bytes in place of {wanted.size:,}")

    def read() -> bytes:
        try:
            return bytes(response.read(CHUNK))
        except (OSError, http.client.HTTPException) as error:
            raise DataError(f"{source} broke off after {done:,} bytes ({_reason(error)})") from error

    chunk = read()
    if not resumed:
        kind, signature = SIGNATURES[wanted.path.suffix]
        if not chunk.startswith(signature):
            wanted.rejected.write_bytes(chunk)
            raise DataError(f"{source} sent no {kind} file (kept as {wanted.rejected}, look what it says)")
        wanted.origin.write_text(json.dumps({"source": source, "version": _version(response.headers)}))
    with (
        wanted.part.open("ab" if resumed else "wb") as stream,
        tqdm(total=total, initial=done, unit="B", unit_scale=True, desc=wanted.path.stem, disable=None) as progress,
    ):
        while chunk:
            stream.write(chunk)
            done += len(chunk)
            progress.update(len(chunk))
            if wanted.size is not None and done > wanted.size:  # another file, or one without an end
                break
            chunk = read()
    if total is not None and done < total:
        raise DataError(f"{source} broke off after {done:,} of {total:,} bytes")
    return resumed


def _accept(source: str, wanted: _Wanted, resumed: bool) -> str | None:
    """The SHA-256 of a complete part; of another file, None and it is dropped where it was resumed, else DataError."""
    digest = sha256_of(wanted.part)
    if wanted.digest in (None, digest):
        return digest
    if resumed:
        wanted.drop_part()
        return None
    wanted.part.replace(wanted.rejected)
    wanted.origin.unlink(missing_ok=True)
    raise DataError(f"{source} sent another file (SHA-256 {digest}, not {wanted.digest}; kept as {wanted.rejected})")


def _version(headers: Any) -> str | None:
    """What If-Range may hold: a strong ETag, else the time of change."""
    tag = headers.get("ETag")
    version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
    return None if version is None else str(version)


def _range_total(headers: Any) -> int | None:
    """The file's length out of ``Content-Range: bytes */LENGTH``."""
    match = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return " ".join(str(cause).split()) or type(error).__name__
