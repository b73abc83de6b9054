import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import ot
import pyarrow.parquet as pq
import pytest
import torch
from data.synthetic import Arrays, episodes, write_hdf5
from msgspec import to_builtins
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ailot_ray.config import RewardConfig, TransportConfig
from ailot_ray.errors import ConfigError, DataError, StoreError
from ailot_ray.method.transport import align as align_pair
from ailot_ray.pipeline import Experiment, align, load_report, load_rewards, pretrain, relabel
from ailot_ray.pipeline.align import PartSolver, load_costs, part_path
from ailot_ray.pipeline.pretrain import load_encoder
from ailot_ray.pipeline.relabel import load_shares

from .conftest import ENDS, LENGTHS, OpenExperiment


def costs_of(experiment: Experiment, seed: int = 0) -> NDArray[np.float64]:
    return load_costs(align(experiment, [seed])[0], len(experiment.dataset))


@pytest.mark.parametrize("method", ["ailot", "otr", "seabo"])
def test_relabelling_never_reads_the_true_rewards(method: str, open_experiment: OpenExperiment, tmp_path: Path) -> None:
    arrays = episodes(LENGTHS, ENDS)
    scrambled = arrays | {"rewards": np.random.default_rng(1).normal(3.0, 9.0, sum(LENGTHS)).astype(np.float32)}
    expert = write_hdf5(tmp_path / "expert.hdf5", episodes([21], ["timeout"], seed=5), without=["rewards"])
    files = {
        "true": write_hdf5(tmp_path / "true.hdf5", arrays),
        "scrambled": write_hdf5(tmp_path / "scrambled.hdf5", scrambled),
        "absent": write_hdf5(tmp_path / "absent.hdf5", arrays, without=["rewards"]),
    }
    columns: dict[str, Any] = {}
    for name, file in files.items():
        experiment = open_experiment(method, store=name, data=file, expert=expert)
        rewards = pq.read_table(relabel(experiment, [0])[0].path("rewards.parquet"))
        columns[name] = [costs_of(experiment), *(rewards[column].to_numpy() for column in ("reward", "squashed", "expert"))]
    for name in ("scrambled", "absent"):
        for expected, found in zip(columns["true"], columns[name], strict=True):
            np.testing.assert_array_equal(found, expected)
    assert np.ptp(columns["true"][1]) > 0
    nothing = to_builtins(load_report(open_experiment(method, store="absent", data=files["absent"], expert=expert), 0))[
        "rank_correlation"
    ]
    assert set(nothing.values()) == {None}


def test_costs_are_those_of_the_method_for_a_trajectory(open_experiment: OpenExperiment) -> None:
    experiment = open_experiment()
    encoder = load_encoder(pretrain(experiment, [0])[0], torch.device("cpu"))
    rows = list(experiment.dataset.rows())[3]
    agent, expert = (
        encoder(torch.from_numpy(x)) for x in (experiment.dataset.observations[rows], experiment.experts[0].observations)
    )
    found = costs_of(experiment)[0, rows]
    np.testing.assert_array_equal(found, align_pair(agent, expert, experiment.config.transport).cost)

    # the same from the paper's formula and another solver
    x, y, k = agent.double().numpy(), expert.double().numpy(), 2
    ahead_x, ahead_y = (z[np.minimum(np.arange(len(z)) + k, len(z) - 1)] for z in (x, y))
    cost = ot.dist(x, y) + ot.dist(ahead_x, ahead_y)
    cost = cost[:, cost[0].argmin() :]
    n, m = cost.shape
    a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    plan = ot.sinkhorn(a, b, cost, 0.01 * cost.mean(), method="sinkhorn_log", numItermax=100_000, stopThr=1e-10)
    np.testing.assert_allclose(found, n * (plan * cost).sum(1), rtol=0.02)


def test_rewards_are_those_of_the_costs(open_experiment: OpenExperiment) -> None:
    experiment = open_experiment(reward=RewardConfig(alpha=2.0, tau=0.7))
    costs = costs_of(experiment)[0]
    squashed = 2.0 * np.exp(-0.7 * costs / np.median(costs))
    table = pq.read_table(relabel(experiment, [0])[0].path("rewards.parquet"))
    np.testing.assert_allclose(table["squashed"].to_numpy(), squashed, rtol=1e-12)
    np.testing.assert_allclose(load_shares(experiment, 0), squashed / 2.0, rtol=1e-12)
    returns = [squashed[rows].sum() for rows in experiment.dataset.rows()]
    np.testing.assert_allclose(
        load_rewards(relabel(experiment, [0])[0]), squashed * 1000 / (max(returns) - min(returns)), rtol=1e-6
    )
    assert table["trajectory"].to_pylist() == [i for i, length in enumerate(LENGTHS) for _ in range(length)]
    assert table["step"].to_pylist() == [step for length in LENGTHS for step in range(length)]


def test_the_report_of_ailot(open_experiment: OpenExperiment, hopper: Path) -> None:
    experiment = open_experiment()
    report = to_builtins(load_report(experiment, 0))
    returns, best = experiment.dataset.returns(), int(experiment.dataset.returns().argmax())
    assert report["experts"] == [
        {"origin": f"{hopper}, trajectory {best}", "steps": LENGTHS[best], "true_return": pytest.approx(returns[best])}
    ]
    assert (report["trajectories"], report["transitions"], report["seed"]) == (12, sum(LENGTHS), 0)
    assert (report["solves"], report["unconverged"], report["short_trajectories"]) == (12, 0, 0)
    assert 0 <= report["marginal_error"]["mean"] <= report["marginal_error"]["worst"] <= 1e-3
    assert report["cost_scale"] == pytest.approx(np.median(costs_of(experiment)))
    assert 0 < report["reward"]["min"] < report["reward"]["mean"] < report["reward"]["max"] <= 5.0
    assert 0 <= report["collapse_share"] <= 1 and 0 <= report["saturation_share"] <= 1
    assert report["seconds_per_trajectory"] > 0

    rewards = load_rewards(relabel(experiment, [0])[0]).astype(np.float64)
    relabelled = np.array([rewards[rows].sum() for rows in experiment.dataset.rows()])
    correlation = report["rank_correlation"]
    assert correlation["return"] == pytest.approx(spearmanr(relabelled, returns).statistic)
    assert correlation["length_control"] == pytest.approx(spearmanr(LENGTHS, returns).statistic)
    per_step = spearmanr(relabelled / np.array(LENGTHS), returns / np.array(LENGTHS)).statistic
    assert correlation["mean_reward_per_step"] == pytest.approx(per_step)
    assert set(report["isometry"]) == {"raw", "untrained", "intent"}
    assert -1 <= report["coherence"]["correlation"] <= 1 and 0 <= report["coherence"]["backward"] <= 1
    assert 0 < report["look_ahead_distance"] < 1  # two steps of a walk of 8 to 30
    # the states are random walks, whose distances grow with time: rather well among neighbours
    assert all(0.5 < value <= 1 for value in report["isometry"]["raw"].values())


def test_the_reports_of_the_baselines(open_experiment: OpenExperiment) -> None:
    otr, seabo = (to_builtins(load_report(open_experiment(method), 1)) for method in ("otr", "seabo"))
    assert otr["seed"] is None and seabo["seed"] is None
    assert set(otr["isometry"]) == set(seabo["isometry"]) == {"raw"}
    assert otr["solves"] == 12 and otr["marginal_error"]["worst"] < 2
    assert seabo["solves"] == 0 and seabo["marginal_error"] is None and seabo["coherence"] is None
    assert otr["coherence"] is not None and otr["look_ahead_distance"] is None  # k = 0


@pytest.mark.parametrize("steps", [70, 5])
@pytest.mark.parametrize("start", ["cut", "mask", "none"])
def test_an_expert_may_be_longer_or_shorter_than_every_trajectory(
    steps: int, start: Any, open_experiment: OpenExperiment, tmp_path: Path
) -> None:
    expert = write_hdf5(tmp_path / "expert.hdf5", episodes([steps], ["timeout"], seed=7))
    experiment = open_experiment(expert=expert, transport=TransportConfig(start=start))
    report = to_builtins(load_report(experiment, 0))
    assert report["experts"][0]["steps"] == steps
    assert report["unconverged"] == 0
    costs = costs_of(experiment)
    assert costs.shape == (1, sum(LENGTHS)) and np.isfinite(costs).all() and (costs >= 0).all() and np.ptp(costs) > 0


@pytest.mark.parametrize("method", ["ailot", "otr"])
def test_of_two_experts_each_trajectory_takes_the_better(method: str, open_experiment: OpenExperiment, tmp_path: Path) -> None:
    # two clusters of trajectories far apart, and an expert in the middle of each, the later cluster's first
    arrays, experts = episodes(LENGTHS, ENDS), episodes([20, 20], ["timeout", "timeout"], seed=3)
    later = np.arange(sum(LENGTHS)) >= sum(LENGTHS[:7])
    _move(arrays, later)
    _move(experts, np.arange(40) < 20)
    experiment = open_experiment(
        method,
        data=write_hdf5(tmp_path / "clusters.hdf5", arrays),
        expert=write_hdf5(tmp_path / "experts.hdf5", experts, without=["rewards"]),
        experts=2,
        transport=TransportConfig(space="raw"),
        reward=RewardConfig(tau=0.5, scale="median", alpha=5.0),
    )
    table = pq.read_table(relabel(experiment, [0])[0].path("rewards.parquet"))
    chosen = table["expert"].to_numpy()
    assert chosen.tolist() == [0 if is_later else 1 for is_later in later]
    costs = costs_of(experiment)
    assert costs.shape == (2, sum(LENGTHS))
    better = costs[chosen, np.arange(len(chosen))]
    np.testing.assert_allclose(table["squashed"].to_numpy(), 5.0 * np.exp(-0.5 * better / np.median(costs)), rtol=1e-9)
    assert to_builtins(load_report(experiment, 0))["solves"] == 24


def test_a_look_ahead_beyond_an_end_is_refused_before_any_work(
    open_experiment: OpenExperiment, calls: Counter[str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"--transport.k 14 looks beyond the end of an expert trajectory \(14 steps\)"):
        relabel(open_experiment(transport=TransportConfig(k=14)), [0])
    with pytest.raises(ConfigError, match=r"of an expert trajectory \(8 steps\)"):  # the shortest of them
        relabel(open_experiment(experts=12, transport=TransportConfig(k=8)), [0])
    expert = write_hdf5(tmp_path / "expert.hdf5", episodes([60], ["timeout"], seed=7))
    with pytest.raises(ConfigError, match=r"--transport.k 30 .* the longest trajectory of the dataset \(30 steps\)"):
        relabel(open_experiment(expert=expert, transport=TransportConfig(k=30)), [0])
    assert not calls
    relabel(open_experiment(transport=TransportConfig(k=13)), [0])


def test_behaviour_cloning_has_nothing_to_relabel(open_experiment: OpenExperiment) -> None:
    with pytest.raises(ConfigError, match="--method bc has no rewards"):
        relabel(open_experiment("bc"), [0])[0]


def test_iql_needs_true_rewards(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    without = write_hdf5(tmp_path / "none.hdf5", episodes(LENGTHS, ENDS), without=["rewards"])
    with pytest.raises(ConfigError, match=r"--method iql needs true rewards, and .*none.hdf5 has no `rewards`"):
        relabel(open_experiment("iql", data=without), [0])[0]
    zeros = write_hdf5(tmp_path / "zeros.hdf5", episodes(LENGTHS, ENDS) | {"rewards": np.zeros(sum(LENGTHS))})
    with pytest.raises(ConfigError, match=r"needs true rewards, and .*zeros.hdf5 has 0 as every reward: choose another"):
        relabel(open_experiment("iql", data=zeros), [0])


def test_a_cost_that_is_no_number_stops_and_names_its_trajectory(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    """It would reach the rewards of every trajectory through the scale of the costs."""
    arrays, expert = episodes(LENGTHS, ENDS), write_hdf5(tmp_path / "e.hdf5", episodes([21], ["timeout"], seed=5))
    row = sum(LENGTHS[:3]) + 1
    arrays["observations"][row, 4] = 1e20
    arrays["next_observations"][row - 1, 4] = 1e20
    squared, data = TransportConfig(metric="sqeuclidean"), write_hdf5(tmp_path / "far.hdf5", arrays)
    experiment = open_experiment("otr", data=data, expert=expert, transport=squared)
    with pytest.raises(DataError, match=r"far\.hdf5: the cost of trajectory \d+ is not a finite number in .* 1e\+20"):
        relabel(experiment, [0])
    assert not list((tmp_path / "store" / "alignment").glob("*/manifest.json"))


def test_a_trajectory_that_no_memory_holds_is_refused_beforehand(
    open_experiment: OpenExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["ailot_ray.pipeline.align"], "MAX_PAIRS", 100)
    with pytest.raises(DataError, match=r"trajectory \d+ has \d+ steps, .* at most 100 fit in memory: mark .* `timeouts`"):
        relabel(open_experiment("otr"), [0])


def test_a_damaged_part_of_a_killed_run_is_not_taken_up(open_experiment: OpenExperiment) -> None:
    experiment = open_experiment("otr")
    folder = experiment.store.work_folder("alignment", experiment.keys(0)["alignment"])
    solver = PartSolver(experiment, None)
    for number in range(len(solver.parts)):
        solver.solve(number, folder)
    path = part_path(folder, 0)
    whole = path.read_bytes()
    columns = pq.ParquetFile(path).metadata.row_group(0)
    cost = columns.column(columns.num_columns - 1)
    place = (cost.dictionary_page_offset or cost.data_page_offset) + cost.total_compressed_size - 5
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(StoreError, match=r"part-000000\.parquet cannot be read .*: delete it to solve that part again"):
        align(experiment, [0])
    path.write_bytes(whole)
    assert np.isfinite(costs_of(experiment)).all()


def _move(arrays: Arrays, rows: NDArray[np.bool_]) -> None:
    for key in ("observations", "next_observations"):
        arrays[key][rows, 0] += 40.0
        arrays[key][~rows, 1] += 40.0


def test_a_part_solved_in_a_batch_is_the_part_solved_one_by_one(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    # at 2e-5 the slowest problem's costs are still 0.5 % of their mean away from where both come to rest
    experiment = open_experiment("otr", experts=2, transport=TransportConfig(tolerance=1e-6, max_iterations=20_000))
    tables = []
    for batched in (False, True):
        folder = tmp_path / str(batched)
        part_path(folder, 0).parent.mkdir(parents=True)
        PartSolver(experiment, None, batched).solve(0, folder)
        tables.append(pq.read_table(part_path(folder, 0)).sort_by([("trajectory", "ascending"), ("expert", "ascending")]))
    alone, together = tables
    assert together.column_names == alone.column_names and together.num_rows == 2 * len(LENGTHS)
    for name in ("trajectory", "expert", "first", "converged"):
        assert together[name].to_pylist() == alone[name].to_pylist()
    for expected, found in zip(alone["cost"].to_pylist(), together["cost"].to_pylist(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=3e-4 * np.mean(expected))
