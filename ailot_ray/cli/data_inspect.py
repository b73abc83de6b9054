"""Verb data inspect."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ailot_ray.cli.options import Verb
from ailot_ray.config import Config
from ailot_ray.lazy import Lazy

if TYPE_CHECKING:
    from ailot_ray import data
    from ailot_ray.data import inspection
    from ailot_ray.pipeline import physics
else:
    data = Lazy("ailot_ray.data")
    inspection = Lazy("ailot_ray.data.inspection")
    physics = Lazy("ailot_ray.pipeline.physics")


@dataclass(frozen=True, kw_only=True)
class Inspect(Verb):
    """Show what is in a dataset: episodes, lengths, returns, ends by kind, gaps, what was dropped or clipped."""

    task: str = Config.task
    """The task whose data it is: says the sizes and where the file lies."""
    data: Path | None = None
    """A file in D4RL's HDF5 schema, or minari:ID, in place of the task's own."""
    data_dir: Path = Config.data_dir
    """Where the tasks' own files lie."""
    physics: bool = False
    """Also take recorded steps again in the simulator: tells whether the file was recorded in it."""

    def execute(self) -> dict[str, Any]:
        dataset = data.load_dataset(Config(task=self.task, data=self.data, data_dir=self.data_dir))
        report = inspection.inspect_dataset(dataset)
        print(inspection.format_inspection(report))
        if self.physics:
            checked = physics.check_physics(dataset)
            print(physics.format_physics(checked))
            report["physics"] = asdict(checked)
        return report
