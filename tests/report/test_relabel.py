"""The relabelling report as text."""

from typing import Any

import msgspec
import pytest

from ailot_ray.records import RelabelReport
from ailot_ray.report.relabel import format_relabel_report


@pytest.fixture
def report() -> dict[str, Any]:
    return {
        "task": "hopper-medium-replay-v2",
        "data": {"source": "/data/hopper-medium-replay.hdf5", "digest": "a1b2c3d4" * 8},
        "method": "ailot",
        "trajectories": 539,
        "transitions": 80000,
        "experts": [{"origin": "hopper-medium-replay.hdf5 trajectory 12", "true_return": 3000.0, "steps": 1000}],
        "rank_correlation": {"return": 0.92, "mean_reward_per_step": 0.95, "length_control": 0.99},
        "marginal_error": {"mean": 4e-4, "worst": 9.9e-4},
        "unconverged": 2,
        "solves": 539,
        "cost_scale": 1.0,
        "collapse_share": 0.01,
        "saturation_share": 0.025,
        "reward": {"min": 0.0, "mean": 1.234, "max": 4.5},
        "isometry": {"raw": {"10": 0.8, "50": 0.7}, "untrained": {"10": 0.81, "50": 0.6}, "intent": {"50": 0.83, "10": 0.9}},
        "coherence": {"correlation": 0.456, "backward": 0.25},
        "look_ahead_distance": 0.123,
        "short_trajectories": 3,
        "seconds_per_trajectory": 0.02,
        "warnings": ["2 of 539 solves did not converge", "length alone orders the returns"],
    }


def told(report: dict[str, Any]) -> list[str]:
    return format_relabel_report(msgspec.convert(report, RelabelReport)).splitlines()


def test_full(report: dict[str, Any]) -> None:
    assert told(report) == [
        "hopper-medium-replay-v2  hopper-medium-replay.hdf5 (a1b2c3d4)  AILOT",
        "  trajectories                    539 (80,000 transitions)",
        "  short trajectories              3",
        "  expert                          hopper-medium-replay.hdf5 trajectory 12: 1,000 steps, true return 3,000.0",
        "  rank correlation with the true return",
        "    return                        0.92",
        "    mean reward per step          0.95",
        "    length alone (control)        0.99",
        "  marginal error (L1)             mean 4.0e-04, worst 9.9e-04",
        "  solves not converged            2 of 539",
        "  reward                          min 0, mean 1.23, max 4.5",
        "  collapsed (reward near 0)       1.0%",
        "  saturated (reward near alpha)   2.5%",
        "  isometry (rank correlation of distance with steps apart)",
        "    raw states                    0.80 up to 10 steps, 0.70 up to 50 steps",
        "    intents before training       0.81 up to 10 steps, 0.60 up to 50 steps",
        "    intents                       0.90 up to 10 steps, 0.83 up to 50 steps",
        "  order of time in couplings      0.46, 25% of the steps go back",
        "  look-ahead distance             0.12 of any two states'",
        "  time per trajectory             20 ms",
        "warning: 2 of 539 solves did not converge",
        "warning: length alone orders the returns",
    ]


def test_what_is_not_available_is_a_dash_with_its_reason(report: dict[str, Any]) -> None:
    expert = {"origin": "demo.hdf5", "true_return": None, "steps": 50}
    nothing = {"return": None, "mean_reward_per_step": None, "length_control": None}
    report |= {"method": "seabo", "experts": [expert, expert], "rank_correlation": nothing, "isometry": {}, "coherence": None}
    report |= {"marginal_error": None, "warnings": [], "seconds_per_trajectory": 2.5}
    lines = told(report)
    assert lines[3] == "  expert 1                        demo.hdf5: 50 steps, true return – (no true rewards)"
    assert lines[4].startswith("  expert 2 ")
    assert lines[6:9] == [
        "    return                        – (no true rewards)",
        "    mean reward per step          – (no true rewards)",
        "    length alone (control)        – (no true rewards)",
    ]
    assert "  marginal error (L1)             – (no transport is solved)" in lines
    assert "  isometry                        – (SEABO uses no intents)" in lines
    assert lines[-1] == "  time per trajectory             2.5 s"
    assert not any("warning" in line or "None" in line for line in lines)


def test_a_constant_length_is_not_called_a_lack_of_rewards(report: dict[str, Any]) -> None:
    report |= {"rank_correlation": {"return": 0.9, "mean_reward_per_step": 0.9, "length_control": None}}
    assert "    length alone (control)        – (all are equal)" in told(report)
