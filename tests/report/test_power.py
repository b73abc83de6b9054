"""Separation of true from shuffled rewards, and the power of the paired test, held to simulation."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ailot_ray.errors import DataError
from ailot_ray.report.power import seeds_needed, separation
from ailot_ray.report.record import Trial, load_trials

from .conftest import WriteTrial

TRUE = {10: (5.0, 6.0, 7.0), 20: (30.0, 20.0, 25.0), 30: (20.0, 30.0, 41.0), 40: (40.0, 50.0, 60.0)}
SHUFFLED = {10: (6.0, 5.0, 7.0), 20: (3.0, -9.0, -1.0), 30: (40.0, 10.0, 41.0), 40: (10.0, 21.0, 29.0)}


def trials(tmp_path: Path, write_trial: WriteTrial) -> tuple[list[Trial], list[Trial]]:
    """On true rewards of seeds 1 to 3, on shuffled ones of seeds 0 to 2."""
    for method, curves in (("iql", TRUE), ("iql-shuffled", SHUFFLED)):
        for seed in range(3):
            curve = {step: [scores[seed] - 1, scores[seed] + 1] for step, scores in curves.items()}
            write_trial(method, seed + (method == "iql"), curve)
    found = load_trials(tmp_path / "store")
    return [one for one in found if one.method == "iql"], [one for one in found if one.method == "iql-shuffled"]


def test_separation_is_paired_by_seed(tmp_path: Path, write_trial: WriteTrial) -> None:
    found = separation(*trials(tmp_path, write_trial))
    assert found.steps.tolist() == [10, 20, 30, 40]
    np.testing.assert_allclose(found.differences, [[0, -1], [39, 21], [10, -11], [19, 21]])
    np.testing.assert_allclose(found.intervals[-1], stats.t.interval(0.95, 1, 20, 1))
    assert found.deviation == pytest.approx(2**0.5)


@pytest.mark.parametrize(
    ("lows", "since"),
    [((-1, 1, -1, 1), 40), ((1, 1, 1, 1), 10), ((-1, 1, 1, 1), 20), ((1, 1, 1, -1), None), ((-1, -1, -1, -1), None)],
)
def test_they_separate_from_the_snapshot_after_the_last_that_does_not(
    lows: tuple[int, ...], since: int | None, tmp_path: Path, write_trial: WriteTrial
) -> None:
    found = separation(*trials(tmp_path, write_trial))
    assert replace(found, intervals=np.array([[low, 2] for low in lows])).since == since


def test_one_seed_has_no_interval(tmp_path: Path, write_trial: WriteTrial) -> None:
    true, shuffled = trials(tmp_path, write_trial)
    with pytest.raises(DataError, match="1 seeds have both true and shuffled rewards: give two or more with --seeds 0 1 2"):
        separation(true[:1], shuffled)


@pytest.mark.parametrize(("deviation", "difference"), [(8.0, 5.0), (3.0, 5.0), (8.0, 20.0)])
def test_as_many_seeds_find_the_difference_four_times_in_five(deviation: float, difference: float) -> None:
    n, generator = seeds_needed(deviation, difference), np.random.default_rng(0)

    def power(seeds: int) -> float:
        drawn = generator.normal(difference, deviation, (20_000, seeds))
        return float((stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean())

    assert power(n) > 0.79 and power(n - 1) < 0.81
    assert seeds_needed(0.0, difference) == 2


def test_the_verdict_names_the_steps_the_seeds_and_what_to_do(tmp_path: Path, write_trial: WriteTrial) -> None:
    path = Path(__file__).parents[2] / "experiments/can_it_show.py"
    spec = importlib.util.spec_from_file_location("can_it_show", path)
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    sys.modules["can_it_show"] = tool
    spec.loader.exec_module(tool)
    for seed in range(3):
        for method, last in (("iql", 60.0), ("iql-shuffled", 20.0), ("bc", 30.0)):
            write_trial(method, seed, {500: [10.0 + seed], 1000: [last + seed * (method == "iql")]})
    found = load_trials(tmp_path / "store")
    told = tool.verdict("hopper-medium-v2", found).splitlines()
    assert told[0] == "hopper-medium-v2, 3 paired seeds"
    assert told[-3].split()[:4] == ["1,000", "61.0", "20.0", "30.0"] and "41.0 (38.5 to 43.5)" in told[-3]
    assert told[-2].startswith("true rewards separate from shuffled ones from 1,000 steps on")
    assert told[-1].endswith(f"deviation 1.0): {', '.join(f'{seeds_needed(1.0, d)} for {d:g}' for d in (2.0, 5.0, 10.0))}")
    early = [replace(one, steps=one.steps[:1], scores=one.scores[:1]) for one in found]
    assert "not told apart at 500 steps and 3 seeds" in tool.verdict("hopper-medium-v2", early)
