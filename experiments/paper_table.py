"""The paper's table: every task of a domain, every method, ours beside the published scores.

    python experiments/paper_table.py --domain locomotion --dry-run              # what there is to do, and how long it may take
    python experiments/paper_table.py --domain locomotion --data-dir /data       # D4RL's own files, on this machine
    python experiments/paper_table.py --domain antmaze --address auto --gpus-per-worker 0.25 --store /mnt/ailot/store
    python experiments/paper_table.py --domain locomotion --data-from DIR        # stand-ins, hopper-medium.hdf5: starred

What is in the store is read back, so the same command goes on where it was stopped. A task whose file is missing is told with
the command that fetches it, stands in the table with its published scores alone, and the rest goes on.
"""

import sys
from dataclasses import dataclass, replace
from typing import Any, Literal

from ailot_ray import Config
from ailot_ray.cli.command import run_command
from ailot_ray.cli.sweep import SweepVerb
from ailot_ray.cluster import Sweep
from ailot_ray.report.comparison import comparison_table
from ailot_ray.report.grouping import group
from ailot_ray.report.layout import Style
from ailot_ray.tasks import tasks_named

SWEEP = Sweep("paper", Config(), seeds=(0, 1, 2, 3, 4))


@dataclass(frozen=True, kw_only=True)
class PaperTable(SweepVerb):
    """The whole table of a domain on D4RL's own files."""

    domain: Literal["locomotion", "antmaze", "adroit"] = "locomotion"
    """locomotion, antmaze, or adroit."""
    methods: tuple[str, ...] = ("ailot", "otr", "seabo", "iql", "bc")
    """Methods to run."""
    style: Style = "text"
    """text for the terminal, markdown, csv, or latex (booktabs)."""

    def execute(self) -> dict[str, Any]:
        if self.smoke:
            small = replace(self.sweep, cases=tuple({"method": method} for method in self.methods))
            return replace(self, sweep=small).swept()
        wanted = tasks_named(self.tasks or [self.domain])
        grid = {"task": wanted, "method": self.methods}
        asked = replace(self, tasks=(), sweep=replace(self.sweep, name=f"paper-{self.domain}", grid=grid))
        try:
            return asked.swept()
        finally:  # trials that failed leave gaps
            if not self.dry_run:
                print("\n" + comparison_table(group(asked.finished()), self.style, wanted))

    def swept(self) -> dict[str, Any]:
        return SweepVerb.execute(self)


if __name__ == "__main__":
    default = PaperTable(sweep=SWEEP, seeds=SWEEP.seeds)
    sys.exit(run_command(PaperTable, f"python {sys.argv[0]}", "The paper's table.", sys.argv[1:], default))
