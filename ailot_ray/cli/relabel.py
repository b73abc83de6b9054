"""Verb relabel."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from ailot_ray.cli.acting import draw_rewards, perform, show_dry_run, show_folders
from ailot_ray.cli.options import Work
from ailot_ray.errors import ConfigError
from ailot_ray.lazy import Lazy
from ailot_ray.mazes import MAZES
from ailot_ray.methods import aligned_methods, get_method
from ailot_ray.tasks import get_task

if TYPE_CHECKING:
    from ailot_ray import pipeline
    from ailot_ray.report import relabel
else:
    pipeline = Lazy("ailot_ray.pipeline")
    relabel = Lazy("ailot_ray.report.relabel")


@dataclass(frozen=True, kw_only=True)
class Relabel(Work):
    """Align the dataset with the expert and turn costs into rewards; prints a report of what to think of them."""

    map: Path | None = None
    """Also draw expert, trajectories and the first seed's rewards over the maze here, a PNG file (AntMaze only)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.map is None:
            return
        if self.map.suffix != ".png":
            raise ConfigError(f"--map {self.map} must name a file that ends in .png")
        if get_task(self.config.task_name).environment not in MAZES:
            raise ConfigError(f"--map draws over a maze, and {self.config.task_name} has none: leave it out")

    def execute(self) -> dict[str, Any]:
        if not get_method(self.config.method).aligned:
            raise ConfigError(f"--method {self.config.method} has nothing to relabel: choose {aligned_methods()}")
        if self.dry_run:
            return show_dry_run(self, "relabel")
        result = show_folders(self, perform(self, "relabel"))
        experiment = pipeline.Experiment.open(self.config, self.store)
        seeds = self.seeds if experiment.uses_intents else self.seeds[:1]
        reports = {str(seed): pipeline.load_report(experiment, seed) for seed in seeds}
        for seed, report in reports.items():
            print(f"\nseed {seed}" if experiment.uses_intents else "\nall seeds")
            print(relabel.format_relabel_report(report))
        if self.map:
            draw_rewards(experiment, seeds[0], self.map)
        return result | {"reports": to_builtins(reports), "map": str(self.map) if self.map else None}
