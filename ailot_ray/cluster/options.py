"""Where and how work runs. Nothing here is part of an artefact's key: the same bytes come out of any cluster."""

from dataclasses import dataclass
from typing import Literal

from ailot_ray.errors import ConfigError

Launcher = Literal["auto", "train", "inline"]


@dataclass(frozen=True)
class ClusterOptions:
    """The part of a command line that concerns Ray."""

    address: str | None = None
    """A running Ray cluster (`auto`, or host:port); by default Ray is started on this machine for the command alone."""
    workers: int | None = None
    """Processes side by side on this machine, by default one for each core. On a running cluster: a limit on them."""
    gpus_per_worker: float | None = None
    """GPUs of each worker: at 0.25, four trials or actors share one, each limited to its part of the memory; 0 keeps to the
    CPU. By default 1 where the cluster has GPUs at the start; say it where GPU nodes come only when they are asked for."""
    launcher: Launcher = "auto"
    """`train`: each trial trains in a Ray Train worker group; `inline`: in the trial's own process. `auto`: inline on GPUs and
    where the trials alone fill the machine, train elsewhere; pretrainings on GPUs by train."""
    retries: int = 3
    """How often a trial or worker that died (killed, out of memory, node lost) is started again; it goes on where it was."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers is {self.workers}, but it must be 1 or more")
        share = self.gpus_per_worker
        if share is not None and (share < 0 or (share > 1 and share % 1)):
            raise ConfigError(f"--gpus-per-worker is {share:g}, but it must be between 0 and 1, or a whole number")
        if self.retries < 0:
            raise ConfigError(f"--retries is {self.retries}, but it must be 0 or more")
