"""Options that verbs share, each once."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.config import Config
from ailot_ray.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Verb(ABC):
    """Base of every verb: `execute` prints what a person reads, and returns the same as plain data."""

    json: bool = False
    """End with one JSON object on the last line of standard output."""

    @abstractmethod
    def execute(self) -> dict[str, Any]:
        """Do what the verb says. Raises AilotError, in one line with the remedy."""


@dataclass(frozen=True, kw_only=True)
class InStore(Verb):
    store: Path = Path("store")
    """Folder of artefacts, shared by all nodes. What is finished there is read back; what was killed resumes."""


@dataclass(frozen=True, kw_only=True)
class Work(InStore):
    """Base of the verbs that make artefacts, in this process or on Ray."""

    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    cluster: Annotated[ClusterOptions, tyro.conf.arg(name="")] = field(default_factory=ClusterOptions)
    seeds: tuple[int, ...] = (0,)
    """Random seeds. Every seed is a trial of its own: pretraining, training and evaluation all start from it."""
    dry_run: bool = False
    """Print what would be done, what is done already, and how long the rest may take."""

    def __post_init__(self) -> None:
        require_seeds(self.seeds)


def require_seeds(seeds: tuple[int, ...]) -> None:
    """Raise ConfigError unless these are one or more different seeds, none negative."""
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds {' '.join(map(str, seeds))} must be one or more different numbers, none negative")
