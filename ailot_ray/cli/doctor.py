"""Verb doctor."""

import json as jsonlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ailot_ray import cluster
from ailot_ray.cli.options import Verb
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.config import Config
from ailot_ray.errors import AilotError, ConfigError
from ailot_ray.minari_fetch import no_download
from ailot_ray.tasks import get_task

if TYPE_CHECKING:
    from ailot_ray.cluster.doctor import Finding

MARKS = {True: "✓", False: "✗", None: "–"}


class UnfitError(AilotError):
    """Something that doctor examined cannot do the work."""


@dataclass(frozen=True, kw_only=True)
class Doctor(Verb):
    """Examine this machine, or every node of a Ray cluster: versions, GPUs, storage, simulators, datasets, the dashboard."""

    address: str | None = None
    """A running Ray cluster (`auto`, or host:port); by default Ray is started on this machine for the command alone."""
    store: Path = Path("store")
    """Folder of artefacts that every node must share. It is left as it was."""
    data_dir: Path = Config.data_dir
    """Where the tasks' own files lie, on every node."""
    tasks: tuple[str, ...] = ()
    """Tasks whose files must be there."""
    seconds: float = 60.0
    """How long a node, and a check there, is waited for; what takes longer has failed."""

    def __post_init__(self) -> None:
        with no_download():
            for name in self.tasks:
                get_task(name)
        if not 0 < self.seconds <= 3600:
            raise ConfigError(f"--seconds is {self.seconds:g}, but it must be above 0 and up to 3600")

    def execute(self) -> dict[str, Any]:
        findings = cluster.examine(
            ClusterOptions(address=self.address), self.store, self.data_dir, self.tasks, seconds=self.seconds, report=show
        )
        failed = sum(finding.ok is False for finding in findings)
        result = {"ok": not failed, "findings": [asdict(finding) for finding in findings]}
        if failed:
            if self.json:
                print(jsonlib.dumps(result, sort_keys=True))
            checks = "1 check" if failed == 1 else f"{failed} checks"
            raise UnfitError(f"{checks} of {len(findings)} failed: each line with {MARKS[False]} ends in its remedy")
        print(f"all of {len(findings)} checks passed or do not apply")
        return result


def show(finding: "Finding") -> None:
    """Print a finding as one line; a failed one ends in its remedy."""
    text = " ".join(f"{finding.detail}: {finding.remedy}".split()) if finding.remedy else finding.detail
    print(f"{MARKS[finding.ok]} {finding.node:<15} {finding.check:<11} {text}", flush=True)
