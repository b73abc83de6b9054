"""Minari's datasets on this machine; one that is not there is downloaded where it is asked for.

Minari writes into a dataset's own folder, and takes every folder for a dataset. So a download goes into a hidden folder beside
the datasets, is read from end to end, and only then gets its name. A reference is ``minari:ID``, or ``minari:hf://OWNER/ID``
for another remote than Minari's own; on this machine both are the dataset ID.
"""

import contextlib
import difflib
import io
import json
import logging
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ailot_ray.config import MINARI
from ailot_ray.errors import ConfigError, DataError, one_line
from ailot_ray.files import locked
from ailot_ray.lazy import require

_LOGGER = logging.getLogger(__name__)
_FORBIDDEN = ContextVar("_FORBIDDEN", default=False)
_ABOUT = Path("data", "metadata.json")
_NAMESPACE = "namespace_metadata.json"
_STAGING = ".ailot_ray"
"""Folder of unfinished downloads; Minari's listings leave hidden ones out."""


@contextlib.contextmanager
def no_download() -> Iterator[None]:
    """Refuse a dataset that is not on this machine, for as long as this is held: for plans and examinations."""
    token = _FORBIDDEN.set(True)
    try:
        yield
    finally:
        _FORBIDDEN.reset(token)


def minari_root() -> Path:
    """Where Minari keeps its datasets on this machine."""
    return Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")


def split(reference: str) -> tuple[str | None, str]:
    """The remote that a reference names, if any, and the dataset's ID.

    >>> split("minari:hf:/farama-minari/D4RL/door/human-v2")  # a Path keeps one slash of two
    ('hf://farama-minari', 'D4RL/door/human-v2')
    """
    name = reference.removeprefix(MINARI)
    found = re.fullmatch(r"(\w+)://?([^/]+)/(.+)", name)
    return (f"{found[1]}://{found[2]}", found[3]) if found else (None, name)


def dataset_folder(reference: str) -> Path:
    """Where a dataset lies; it is downloaded first where it is not on this machine, which a warning says.

    Processes that ask for it at once wait for the one that downloads. Raises ConfigError for a name that can be no dataset's,
    and under :func:`no_download`; DataError where the download fails, with the nearest names where there is no such dataset.
    """
    remote, identity = split(reference)
    root = minari_root()
    folder = root / identity
    if not re.fullmatch(r"[\w-]+(/[\w-]+)*-v\d+", identity):
        raise ConfigError(f"{reference} is not the name of a Minari dataset, such as minari:mujoco/hopper/medium-v0")
    if (folder / _ABOUT).is_file():
        return folder
    if _FORBIDDEN.get():
        raise ConfigError(
            f"{reference} is not on this machine ({folder}), and this command downloads nothing: get it with "
            f"`python -m ailot_ray data fetch {reference}`, or say where it lies with MINARI_DATASETS_PATH"
        )
    try:
        with locked(root / f"{_STAGING}.lock", reference):
            if not (folder / _ABOUT).is_file():
                _download(reference, remote, identity, root)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else one_line(error)
        raise DataError(f"{folder} cannot be written ({reason}): choose another folder with MINARI_DATASETS_PATH") from error
    return folder


def open_dataset(reference: str, folder: Path) -> Any:
    """Minari's reader of the dataset in `folder`. Raises DataError where it does not describe its spaces.

    Minari would then make the environment that it names, which is somebody else's code.
    """
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    if not {"observation_space", "action_space"} <= about.keys():
        raise DataError(f"{reference}: {folder / _ABOUT} does not describe its spaces; choose another dataset")
    return _minari(reference).MinariDataset(folder / "data")


def check_dataset(reference: str, folder: Path) -> tuple[int, int]:
    """Read every episode; their number and that of their steps. Raises DataError where something of it is missing."""
    try:
        dataset = open_dataset(reference, folder)
        episodes, steps = len(dataset), sum(len(episode) for episode in dataset)
        if steps != dataset.storage.total_steps:
            raise ValueError(f"{steps:,} steps of {dataset.storage.total_steps:,}")
    except DataError:
        raise
    except Exception as error:  # whatever Minari, HDF5 or Arrow make of a damaged file
        raise DataError(f"{reference} is damaged ({_reason(error)}): remove {folder} to download it again") from error
    return episodes, steps


def _minari(reference: str) -> Any:
    """Minari, which is heavy to import."""
    try:
        return require("minari")
    except ImportError as error:
        raise DataError(f"{reference} needs Minari: {error}") from error


def _download(reference: str, remote: str | None, identity: str, root: Path) -> None:
    folder, staging = root / identity, root / _STAGING / identity.replace("/", "-")
    if folder.exists():
        raise DataError(f"{reference}: {folder} holds no whole dataset: remove it, and it is downloaded")
    minari = _minari(reference)
    where = remote or os.environ.get("MINARI_REMOTE") or "Minari's remote"
    about = _published(minari, reference, remote, identity, folder, where)
    size = f"{about['dataset_size']:.1f} MB" if isinstance(about.get("dataset_size"), int | float) else "of unknown size"
    _LOGGER.warning("downloading %s, %s, from %s to %s (MINARI_DATASETS_PATH says where)", reference, size, where, folder)
    moved = {"MINARI_DATASETS_PATH": str(staging)} | ({"MINARI_REMOTE": remote} if remote else {})
    try:
        with _quiet(), _environment(moved):  # forced: what an earlier attempt has left there is gone on with
            minari.download_dataset(identity, force_download=(staging / identity).exists())
    except Exception as error:  # whatever the remote's library makes of a network
        raise DataError(f"{reference}: the download broke off ({_reason(error)}): the same command goes on with it") from error
    whole = [path.parents[1] for path in staging.rglob(str(_ABOUT)) if path.parents[1] != staging / identity]
    try:
        for found in [*whole, staging / identity]:  # of a combined dataset also those that it is made of
            check_dataset(reference, found)
    except DataError as error:
        shutil.rmtree(staging)
        reason = str(error).rpartition(": remove ")[0] or str(error)
        raise DataError(f"{reason}; what came was removed: run it again, or get the dataset by other means") from error
    os.sync()  # a power cut after the renaming must not leave a whole name on half of the bytes
    for found in [*staging.rglob(_NAMESPACE), *whole, staging / identity]:
        place = root / found.relative_to(staging)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            found.rename(place)
    shutil.rmtree(staging)
    with contextlib.suppress(OSError):  # another's unfinished download
        staging.parent.rmdir()


def _published(minari: Any, reference: str, remote: str | None, identity: str, folder: Path, where: str) -> dict[str, Any]:
    """What the remote says of the dataset. Raises DataError where it has none that can be used, or cannot be asked."""
    try:
        with _quiet():
            found: dict[str, dict[str, Any]] = minari.list_remote_datasets(remote, identity.rpartition("-v")[0])
    except ImportError as error:
        raise DataError(f"{reference} is not on this machine, and cannot be downloaded: {one_line(error)}") from error
    except Exception as error:  # whatever the remote's library makes of a network
        raise DataError(
            f"{reference} is not on this machine ({folder}), and {where} cannot be asked for it ({_reason(error)}): try again "
            "with a network, or copy that folder from a machine that has it"
        ) from error
    if identity not in found:
        with contextlib.suppress(Exception), _quiet():
            found |= minari.list_local_datasets() | minari.list_remote_datasets(remote, identity.split("/")[0])
        near = [f"{MINARI}{name}" for name in difflib.get_close_matches(identity, found)]
        hint = f"did you mean {' or '.join(near)}?" if near else "`minari list remote` shows what there is"
        raise DataError(f"{reference} is neither on this machine ({folder}) nor at {where}: {hint}")
    version = found[identity].get("minari_version")
    if version not in minari.supported_dataset_versions:
        raise DataError(
            f"{reference} was written by Minari {version}, which the one installed here cannot read: upgrade Minari"
        )
    return found[identity]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Minari's own talk off standard output, which is for results."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _environment(changed: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)[:200]}"
