"""Verb evaluate."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ailot_ray.cli.acting import perform, require_mp4, show_dry_run, show_folders, show_policy
from ailot_ray.cli.options import Work
from ailot_ray.lazy import Lazy

if TYPE_CHECKING:
    from ailot_ray.report import policy, record
else:
    policy = Lazy("ailot_ray.report.policy")
    record = Lazy("ailot_ray.report.record")


@dataclass(frozen=True, kw_only=True)
class Evaluate(Work):
    """Roll the policies out in the simulator; print their scores, how episodes end and which of the data they follow."""

    video: Path | None = None
    """Also write an mp4 of the first seed's policy here."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_mp4(self.video, self.config)

    def execute(self) -> dict[str, Any]:
        if self.dry_run:
            return show_dry_run(self, "evaluate")
        result = show_folders(self, perform(self, "evaluate"))
        digests = {artefact: seed for seed, artefact in zip(self.seeds, result["artefacts"].values(), strict=True)}
        scores = {}
        for trial in record.load_trials(self.store):
            seed = digests.get(str(trial.folder))
            if seed is not None:
                scores[str(seed)] = trial.score
                print(f"seed {seed}: {'normalised score' if trial.normalised else 'return'} {trial.score:.1f}")
                report = policy.load_policy_report(trial.folder)
                if report:
                    print(policy.format_policy_report(report))
        if self.video:
            show_policy(self, self.config.method, self.seeds[0], self.video)
        return result | {"scores": scores, "video": str(self.video) if self.video else None}
