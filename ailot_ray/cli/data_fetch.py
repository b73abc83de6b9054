"""Verb data fetch."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ailot_ray.cli.command import UsageError
from ailot_ray.cli.options import Verb
from ailot_ray.config import MINARI, Config
from ailot_ray.errors import AilotError, ConfigError, DataError
from ailot_ray.lazy import Lazy
from ailot_ray.minari_fetch import check_dataset, dataset_folder
from ailot_ray.tasks import TASKS, get_task

if TYPE_CHECKING:
    from ailot_ray.data import fetch
else:
    fetch = Lazy("ailot_ray.data.fetch")

AT_ONCE = 3
"""Downloads side by side: more would be a burden to one host."""


@dataclass(frozen=True, kw_only=True)
class Fetch(Verb):
    """Download tasks' files as D4RL publishes them, or Minari datasets; what broke off is resumed."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Tasks of `python -m ailot_ray tasks`, or minari:ID for a Minari dataset; the same as --task."""
    task: tuple[str, ...] = ()
    """One or more tasks of `python -m ailot_ray tasks`, or minari:ID for a Minari dataset."""
    all: bool = False
    """All 37 files of D4RL's tasks, more than 7 GB."""
    data_dir: Path = Config.data_dir
    """Where to put D4RL's files; Minari's datasets go to MINARI_DATASETS_PATH, else ~/.minari/datasets."""
    mirror: str | None = None
    """An address or a folder that holds D4RL's files under their names, in place of D4RL's host and its known mirror."""
    sha256: str | None = None
    """The checksum that the file of a single task must have, in hexadecimal, in place of the known one."""

    def execute(self) -> dict[str, Any]:
        names = [name for name, task in TASKS.items() if task.url] if self.all else list(dict.fromkeys(self.names + self.task))
        if not names:
            raise UsageError("data fetch needs the name of a task or minari:ID, one or more, or --all")
        if self.sha256 is not None and len(names) > 1:
            raise ConfigError("--sha256 is the checksum of one file: name one --task with it")
        sets = [name for name in names if name.startswith(MINARI)]
        if sets and (self.sha256 is not None or self.mirror is not None):
            raise ConfigError(f"--sha256 and --mirror are for D4RL's files: leave them out for {sets[0]}, or set MINARI_REMOTE")
        files = [name for name in names if name not in sets]
        results = {name: self._fetch(name) for name in sets}  # one by one: Minari reads its folder from the environment
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results |= dict(zip(files, pool.map(self._fetch, files), strict=True))
        failed = [str(result) for result in results.values() if isinstance(result, AilotError)]
        if failed:
            raise DataError(failed[0] if len(names) == 1 else f"{len(failed)} of {len(names)} files could not be fetched")
        places = {name: str(results[name]) for name in names}
        return {"file": places[names[0]], "files": places}

    def _fetch(self, name: str) -> Path | AilotError:
        try:
            place, known = self._dataset(name) if name.startswith(MINARI) else self._file(name)
        except AilotError as error:
            if self.all or len(self.names + self.task) > 1:
                print(f"{name}: {error}")
            return error
        print(f"{name}: {place} ({known})")
        return place

    def _file(self, name: str) -> tuple[Path, str]:
        found = fetch.fetch(get_task(name), self.data_dir, sha256=self.sha256, mirror=self.mirror)
        known = "its digest is D4RL's" if self.sha256 is None else "its digest is that of --sha256"
        return found.path, known if found.verified else f"unverified, no digest of it is known; it has SHA-256 {found.sha256}"

    def _dataset(self, name: str) -> tuple[Path, str]:
        folder = dataset_folder(name)
        episodes, steps = check_dataset(name, folder)
        return folder, f"{episodes:,} episodes, {steps:,} steps"
