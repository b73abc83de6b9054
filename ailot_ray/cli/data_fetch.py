"""Verb data fetch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ailot_ray.cli.options import Verb
from ailot_ray.config import Config
from ailot_ray.lazy import Lazy
from ailot_ray.tasks import get_task

if TYPE_CHECKING:
    from ailot_ray.data import fetch
else:
    fetch = Lazy("ailot_ray.data.fetch")


@dataclass(frozen=True, kw_only=True)
class Fetch(Verb):
    """Download a task's file as D4RL publishes it."""

    task: str
    """A task of `python -m ailot_ray tasks`."""
    data_dir: Path = Config.data_dir
    """Where to put it."""
    sha256: str | None = None
    """The checksum it must have, in hexadecimal."""

    def execute(self) -> dict[str, Any]:
        path = fetch.fetch(get_task(self.task), self.data_dir, sha256=self.sha256)
        print(f"{self.task}: {path}")
        return {"file": str(path)}
