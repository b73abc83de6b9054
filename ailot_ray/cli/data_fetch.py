"""Verb data fetch."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ailot_ray.cli.command import UsageError
from ailot_ray.cli.options import Verb
from ailot_ray.config import Config
from ailot_ray.errors import AilotError, ConfigError, DataError
from ailot_ray.lazy import Lazy
from ailot_ray.tasks import TASKS, get_task

if TYPE_CHECKING:
    from ailot_ray.data import fetch
else:
    fetch = Lazy("ailot_ray.data.fetch")

AT_ONCE = 3
"""Downloads side by side: more would be a burden to one host."""


@dataclass(frozen=True, kw_only=True)
class Fetch(Verb):
    """Download tasks' files as D4RL publishes them, from its host or a mirror; what broke off is resumed."""

    task: tuple[str, ...] = ()
    """One or more tasks of `python -m ailot_ray tasks`."""
    all: bool = False
    """All 37 files of D4RL's tasks, more than 7 GB."""
    data_dir: Path = Config.data_dir
    """Where to put them."""
    mirror: str | None = None
    """An address or a folder that holds D4RL's files under their names, in place of D4RL's host and its known mirror."""
    sha256: str | None = None
    """The checksum that the file of a single task must have, in hexadecimal, in place of the known one."""

    def execute(self) -> dict[str, Any]:
        names = [name for name, task in TASKS.items() if task.url] if self.all else list(self.task)
        if not names:
            raise UsageError("data fetch needs --task NAME, one or more, or --all")
        if self.sha256 is not None and len(names) > 1:
            raise ConfigError("--sha256 is the checksum of one file: name one --task with it")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = dict(zip(names, pool.map(self._fetch, names), strict=True))
        failed = [str(result) for result in results.values() if isinstance(result, AilotError)]
        if failed:
            raise DataError(failed[0] if len(names) == 1 else f"{len(failed)} of {len(names)} files could not be fetched")
        files = {name: str(result.path) for name, result in results.items() if not isinstance(result, AilotError)}
        return {"file": files[names[0]], "files": files}

    def _fetch(self, name: str) -> "fetch.Fetched | AilotError":
        try:
            found = fetch.fetch(get_task(name), self.data_dir, sha256=self.sha256, mirror=self.mirror)
        except AilotError as error:
            if self.all or len(self.task) > 1:
                print(f"{name}: {error}")
            return error
        known = "its digest is D4RL's" if self.sha256 is None else "its digest is that of --sha256"
        trust = known if found.verified else f"unverified, no digest of it is known; it has SHA-256 {found.sha256}"
        print(f"{name}: {found.path} ({trust})")
        return found
