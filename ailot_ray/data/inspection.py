"""What a dataset holds, for `data inspect`."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.trajectories import Dataset, scores
from ailot_ray.parts import told
from ailot_ray.tasks import get_task


def inspect_dataset(dataset: Dataset) -> dict[str, Any]:
    """A JSON-able report. Summaries are ``{min, median, mean, max}``; what needs rewards is None where there are none."""
    task, notes, rewards = get_task(dataset.task), dataset.notes, dataset.rewards
    returns = None if rewards is None else dataset.returns()
    arrays = (dataset.observations, dataset.actions, dataset.next_observations, rewards)
    return {
        "task": dataset.task,
        "source": dataset.source,
        "substituted": dataset.substituted,
        "digest": dataset.digest,
        "transitions_in_file": notes.transitions_in_file,
        "transitions_kept": len(dataset),
        "transitions_dropped": notes.dropped,
        "transitions_clipped": notes.clipped,
        "largest_action": notes.largest_action,
        "episodes": dataset.trajectories,
        "episodes_vanished": notes.vanished,
        "warnings": notes.warnings(),
        "ends": dict(Counter(dataset.ends)),
        "length": _summary(dataset.lengths),
        "return": None if returns is None else _summary(returns),
        "normalised": task.normalised,
        "score": None if returns is None else _summary(scores(dataset, task)),
        "nonzero_reward_share": None if rewards is None else float(np.mean(rewards != 0)),
        "non_finite_values": sum(int((~np.isfinite(array)).sum()) for array in arrays if array is not None),
        "unknown_successors": int((~dataset.successor_known).sum()),
        "observation_size": dataset.observations.shape[1],
        "observation_parts": [list(part) for part in notes.parts] or None,
        "action_size": dataset.actions.shape[1],
    }


def format_inspection(report: dict[str, Any]) -> str:
    """`inspect_dataset`'s report as an aligned table of two columns."""
    ends = ", ".join(f"{count} {end}" for end, count in sorted(report["ends"].items(), key=lambda item: -item[1]))
    share = report["nonzero_reward_share"]
    stand_in = " (in place of the task's own file: scores do not compare with published ones)"
    outside = f"with an action outside ±1 (largest |action| {report['largest_action']:.4g})"
    gone = f"without a successor (with them {report['episodes_vanished']:,} episodes of one step)"
    lines = {
        "task": report["task"],
        "source": report["source"] + (stand_in if report["substituted"] else ""),
        "sha256": report["digest"],
        "transitions": f"{report['transitions_kept']:,} of {report['transitions_in_file']:,} in the file",
        "dropped": f"{report['transitions_dropped']:,} {gone}",
        "clipped": f"{report['transitions_clipped']:,} {outside}",
        "episodes": f"{report['episodes']:,}, ended by: {ends}",
        "length": _line(report["length"]),
        "return": _line(report["return"]),
        "normalised score": _line(report["score"]) if report["normalised"] else "none, the task has no reference returns",
        "nonzero reward": "no rewards in the file" if share is None else f"{share:.2%} of transitions",
        "non-finite values": f"{report['non_finite_values']:,}",
        "unknown successors": f"{report['unknown_successors']:,} (last step before a terminal)",
        "sizes": f"observation {report['observation_size']}, action {report['action_size']}",
    }
    lines |= {"observations are": told(tuple(map(tuple, report["observation_parts"])))} if report["observation_parts"] else {}
    lines |= {"warning": "; ".join(report["warnings"])} if report["warnings"] else {}
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _summary(values: NDArray[Any]) -> dict[str, float]:
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "mean": float(values.mean()),
        "max": float(values.max()),
    }


def _line(summary: dict[str, float] | None) -> str:
    if summary is None:
        return "no rewards in the file"
    return "   ".join(f"{name} {value:>9,.1f}" for name, value in summary.items())
