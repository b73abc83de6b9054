"""python -m ailot_ray <verb>."""

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from ailot_ray.cli.browsing import Dashboard, Portrait
from ailot_ray.cli.collecting import Collect, Register
from ailot_ray.cli.doctor import Doctor
from ailot_ray.cli.running import run_command
from ailot_ray.cli.settings import Settings
from ailot_ray.cli.showing import Export, Fetch, Inspect, Results, Tasks
from ailot_ray.cli.verbs import Evaluate, Pretrain, Relabel, Run, Train
from ailot_ray.memory import keep_freed_memory

_sub = tyro.conf.subcommand
Data = (
    Annotated[Inspect, _sub("inspect")]
    | Annotated[Fetch, _sub("fetch")]
    | Annotated[Collect, _sub("collect")]
    | Annotated[Export, _sub("export")]
)
Verb = (
    Annotated[Tasks, _sub("tasks")]
    | Annotated[Register, _sub("register")]
    | Annotated[Data, _sub("data", description="Look into a dataset, download or collect one, or export a relabelled one.")]
    | Annotated[Pretrain, _sub("pretrain")]
    | Annotated[Relabel, _sub("relabel")]
    | Annotated[Train, _sub("train")]
    | Annotated[Evaluate, _sub("evaluate")]
    | Annotated[Run, _sub("run")]
    | Annotated[Results, _sub("results")]
    | Annotated[Settings, _sub("settings")]
    | Annotated[Dashboard, _sub("dashboard")]
    | Annotated[Portrait, _sub("portrait")]
    | Annotated[Doctor, _sub("doctor")]
)
ABOUT = "Offline imitation learning by optimal transport between intents: from a dataset without rewards to a policy."
PROGRAM = "python -m ailot_ray"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    keep_freed_memory()
    arguments = sys.argv[1:] if arguments is None else arguments
    return run_command(Verb, PROGRAM, ABOUT, arguments or ["--help"])


if __name__ == "__main__":
    sys.exit(main())
