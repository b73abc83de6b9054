"""The report of a relabelled dataset: how good the alignment is and whether the rewards say anything."""

from pathlib import Path

from ailot_ray.records import RelabelReport
from ailot_ray.report.look import label_of

_NONE = "–"
_WIDTH = 34
_SPACES = {"intent": "intents", "untrained": "intents before training"}


def format_relabel_report(report: RelabelReport) -> str:
    """Lay a relabelling's report (the rewards artefact's ``report.json``) out for the terminal.

    A value that is not available is a dash, with the reason where it is plain. Warnings stand last, one a line.
    """
    where = f"{Path(report.data.source).name} ({report.data.digest[:8]})" if report.data else f"{_NONE} ()"
    lines = [f"{report.task}  {where}  {label_of(report.method) if report.method else _NONE}", *_contents(report)]
    lines += [*_correlation(report), *_solves(report), *_isometry(report), *_time(report)]
    lines += [f"warning: {warning}" for warning in report.warnings]
    return "\n".join(lines)


def _line(name: str, value: str, indent: int = 2) -> str:
    return (" " * indent + name.ljust(_WIDTH - indent) + value).rstrip()


def _number(value: float | None, form: str = ".2f", why: str = "") -> str:
    if value is None:
        return f"{_NONE} ({why})" if why else _NONE
    return format(value, form)


def _contents(report: RelabelReport) -> list[str]:
    lines = [
        _line("trajectories", f"{report.trajectories:,} ({report.transitions:,} transitions)"),
        _line("short trajectories", f"{report.short_trajectories:,}"),
    ]
    for i, expert in enumerate(report.experts):
        name = "expert" if len(report.experts) == 1 else f"expert {i + 1}"
        value = _number(expert.true_return, ",.1f", "no true rewards")
        lines.append(_line(name, f"{expert.origin or _NONE}: {expert.steps:,} steps, true return {value}"))
    return lines


def _correlation(report: RelabelReport) -> list[str]:
    found = report.rank_correlation
    values = {
        "return": found.of_return,
        "mean reward per step": found.mean_reward_per_step,
        "length alone (control)": found.length_control,
    }
    # without true rewards all are missing; a single one is where one side is constant, such as lengths in HalfCheetah
    why = "no true rewards" if all(value is None for value in values.values()) else "all are equal"
    lines = [_line("rank correlation with the true return", "")]
    return lines + [_line(name, _number(value, ".2f", why), 4) for name, value in values.items()]


def _solves(report: RelabelReport) -> list[str]:
    error, reward = report.marginal_error, report.reward
    told = _number(None, why="no transport is solved") if error is None else f"mean {error.mean:.1e}, worst {error.worst:.1e}"
    return [
        _line("marginal error (L1)", told),
        _line("solves not converged", f"{report.unconverged:,} of {report.solves:,}"),
        _line("reward", f"min {reward.min:.3g}, mean {reward.mean:.3g}, max {reward.max:.3g}"),
        _line("collapsed (reward near 0)", f"{report.collapse_share:.1%}"),
        _line("saturated (reward near alpha)", f"{report.saturation_share:.1%}"),
    ]


def _isometry(report: RelabelReport) -> list[str]:
    if not report.isometry:
        return [_line("isometry", _number(None, why=f"{label_of(report.method)} uses no intents"))]
    lines = []
    if report.value:
        reached, pace = report.value.reached, report.value.pace
        lines.append(_line("value of the intents", f"{reached:.1f}; the data's own pace has {pace:.1f}"))
    lines.append(_line("isometry (rank correlation of distance with steps apart)", ""))
    for space, by_horizon in report.isometry.items():
        text = ", ".join(f"{_number(by_horizon[steps])} up to {steps} steps" for steps in sorted(by_horizon, key=int))
        lines.append(_line(_SPACES.get(space, f"{space} states"), text, 4))
    return lines


def _time(report: RelabelReport) -> list[str]:
    found, ahead, seconds = report.coherence, report.look_ahead_distance, report.seconds_per_trajectory
    order = _number(found.correlation if found else None, ".2f", "" if report.marginal_error else "no transport is solved")
    if found is not None and found.backward is not None:
        order += f", {found.backward:.0%} of the steps go back"
    each = _NONE if seconds is None else f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
    return [
        _line("order of time in couplings", order),
        _line("look-ahead distance", _number(ahead, ".2f") + (" of any two states'" if ahead is not None else "")),
        _line("time per trajectory", each),
    ]
