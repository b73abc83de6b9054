"""Verb diagnose."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ailot_ray.cli.options import InStore
from ailot_ray.config import MINARI
from ailot_ray.errors import ConfigError
from ailot_ray.lazy import Lazy
from ailot_ray.methods import get_method

if TYPE_CHECKING:
    from ailot_ray import pipeline
    from ailot_ray.report import portraits
    from ailot_ray.report.page import sources
    from ailot_ray.report.record import Trial
else:
    pipeline = Lazy("ailot_ray.pipeline")
    portraits = Lazy("ailot_ray.report.portraits")
    sources = Lazy("ailot_ray.report.page.sources")


@dataclass(frozen=True, kw_only=True)
class Diagnose(InStore):
    """Draw what the results page shows of a trial: rewards along trajectories, couplings, time-isometry, on mazes the map."""

    trials: tuple[str, ...] = ()
    """Digests of the trials' scores, or their beginnings: what their folders' names end in. Default: the first seed of each
    configuration."""
    data: Path | None = None
    """The data file, where it lies elsewhere than when the trial ran."""
    video: bool = False
    """Record a video of the policy in place of the diagnostics."""
    trust: bool = False
    """With --video: run the environment that the trial's own task file names. That is Python code; only for stores of yours."""

    def execute(self) -> dict[str, Any]:
        (store,) = sources.find_stores([self.store])[:1]
        done = [run for run in sources.Sources([store]).read().runs if run.done]
        if not done:
            raise ConfigError(f"--store {store} has no finished trial yet: evaluate one first")
        made: dict[str, str] = {}
        for run in _chosen(done, self.trials):
            if not self.trials and not get_method(run.method).aligned and not self.video:
                continue  # nothing is aligned there
            experiment, seed = pipeline.reopen(run.folder, self.data)
            if self.video:
                _require_trust(run, self.trust)
                path = portraits.video_path(store, run.folder)
                pipeline.record_policy(experiment, seed, path)
            else:
                path = pipeline.diagnose(experiment, [seed])[0].folder
            made[run.short] = str(path)
            print(f"{run.short}: {path}")
        return {"made": made}


def _require_trust(run: "Trial", trusted: bool) -> None:
    """Raise ConfigError before code is run that a store names, and not the table of tasks or the installed packages."""
    if ":" in run.task and not run.task.startswith(MINARI) and not trusted:
        raise ConfigError(
            f"trial {run.short} is of task {run.task}, a file that names an environment as Python code: add --trust if the "
            f"store is your own, `python -m ailot_ray diagnose --store {run.root} --trials {run.short} --video --trust`"
        )


def _chosen(done: "list[Trial]", wanted: tuple[str, ...]) -> "list[Trial]":
    if not wanted:
        first = {(run.task, run.data_digest, run.method, repr(sorted(run.config.items()))): run for run in reversed(done)}
        return sorted(first.values(), key=done.index)
    found = []
    for digest in wanted:
        matches = [run for run in done if run.digest.startswith(digest)]
        if len(matches) != 1:
            many = f"{len(matches)} trials begin so" if matches else "no finished trial has it"
            raise ConfigError(f"--trials {digest}: {many}; the folders in scores/ end in their digests")
        found += matches
    return found
