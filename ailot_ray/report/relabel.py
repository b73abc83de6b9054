"""The report of a relabelled dataset: how good the alignment is and whether the rewards say anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ailot_ray.report.look import label_of

_NONE = "–"
_WIDTH = 34
_SPACES = {"intent": "intents", "untrained": "intents before training"}


def format_relabel_report(report: Mapping[str, Any]) -> str:
    """Lay a relabelling's report (the rewards artefact's ``report.json``) out for the terminal.

    A value that is not available is a dash, with the reason where it is plain. Warnings stand last, one a line.
    """
    data = report.get("data") or {}
    method = str(report.get("method", _NONE))
    digest = str(data.get("digest", ""))[:8]
    source = Path(str(data.get("source", _NONE))).name
    title = f"{report.get('task', _NONE)}  {source} ({digest})  {label_of(method)}"
    lines = [title, *_contents(report), *_correlation(report), *_solves(report, method), *_rewards(report)]
    lines += [*_isometry(report, method), *_time(report, method), *_duration(report)]
    lines += [f"warning: {warning}" for warning in report.get("warnings") or ()]
    return "\n".join(lines)


def _line(name: str, value: str, indent: int = 2) -> str:
    return " " * indent + f"{name}".ljust(_WIDTH - indent) + value


def _number(value: float | None, form: str = ".2f", why: str = "") -> str:
    if value is None:
        return f"{_NONE} ({why})" if why else _NONE
    return format(value, form)


def _section(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return report.get(name) or {}


def _contents(report: Mapping[str, Any]) -> list[str]:
    counts = f"{_number(report.get('trajectories'), ',')} ({_number(report.get('transitions'), ',')} transitions)"
    lines = [_line("trajectories", counts), _line("short trajectories", _number(report.get("short_trajectories"), ","))]
    experts: Sequence[Mapping[str, Any]] = report.get("experts") or ()
    for i, expert in enumerate(experts):
        steps = _number(expert.get("steps"), ",")
        value = _number(expert.get("true_return"), ",.1f", "no true rewards")
        name = "expert" if len(experts) == 1 else f"expert {i + 1}"
        lines.append(_line(name, f"{expert.get('origin', _NONE)}: {steps} steps, true return {value}"))
    return lines


def _correlation(report: Mapping[str, Any]) -> list[str]:
    values = _section(report, "rank_correlation")
    names = {"return": "return", "mean_reward_per_step": "mean reward per step", "length_control": "length alone (control)"}
    lines = [_line("rank correlation with the true return", "").rstrip()]
    # without true rewards all are missing; a single one is where one side is constant, such as lengths in HalfCheetah
    why = "no true rewards" if all(values.get(key) is None for key in names) else "all are equal"
    return lines + [_line(name, _number(values.get(key), ".2f", why), 4) for key, name in names.items()]


def _solves(report: Mapping[str, Any], method: str) -> list[str]:
    error = _section(report, "marginal_error")
    why = "no transport is solved" if method == "seabo" else ""
    if error.get("mean") is None:
        marginal = _number(None, why=why)
    else:
        marginal = f"mean {_number(error['mean'], '.1e')}, worst {_number(error.get('worst'), '.1e')}"
    solves = f"{_number(report.get('unconverged'), ',')} of {_number(report.get('solves'), ',')}"
    return [_line("marginal error (L1)", marginal), _line("solves not converged", solves)]


def _rewards(report: Mapping[str, Any]) -> list[str]:
    reward = _section(report, "reward")
    span = ", ".join(f"{name} {_number(reward.get(name), '.3g')}" for name in ("min", "mean", "max"))
    return [
        _line("reward", span),
        _line("collapsed (reward near 0)", _number(report.get("collapse_share"), ".1%")),
        _line("saturated (reward near alpha)", _number(report.get("saturation_share"), ".1%")),
    ]


def _isometry(report: Mapping[str, Any], method: str) -> list[str]:
    spaces = _section(report, "isometry")
    name = "isometry"
    if not spaces:
        why = f"{label_of(method)} uses no intents" if method != "ailot" else ""
        return [_line(name, _number(None, why=why))]
    lines = [_line("isometry (rank correlation of distance with steps apart)", "").rstrip()]
    for space, by_horizon in spaces.items():
        horizons = sorted(by_horizon, key=int)
        text = ", ".join(f"{_number(by_horizon[steps])} up to {steps} steps" for steps in horizons)
        lines.append(_line(_SPACES.get(space, f"{space} states"), text, 4))
    return lines


def _time(report: Mapping[str, Any], method: str) -> list[str]:
    coherence = _section(report, "coherence")
    why = "no transport is solved" if method == "seabo" else ""
    order = _number(coherence.get("correlation"), ".2f", why)
    if coherence.get("backward") is not None:
        order += f", {coherence['backward']:.0%} of the steps go back"
    ahead = report.get("look_ahead_distance")
    return [
        _line("order of time in couplings", order),
        _line("look-ahead distance", _number(ahead, ".2f") + (" of any two states'" if ahead is not None else "")),
    ]


def _duration(report: Mapping[str, Any]) -> list[str]:
    seconds = report.get("seconds_per_trajectory")
    if seconds is None:
        return [_line("time per trajectory", _NONE)]
    return [_line("time per trajectory", f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s")]
