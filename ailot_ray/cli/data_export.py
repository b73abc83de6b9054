"""Verb data export."""

import json as jsonlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ailot_ray.cli.options import InStore
from ailot_ray.config import Config, flatten
from ailot_ray.errors import ConfigError, DataError
from ailot_ray.lazy import Lazy

if TYPE_CHECKING:
    from ailot_ray import pipeline
    from ailot_ray.data import export
else:
    export = Lazy("ailot_ray.data.export")
    pipeline = Lazy("ailot_ray.pipeline")


@dataclass(frozen=True, kw_only=True)
class Export(InStore):
    """Write the relabelled dataset in D4RL's schema, for any other learner; relabels first if need be."""

    output: Path
    """The HDF5 file to write."""
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    seed: int = 0
    """Seed of the ICVF encoder whose rewards are written."""
    overwrite: bool = False
    """Replace the file if it is there."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"--seed is {self.seed}, but it must be 0 or more")

    def execute(self) -> dict[str, Any]:
        if self.output.exists() and not self.overwrite:
            raise DataError(f"{self.output} exists: choose another --output or pass --overwrite")
        experiment = pipeline.Experiment.open(self.config, self.store)
        rewards = pipeline.relabel(experiment, [self.seed])[0]
        provenance = flatten(experiment.config) | {
            "seed": self.seed,
            "rewards": rewards.digest,
            "file": experiment.dataset.digest,
        }
        text = jsonlib.dumps(provenance, sort_keys=True)
        export.export_d4rl(
            experiment.dataset, pipeline.load_rewards(rewards), self.output, provenance=text, overwrite=self.overwrite
        )
        print(f"{len(experiment.dataset):,} transitions with the rewards of {rewards.folder}: {self.output}")
        return {"file": str(self.output), "rewards": str(rewards.folder)}
