"""Everything about one run, part by part, for the page and the shared file alike."""

import contextlib
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from msgspec.structs import replace

from ailot_ray.errors import StoreError
from ailot_ray.records import RelabelReport, Source, read_record
from ailot_ray.report import portraits
from ailot_ray.report.figures import alignment
from ailot_ray.report.figures.histograms import reward_histograms
from ailot_ray.report.look import colour_of, label_of
from ailot_ray.report.page.runs import log_tail
from ailot_ray.report.policy import format_policy_report, load_policy_report
from ailot_ray.report.record import Trial
from ailot_ray.report.relabel import format_relabel_report

DEGENERATE_MARGIN = 0.02
"""Rewards within this fraction of α of 0, or of α, count as collapsed or saturated; as in `ailot_ray.method.diagnostics`."""
_REASONS = {"waiting": "Not begun yet.", "interrupted": "Its sweep ended before it did: the same command goes on from here."}


@dataclass(frozen=True)
class Part:
    """A figure, or a text as it is, under a heading."""

    title: str
    explain: str = ""
    figure: Figure | None = None
    text: str = ""


def parts(run: Trial) -> list[Part]:
    """What there is to see of a run, in the order of the method."""
    if run.state != "done":
        found = [Part(run.state, run.detail or _REASONS.get(run.state, ""))]
        log = log_tail(run)
        return [*found, Part("The end of its log", f"from {run.log}", text=log)] if log else found
    return [*_rewards(run), *_policy(run), *_portrait(run)]


def facts(run: Trial) -> dict[str, Any]:
    """The run in a line of facts."""
    about: dict[str, Any] = {
        "task": run.task,
        "data": f"{run.data} ({run.data_digest[:8]}){' *' if run.substituted else ''}",
        "method": label_of(run.method),
        "seed": run.seed,
        "sweep": ", ".join(run.sweeps) or None,
        "artefact": str(run.folder) if run.done else None,
    }
    if run.done:
        final = run.scores[run.final]
        about["score"] = f"{final.mean():.1f}, episodes from {final.min():.1f} to {final.max():.1f} ({len(final)})"
    return {name: value for name, value in about.items() if value is not None}


def _rewards(run: Trial) -> list[Part]:
    found = []
    rewards = portraits.load_rewards(run)
    if rewards is not None:
        values, before = rewards
        explain = "Rewards near 0 say nothing (τ too high: collapse), and neither do rewards near α (τ too low: saturation)."
        own = "The dataset's own rewards under the domain's rescaling."
        figure = reward_histograms({"": values}, DEGENERATE_MARGIN if before else None, colour_of(run.method))
        found.append(Part("Rewards of the dataset", explain if run.artefacts.get("alignment") else own, figure))
    folder = portraits.rewards_folder(run)
    if folder is not None:
        with contextlib.suppress(StoreError):
            report = read_record(folder / "report.json", RelabelReport)
            report = replace(report, data=Source(run.data, run.data_digest), method=run.method)
            found.append(Part("The relabel report", text=format_relabel_report(report)))
    return found


def _policy(run: Trial) -> list[Part]:
    with contextlib.suppress(StoreError):
        report = load_policy_report(run.folder)
        if report is not None:
            return [Part("The policy report", text=format_policy_report(report))]
    return []


def _portrait(run: Trial) -> list[Part]:
    portrait = portraits.load_portrait(run)
    if portrait is None:
        return []
    alpha = float(run.config.get("reward.alpha") or 1.0)
    found = [
        Part(
            "Reward along trajectories",
            "The expert against itself, and the trajectories with the highest and the lowest true return.",
            alignment.reward_along(portrait, alpha),
        )
    ]
    maze = alignment.over_maze(portrait, alpha)
    if maze is not None:
        found.append(Part("Reward over the maze", "Rewards of the dataset's states, with the trajectories above.", maze))
    coupling = alignment.couplings(portrait)
    if coupling is not None:
        explain = "Where each step's mass goes. A rising line is an alignment that keeps time; a blur matches everything."
        found.append(Part("Couplings with the expert", explain, coupling))
    explain = "Distances of states by the steps between them, median and quartiles: intents are worth aligning where they rise."
    found.append(Part("Time-isometry", explain, alignment.isometry(portrait)))
    return found
