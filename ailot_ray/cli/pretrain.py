"""Verb pretrain."""

from dataclasses import dataclass
from typing import Any

from ailot_ray.cli.acting import perform, show_dry_run, show_folders
from ailot_ray.cli.options import Work


@dataclass(frozen=True, kw_only=True)
class Pretrain(Work):
    """Learn the intents (ICVF)."""

    def execute(self) -> dict[str, Any]:
        if self.dry_run:
            return show_dry_run(self, "pretrain")
        return show_folders(self, perform(self, "pretrain"))
