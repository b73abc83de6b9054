"""What a node is and has, and what it must have in common with the driver before it may work on an artefact."""

import contextlib
import functools
import hashlib
import platform
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import ailot_ray
from ailot_ray.config import Config
from ailot_ray.errors import AilotError, DataError, StoreError
from ailot_ray.memory import keep_freed_memory
from ailot_ray.pipeline import Experiment
from ailot_ray.store import Store

PACKAGES = (
    *("ray", "torch", "numpy", "numba", "scipy", "POT", "pyarrow"),
    *("mujoco", "gymnasium", "gymnasium-robotics"),
)
"""Packages whose version can change a result or break the talk between nodes."""
TOKENS = ".nodes"
NFS_SECONDS = 5.0
"""A file that one node writes may be invisible to another for as long as that caches the folder."""


class NodeMismatchError(AilotError):
    """A node that cannot take part: another version, or another storage."""


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether `holds` becomes true within `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@functools.cache
def project_digest() -> str:
    """SHA-256 over the package's own source files, names and bytes, but for those that no worker uses."""
    root = Path(ailot_ray.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] in ("cli", "report", "__main__.py"):
            continue
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def versions() -> Mapping[str, str]:
    """Versions on this node: Python (major and minor), the packages that matter, and the project by its digest."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in PACKAGES:
        try:
            # without the build (2.13.0+cu130): a head node without a GPU may lead workers with one
            found[package] = metadata.version(package).partition("+")[0]
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found | {"ailot_ray": project_digest()[:12]}


def differences(here: Mapping[str, str], driver: Mapping[str, str]) -> list[str]:
    """What `here` has in another version than `driver`, or lacks: a phrase each."""
    return [f"{name} {here.get(name)} (the driver has {value})" for name, value in driver.items() if here.get(name) != value]


@dataclass(frozen=True)
class DriverContext:
    """What travels with every remote call: paths and expectations, never data."""

    store: Path
    token: str
    """Name of a file below the store that the driver wrote: a node that cannot see it has another storage."""
    versions: Mapping[str, str]
    data: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the datasets that the driver has read, by their sources."""

    @classmethod
    def here(cls, store: Path, data: Mapping[str, str] | None = None) -> "DriverContext":
        """Mark `store` (made absolute) as this driver's. Raises StoreError where it cannot be written."""
        token = uuid.uuid4().hex
        store = store.absolute()
        try:
            (store / TOKENS).mkdir(parents=True, exist_ok=True)
            (store / TOKENS / token).write_text(platform.node() + "\n")
        except OSError as error:
            with contextlib.suppress(OSError):  # a full disk leaves an empty file
                (store / TOKENS / token).unlink(missing_ok=True)
            raise StoreError(
                f"--store {store} cannot be written ({error.strerror}): choose another with --store DIR"
            ) from error
        return cls(store, token, dict(versions()), dict(data or {}))

    def open(self, config: Config) -> Experiment:
        """The experiment of `config` in the driver's store. Raises DataError where its data are not what the driver read."""
        experiment = Experiment.open(config, Store(self.store))
        source, digest = experiment.dataset.source, experiment.dataset.digest
        if (expected := self.data.get(source, digest)) != digest:
            raise DataError(
                f"{source} on node {platform.node()} has SHA-256 {digest}, but the driver read {expected}: copy the "
                "same file to every node, leave it alone while it is in use, and run the same command again"
            )
        return experiment

    def forget(self) -> None:
        """Remove the mark, where it still can be removed."""
        with contextlib.suppress(OSError):  # a store that has become read-only has been told of already
            (self.store / TOKENS / self.token).unlink(missing_ok=True)

    def require_same_node(self) -> None:
        """Raise NodeMismatchError where this node differs in versions, does not see the driver's store, or cannot write it."""
        keep_freed_memory()
        node = f"node {platform.node()}"
        differing = differences(versions(), self.versions)
        if differing:
            raise NodeMismatchError(
                f"{node} has {', '.join(differing)}: install the same requirements and the same project there, "
                "then run the same command again"
            )
        self.require_same_store()

    def require_same_store(self) -> None:
        """Raise NodeMismatchError where this node does not see the driver's store, or cannot write it."""
        node = f"node {platform.node()}"
        if not eventually((self.store / TOKENS / self.token).exists, NFS_SECONDS):
            raise NodeMismatchError(
                f"{node} does not see the driver's {self.store}: --store must be a folder that every node shares (NFS, say)"
            )
        try:
            with tempfile.TemporaryFile(dir=self.store / TOKENS) as probe:  # workers of one node ask at the same time
                probe.write(b"ailot-ray")
        except OSError:
            raise NodeMismatchError(f"{node} cannot write {self.store}: mount it there for reading and writing") from None
