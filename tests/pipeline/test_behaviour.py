"""The policy report against figures worked out by hand, and what it warns of, each planted on purpose."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ailot_ray.cli.run import warn_of_policies
from ailot_ray.envs.ends import why_ended
from ailot_ray.method.iql import IQL, advantage_weights
from ailot_ray.pipeline import behaviour, evaluate, load_policy, train
from ailot_ray.pipeline.relabel import true_rewards
from ailot_ray.pipeline.train import transitions
from ailot_ray.records import PolicyReport
from ailot_ray.report.policy import format_policy_report, load_policy_report
from ailot_ray.report.record import Trial

from .conftest import OpenExperiment


def played(scores: list[float], lengths: list[int], ends: list[str]) -> pa.Table:
    return pa.table({"score": scores, "length": lengths, "end": ends})


def report(open_experiment: OpenExperiment, games: pa.Table, weights: dict[int, float] | None = None) -> PolicyReport:
    """Of a cloned policy, with advantage weights as if it had some: 1 but for those given by their row."""
    experiment = open_experiment("bc")
    folder = train(experiment, [0])[0].folder
    if weights is not None:
        values = [weights.get(row, 1.0) for row in range(len(experiment.dataset))]
        pq.write_table(pa.table({"row": np.arange(len(values)), "weight": values}), folder / "weights.parquet")
    return behaviour.policy_report(experiment, load_policy(folder), folder, games)


USUAL = played([10.0, 20.0, 30.0], [1000, 400, 900], ["horizon", "height", "height"])


@pytest.mark.parametrize(
    ("environment", "observation", "truncated", "success", "end"),
    [
        ("Hopper-v4", [1.2, 0.0], True, None, "horizon"),
        ("Hopper-v4", [0.69, 0.0], False, None, "height"),
        ("Hopper-v4", [1.2, -0.21], False, None, "angle"),
        ("Hopper-v4", [1.2, 0.0], False, None, "terminal"),
        ("Walker2d-v4", [2.1, 0.0], False, None, "height"),
        ("Walker2d-v4", [1.2, 0.9], False, None, "terminal"),
        ("Walker2d-v4", [1.2, 1.1], False, None, "angle"),
        ("antmaze-umaze", [0.1, 0.0], False, True, "goal"),
        ("AdroitHandPen-v1", [0.1, 0.0], False, False, "dropped"),
    ],
)
def test_why_an_episode_ends(environment: str, observation: list[float], truncated: bool, success: Any, end: str) -> None:
    assert why_ended(environment, np.array(observation), truncated, success) == end


def test_ends_are_counted_with_their_steps(open_experiment: OpenExperiment) -> None:
    ends = report(open_experiment, USUAL).ends
    assert [(end.end, end.episodes, end.shortest, end.median, end.longest) for end in ends] == [
        ("height", 2, 400, 650.0, 900),
        ("horizon", 1, 1000, 1000.0, 1000),
    ]


def test_parts_hold_their_share_of_data_error_and_weight(open_experiment: OpenExperiment) -> None:
    """By plain loops over the trajectories."""
    experiment = open_experiment("bc")
    dataset, weights = experiment.dataset, {3: 50.0, 40: 9.0, 100: 0.0}
    found = {part.name: part for part in report(open_experiment, USUAL, weights).parts}
    policy = load_policy(train(experiment, [0])[0].folder)
    returns = dataset.returns()
    bounds = {"steps 0 to 4": (0, 5), "steps 5 to 14": (5, 15), "steps 15 to 49": (15, 50)}
    sums: dict[str, list[tuple[float, float]]] = {}
    for trajectory, rows in enumerate(dataset.rows()):
        for step, row in enumerate(range(rows.start, rows.stop)):
            error = float(np.mean((policy(dataset.observations[row : row + 1])[0] - dataset.actions[row]) ** 2))
            better = returns[trajectory] > np.median(returns)
            names = [name for name, (first, last) in bounds.items() if first <= step < last]
            for name in [*names, f"episodes of {'higher' if better else 'lower'} return"]:
                sums.setdefault(name, []).append((error, weights.get(row, 1.0)))
    total = len(dataset) - 3 + sum(weights.values())
    assert found.keys() == sums.keys()
    for name, rows_of in sums.items():
        errors, weighed = np.array(rows_of).T
        assert found[name].of_data == pytest.approx(len(errors) / len(dataset))
        assert found[name].action_error == pytest.approx(errors.mean(), rel=1e-5)
        assert found[name].of_weight == pytest.approx(weighed.sum() / total)


def test_a_cloned_policy_weighs_nothing(open_experiment: OpenExperiment) -> None:
    found = report(open_experiment, USUAL)
    assert found.effective_share is None
    assert all(part.of_weight is None for part in found.parts)
    assert found.own_variance == pytest.approx(np.mean(load_policy(train(open_experiment("bc"), [0])[0].folder).std ** 2))
    assert not found.warnings


def test_the_weights_kept_are_those_of_the_final_networks(open_experiment: OpenExperiment) -> None:
    experiment = open_experiment("iql")
    folder = train(experiment, [4])[0].folder
    learner = IQL(transitions(experiment, true_rewards(experiment)[None]), [4], experiment.config.iql, fast=False)
    learner.advance(experiment.config.iql.steps)
    s, a = learner.table[:, : learner.sizes[0]], learner.table[:, learner.sizes[0] : sum(learner.sizes)]
    with torch.no_grad():
        q = learner.target(torch.cat([s, a], -1)[None, None])[0, ..., 0].min(0).values
        advantage = q - learner.value(s[None, None])[0, 0, :, 0]
    assert experiment.config.iql.temperature is not None
    expected = advantage_weights(advantage, experiment.config.iql.temperature, experiment.config.iql.max_weight)
    table = pq.read_table(folder / "weights.parquet")
    assert table["row"].to_pylist() == list(range(len(experiment.dataset)))
    np.testing.assert_allclose(table["weight"].to_numpy(), expected.numpy(), rtol=1e-4)
    assert not (train(open_experiment("bc"), [4])[0].folder / "weights.parquet").exists()


def test_weights_of_some_rows_stand_for_all(open_experiment: OpenExperiment) -> None:
    """The rows they are of are told beside them."""
    experiment = open_experiment("bc")
    folder = train(experiment, [0])[0].folder
    pq.write_table(pa.table({"row": [0, 1, 2, 10], "weight": [1.0, 2.0, 3.0, 4.0]}), folder / "weights.parquet")
    found = behaviour.policy_report(experiment, load_policy(folder), folder, USUAL).parts
    assert [part.of_weight for part in found[:3]] == [pytest.approx(1.0), 0.0, 0.0], "row 10 is step 2 of the second episode"


FALLS = played([1.0] * 6, [12, 9, 11, 12, 300, 10], ["height"] * 4 + ["horizon", "angle"])
SCORES: list[float] = [1, 2, 2, 2, 5, 8, 12, 44, 46, 46]
PLANTED: dict[str, tuple[pa.Table, dict[int, float], str]] = {
    "early ends": (
        FALLS,
        {},
        r"^ends within 12 steps \(angle, height\) in 5 of 6 episodes; .* 64.5% of the data: .*--iql.steps",
    ),
    "few weights": (USUAL, {7: 1e6}, r"effective 0.5% of the data: a lower --iql.temperature"),
    "hardly any weights": (USUAL, {}, r"effective 100.0% of the data: this is nearly cloning, .* higher --iql.temperature"),
    "two kinds": (played(SCORES, [500] * 10, ["height"] * 10), {}, r"of two kinds, 7 near 4.6 and 3 near 45.3: .*episodes 100"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_failure_is_warned_of(name: str, open_experiment: OpenExperiment) -> None:
    games, weights, pattern = PLANTED[name]
    found = report(open_experiment, games, weights).warnings
    assert [warning for warning in found if re.search(pattern, warning)], found


@pytest.mark.parametrize(
    "games",
    [
        played([1.0] * 6, [12, 9, 500, 600, 21, 700], ["height"] * 6),  # most of them late
        played([1.0] * 4, [12, 9, 5, 10], ["goal"] * 4),  # early, and well done
        played([5.0, 5.0, 5.0], [12, 9, 10], ["horizon"] * 3),
    ],
)
def test_an_end_that_is_late_or_good_is_no_failure(games: pa.Table, open_experiment: OpenExperiment) -> None:
    assert not [warning for warning in report(open_experiment, games).warnings if "ends within" in warning]


def test_scores_of_one_kind_are_seldom_split() -> None:
    generator = np.random.default_rng(0)
    for draw in (generator.standard_normal, generator.standard_exponential):
        split = [bool(behaviour._kinds(draw(10))) for _ in range(1000)]
        assert np.mean(split) < 0.03
    for _ in range(100):
        apart = np.concatenate([generator.normal(0, 1, 5), generator.normal(30, 1, 5)])
        assert [kind.episodes for kind in behaviour._kinds(apart)] == [5, 5]
    assert not behaviour._kinds(np.full(10, 3.0))
    assert not behaviour._kinds(np.array([0.0, 0, 0, 50, 50, 50])), "too few to say"


def test_tasks_that_are_solved_or_not_have_no_kinds(open_experiment: OpenExperiment) -> None:
    scores = [0.0] * 5 + [100.0] * 5
    assert not report(open_experiment, played(scores, [700] * 10, ["horizon"] * 5 + ["goal"] * 5)).kinds


def test_evaluate_keeps_it_and_it_reads_as_text(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    experiment = open_experiment("iql")
    folder = evaluate(experiment, [0])[0].folder
    kept = load_policy_report(folder)
    assert kept is not None
    final = pq.read_table(folder / "episodes.parquet")
    last = final.filter(pa.compute.equal(final["step"], 8))
    assert kept.episodes == len(last) == sum(end.episodes for end in kept.ends)
    assert {end.end for end in kept.ends} == set(last["end"].to_pylist())
    text = format_policy_report(kept)
    for part in kept.parts:
        assert re.search(rf"{part.name} +{part.of_data:.1%} +{part.of_weight:.1%} +{part.action_error:.3f}", text)
    assert all(f"warning: {warning}" in text for warning in kept.warnings)
    assert load_policy_report(tmp_path) is None, "an artefact of before there were reports"


def test_run_tells_each_warning_once_and_whose_it_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trials = []
    for seed, warnings in enumerate((["falls"], ["falls", "clones"], [])):
        kept = PolicyReport(3, [], [], [], 0.1, None, warnings)
        (tmp_path / str(seed)).mkdir()
        (tmp_path / str(seed) / "policy.json").write_bytes(msgspec.json.encode(kept))
        trials.append(Trial("hopper-medium-v2", "iql", seed, {}, folder=tmp_path / str(seed)))
    warn_of_policies([*trials, Trial("hopper-medium-v2", "iql", 9, {}, folder=tmp_path / "of before")])
    assert capsys.readouterr().err.splitlines() == [
        "warning: iql seed 0, iql seed 1: falls",
        "warning: iql seed 1: clones",
    ]
