"""Verb run."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ailot_ray.cli.acting import perform, require_mp4, show_dry_run, show_policy, show_results
from ailot_ray.cli.options import Work
from ailot_ray.errors import SimulatorError
from ailot_ray.lazy import Lazy
from ailot_ray.methods import METHODS, get_method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ailot_ray.report import policy, record
    from ailot_ray.report.record import Trial
else:
    policy = Lazy("ailot_ray.report.policy")
    record = Lazy("ailot_ray.report.record")


MAX_WARNINGS = 5


def warn_of_policies(trials: "Sequence[Trial]") -> None:
    """Print what the trials' policy reports warn of, each warning once with the methods and seeds that it is of."""
    found: dict[str, list[str]] = {}
    for trial in trials:
        report = policy.load_policy_report(trial.folder)
        for warning in report.warnings if report else []:
            found.setdefault(warning, []).append(f"{trial.method} seed {trial.seed}")
    for warning, whose in [*found.items()][:MAX_WARNINGS]:
        print(f"warning: {', '.join(whose)}: {warning}", file=sys.stderr)
    if len(found) > MAX_WARNINGS:
        more = f"{len(found) - MAX_WARNINGS} more warnings"
        print(f"warning: {more}: `evaluate` prints the report of each policy, and the page shows it", file=sys.stderr)


@dataclass(frozen=True, kw_only=True)
class Run(Work):
    """All of it, for one method or several; ends in the table of results and a plot."""

    methods: tuple[str, ...] = ()
    """Methods to compare in place of --method: any of those that --method takes."""
    video: Path | None = None
    """Also write an mp4 of the first seed of AILOT (or of the first method there is), where the machine can draw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_mp4(self.video, self.config)

    def execute(self) -> dict[str, Any]:
        methods = tuple(dict.fromkeys(self.methods)) or (self.config.method,)
        if self.dry_run:
            return show_dry_run(self, "evaluate", methods)
        done = perform(self, "evaluate", methods)
        result = show_results(record.load_trials(self.store), self.store)
        warn_of_policies([record.read_trial(artefact.folder) for artefact in done])
        if self.video:
            method = max(
                methods, key=lambda name: (get_method(name).aligned, [*METHODS].index(name))
            )  # AILOT before any baseline
            try:
                show_policy(self, method, self.seeds[0], self.video)
                result["video"] = str(self.video)
            except SimulatorError as error:  # a machine that cannot draw still has its table
                print(f"ailot_ray: no video: {error}", file=sys.stderr)
                result["video"] = None
        return result
