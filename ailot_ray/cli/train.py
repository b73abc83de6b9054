"""Verb train."""

from dataclasses import dataclass
from typing import Any

from ailot_ray.cli.acting import perform, show_dry_run, show_folders
from ailot_ray.cli.options import Work


@dataclass(frozen=True, kw_only=True)
class Train(Work):
    """Learn the policies, with whatever comes before them."""

    def execute(self) -> dict[str, Any]:
        if self.dry_run:
            return show_dry_run(self, "train")
        return show_folders(self, perform(self, "train"))
