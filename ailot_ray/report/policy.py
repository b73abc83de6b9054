"""The policy report as text: how episodes end, and which of the data the policy follows."""

from pathlib import Path

from ailot_ray.records import POLICY_REPORT, PolicyReport, read_record
from ailot_ray.report.layout import NONE, text_lines


def load_policy_report(scores: Path) -> PolicyReport | None:
    """The report of a scores artefact; None of one from before there were reports. Raises StoreError where it is damaged."""
    file = scores / POLICY_REPORT
    return read_record(file, PolicyReport) if file.exists() else None


def format_policy_report(report: PolicyReport) -> str:
    """Lay a policy's report (the scores artefact's ``policy.json``) out for the terminal; warnings stand last, one a line."""
    lines = [f"{report.episodes} episodes"]
    for end in report.ends:
        steps = f"{end.shortest:,} steps" if end.shortest == end.longest else f"{end.shortest:,} to {end.longest:,} steps"
        lines.append(f"  {end.episodes} end by {end.end}, after {steps} (median {end.median:,.0f})")
    rows = [
        (
            part.name,
            f"{part.of_data:.1%}",
            NONE if part.of_weight is None else f"{part.of_weight:.1%}",
            f"{part.action_error:.3f}",
        )
        for part in report.parts
    ]
    lines += text_lines(("data", "share", "of the weight", "action error"), rows, (True, False, False, False))
    effective = (
        "" if report.effective_share is None else f"; weights leave an effective {report.effective_share:.1%} of the data"
    )
    lines.append(f"the policy's own variance {report.own_variance:.3f}{effective}")
    return "\n".join([*lines, *(f"warning: {warning}" for warning in report.warnings)])
