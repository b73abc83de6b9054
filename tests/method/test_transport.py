from dataclasses import replace
from typing import get_args

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ailot_ray.config import Solver, Start, TransportConfig
from ailot_ray.data.builtin import builtin_expert, read_builtin
from ailot_ray.method.diagnostics import temporal_coherence
from ailot_ray.method.transport import (
    Alignment,
    absolute_epsilon,
    align,
    look_ahead_cost,
    prepare,
    solve,
    squared_distances,
    typical_cost,
)
from ailot_ray.tasks import get_task

Matrix = NDArray[np.float64]
CONFIG = TransportConfig(
    space="intent",
    metric="sqeuclidean",
    k=0,
    start="none",
    solver="sinkhorn",
    epsilon=0.01,
    epsilon_unit="relative",
    tolerance=1e-6,
    max_iterations=20_000,
)


def walk(length: int, seed: int, size: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.cumsum(np.random.default_rng(seed).normal(size=(length, size)), 0))


AGENT, EXPERT = walk(17, 0), walk(12, 1)


def naive_cost(x: torch.Tensor, y: torch.Tensor, k: int) -> Matrix:
    cost = np.zeros((len(x), len(y)))
    for i in range(len(x)):
        for j in range(len(y)):
            ahead = x[min(i + k, len(x) - 1)] - y[min(j + k, len(y) - 1)]
            cost[i, j] = sum(float(c) ** 2 for c in x[i] - y[j])
            if k > 0:
                cost[i, j] += sum(float(c) ** 2 for c in ahead)
    return cost


def pot_plan(cost: Matrix, epsilon: float) -> Matrix:
    n, m = cost.shape
    plan: Matrix = ot.sinkhorn(
        np.full(n, 1 / n), np.full(m, 1 / m), cost, epsilon, method="sinkhorn_log", numItermax=100_000, stopThr=1e-9
    )
    return plan


@pytest.mark.parametrize("k", [0, 1, 2, 5, 11, 12, 16, 40])
@pytest.mark.parametrize(("n", "m"), [(17, 12), (3, 9), (1, 4), (4, 1)])
def test_look_ahead_cost_is_the_double_loop(k: int, n: int, m: int) -> None:
    x, y = AGENT[:n], EXPERT[:m]
    np.testing.assert_allclose(look_ahead_cost(x, y, k).numpy(), naive_cost(x, y, k), rtol=1e-10, atol=1e-10)


def test_squared_distances_of_a_batch_far_from_the_origin() -> None:
    """Intents and raw states may share a large offset; single precision must keep their differences."""
    x, y = (torch.stack([states, 2 * states]).float() + 1000.0 for states in (AGENT, EXPERT))
    for one, other, found in zip(x, y, squared_distances(x, y), strict=True):
        np.testing.assert_allclose(found.numpy(), naive_cost(one.double(), other.double(), 0), rtol=1e-3, atol=1e-3)
    assert (squared_distances(x, x) >= 0).all()


def test_cosine_metric_is_one_minus_the_cosine() -> None:
    x, y = AGENT * torch.linspace(0.1, 9, 17)[:, None], EXPERT
    cost = look_ahead_cost(prepare(x, "cosine"), prepare(y, "cosine"), 0)
    for i in range(17):
        for j in range(12):
            cosine = torch.nn.functional.cosine_similarity(x[i], y[j], dim=0)
            assert cost[i, j].item() == pytest.approx(1 - cosine.item(), abs=1e-9)
    assert prepare(x, "sqeuclidean") is x
    assert prepare(torch.zeros(2, 3), "cosine").eq(0).all()


@pytest.mark.parametrize("k", [0, 3])
def test_the_euclidean_metric_is_the_root_of_each_term(k: int) -> None:
    cost = look_ahead_cost(prepare(AGENT, "euclidean"), prepare(EXPERT, "euclidean"), k, "euclidean")
    x, y = AGENT.numpy(), EXPERT.numpy()
    expected = ot.dist(x, y, "euclidean")
    if k:
        ahead = [z[np.minimum(np.arange(len(z)) + k, len(z) - 1)] for z in (x, y)]
        expected = expected + ot.dist(ahead[0], ahead[1], "euclidean")
    np.testing.assert_allclose(cost.numpy(), expected, rtol=1e-7, atol=1e-7)
    config = replace(CONFIG, metric="euclidean", k=k)
    np.testing.assert_allclose(align(AGENT, EXPERT, config).cost, solve(cost, config).cost)
    assert not np.allclose(align(AGENT, EXPERT, config).cost, align(AGENT, EXPERT, replace(config, metric="sqeuclidean")).cost)


def expected_costs(cost: Matrix, start: str, relative: float) -> tuple[Matrix, int]:
    """The per-step cost with POT's plan."""
    first = 0 if start == "none" else int(np.argmin(cost[0]))
    if start == "cut":
        cost = cost[:, first:]
    plan = pot_plan(cost, relative * cost.mean())
    paid = plan * cost
    return len(cost) * (paid[:, first:] if start == "mask" else paid).sum(1), first


@pytest.mark.parametrize("k", [0, 2])
@pytest.mark.parametrize("start", ["none", "cut", "mask"])
def test_start_and_look_ahead_as_in_the_paper(start: Start, k: int) -> None:
    agent = AGENT + (EXPERT[4] - AGENT[0])  # begins at the expert's fifth state
    config = replace(CONFIG, start=start, k=k, epsilon=0.02)
    found = align(agent, EXPERT, config)
    expected, first = expected_costs(naive_cost(agent, EXPERT, k), start, 0.02)
    assert found.converged and found.first == first
    if k == 0 and start != "none":
        assert first == 4
    assert found.plan.shape == (17, 12 - first if start == "cut" else 12)
    assert found.cost.shape == (17,) and found.cost.dtype == np.float64
    np.testing.assert_allclose(found.cost, expected, rtol=1e-4, atol=1e-4 * expected.mean())


def total(alignment: Alignment) -> float:
    return float(alignment.cost.mean())  # ⟨P, C⟩, as the rows weigh 1/Ta


def test_solvers_agree_within_their_gaps() -> None:
    def run(solver: Solver, epsilon: float) -> Alignment:
        found = align(AGENT, EXPERT, replace(CONFIG, solver=solver, epsilon=epsilon))
        assert found.converged and found.error <= CONFIG.tolerance
        return found

    exact = run("exact", 0.01)
    assert total(exact) == pytest.approx(ot.emd2([], [], naive_cost(AGENT, EXPERT, 0)), rel=1e-9)
    for epsilon, gap in ((0.1, 0.5), (0.01, 0.05), (0.005, 0.03)):
        ours, pots = run("sinkhorn", epsilon), run("pot", epsilon)
        np.testing.assert_allclose(ours.cost, pots.cost, rtol=1e-4, atol=1e-4 * pots.cost.mean())
        torch.testing.assert_close(ours.plan, pots.plan, rtol=0, atol=2e-6)
        assert 0 <= total(ours) - total(exact) < gap * total(exact)


@pytest.mark.parametrize("solver", ["sinkhorn", "pot", "exact"])
def test_solvers_take_single_precision(solver: Solver) -> None:
    config = replace(CONFIG, solver=solver, tolerance=1e-4, start="cut", k=2)
    single, double = align(AGENT.float(), EXPERT.float(), config), align(AGENT, EXPERT, config)
    assert single.converged
    np.testing.assert_allclose(single.cost, double.cost, rtol=5e-3, atol=1e-3 * double.cost.mean())


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning:ot")
@pytest.mark.parametrize("solver", ["sinkhorn", "pot"])
def test_unconverged_solves_say_so(solver: Solver) -> None:
    found = align(AGENT, EXPERT, replace(CONFIG, solver=solver, epsilon=0.001, max_iterations=3))
    assert not found.converged and found.error > CONFIG.tolerance
    assert np.isfinite(found.cost).all()


def test_epsilon_units() -> None:
    cost = torch.tensor([[1.0, 3.0], [5.0, 7.0]])
    assert absolute_epsilon(cost, replace(CONFIG, epsilon=0.5, epsilon_unit="relative")) == 2.0
    assert absolute_epsilon(cost, replace(CONFIG, epsilon=0.5, epsilon_unit="absolute")) == 0.5
    assert absolute_epsilon(0 * cost, replace(CONFIG, epsilon=0.5)) > 0
    mean = float(look_ahead_cost(AGENT, EXPERT, 0).mean())
    relative = align(AGENT, EXPERT, replace(CONFIG, epsilon=0.02))
    absolute = align(AGENT, EXPERT, replace(CONFIG, epsilon=0.02 * mean, epsilon_unit="absolute"))
    np.testing.assert_allclose(relative.cost, absolute.cost, rtol=1e-9)
    scaled = [
        align(5 * AGENT, 5 * EXPERT, replace(CONFIG, epsilon=0.02, epsilon_unit=unit)) for unit in ("relative", "absolute")
    ]
    np.testing.assert_allclose(scaled[0].cost, 25 * relative.cost, rtol=1e-5)
    assert not np.allclose(scaled[1].cost, 25 * absolute.cost, rtol=1e-2)


@pytest.mark.parametrize("far", ["agent", "expert"])
@pytest.mark.parametrize("distance", [1e2, 1e4])
def test_one_far_state_does_not_flatten_the_coupling(far: str, distance: float) -> None:
    """Alone, ε would grow with it by distance²/n, and every other state would be coupled with all of the expert."""
    x, y = walk(60, 0).float(), walk(50, 1).float()
    undisturbed = align(x, y, CONFIG)
    (x if far == "agent" else y)[20] += distance
    found = align(x, y, replace(CONFIG, tolerance=1e-3))
    assert found.converged
    others = np.delete(np.arange(60), 20) if far == "agent" else np.arange(60)
    entropy = [-(plan * plan.log().clamp(min=-700)).sum(1) for plan in (undisturbed.plan.double(), found.plan.double())]
    assert entropy[1][others].mean() < 1.3 * entropy[0][others].mean()
    if far == "agent":
        assert np.median(found.cost[others] / undisturbed.cost[others]) == pytest.approx(1.0, abs=0.1)


@given(costs=arrays(np.float64, (7, 5), elements=st.floats(1.0, 2.0)), row=st.integers(0, 6), size=st.floats(0.0, 1e12))
def test_typical_cost_is_the_mean_and_no_row_or_column_moves_it_far(costs: Matrix, row: int, size: float) -> None:
    def typical(cost: Matrix) -> float:
        return float(typical_cost(torch.from_numpy(cost.sum(1)), torch.from_numpy(cost.sum(0))))

    assert typical(costs) == pytest.approx(costs.mean())
    disturbed = costs.copy()
    disturbed[row] = size
    assert typical(disturbed) == pytest.approx(typical(disturbed.T)) and 0.5 < typical(disturbed) < (6 + 10) / 7 * 2.0
    if size <= 2.0:
        assert typical(disturbed) == pytest.approx(disturbed.mean())


def test_relative_epsilon_is_of_the_costs_that_are_solved() -> None:
    """Those left after the cut, not those of the whole expert."""
    expert = torch.cat([EXPERT[:5] + 30.0, EXPERT])
    agent = AGENT + (EXPERT[0] - AGENT[0])
    cut = align(agent, expert, replace(CONFIG, start="cut"))
    assert cut.first == 5
    np.testing.assert_allclose(cut.cost, align(agent, EXPERT, CONFIG).cost, rtol=1e-6)


def test_a_trajectory_aligned_with_itself_costs_nothing() -> None:
    for start in get_args(Start):
        found = align(AGENT, AGENT, replace(CONFIG, epsilon=1e-3, start=start, k=2, tolerance=1e-4))
        assert found.first == 0 and found.converged
        assert found.cost.mean() < 5e-3 * float(look_ahead_cost(AGENT, AGENT, 2).mean())
        assert (found.plan.argmax(1).numpy() == np.arange(17)).all()


@pytest.mark.parametrize("solver", ["sinkhorn", "pot", "exact"])
def test_smallest_and_degenerate_problems(solver: Solver) -> None:
    config = replace(CONFIG, solver=solver)
    one = solve(torch.tensor([[3.0]]), config)
    assert one.cost.tolist() == [3.0] and one.converged
    zero = solve(torch.zeros(4, 3), config)
    assert zero.cost.tolist() == [0.0] * 4 and zero.converged
    column = solve(torch.tensor([[1.0], [2.0], [4.0]]), config)
    np.testing.assert_allclose(column.cost, [1, 2, 4], rtol=1e-6)
    row = solve(torch.tensor([[4.0, 1.0, 2.0]]), replace(config, start="cut"))
    assert row.first == 1
    np.testing.assert_allclose(row.cost, [1.5], rtol=1e-6)
    last = solve(torch.tensor([[4.0, 2.0, 1.0], [0.0, 0.0, 5.0]]), replace(config, start="cut"))
    assert last.first == 2
    np.testing.assert_allclose(last.cost, [1, 5], rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("solver", ["sinkhorn", "pot", "exact"])
def test_features_on_a_gpu(solver: Solver) -> None:
    config = replace(CONFIG, solver=solver, start="mask", k=2)
    found, expected = align(AGENT.cuda(), EXPERT.cuda(), config), align(AGENT, EXPERT, config)
    np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-4, atol=1e-4 * expected.cost.mean())


@pytest.mark.parametrize("solver", ["sinkhorn", "pot", "exact"])
def test_coherence_is_that_of_the_plan(solver: Solver) -> None:
    config = replace(CONFIG, solver=solver, tolerance=1e-4, k=2)
    found = align(AGENT.float(), EXPERT.float(), config)
    plan = found.plan.double().numpy()
    mean = plan @ np.arange(12) / plan.sum(1)
    expected = temporal_coherence(mean, plan.argmax(1), 12)
    assert found.coherence().correlation == pytest.approx(expected.correlation, abs=1e-5)
    assert found.coherence().backward == expected.backward
    assert align(AGENT.float(), AGENT.float(), replace(config, epsilon=1e-3)).coherence().correlation > 0.99


def test_the_built_in_datas_epsilon_is_of_the_mean_to_the_last_bit() -> None:
    """No state of it is so far from the others that it counts less."""
    dataset, expert = read_builtin(get_task("hopper-builtin")), torch.from_numpy(builtin_expert().observations)
    for rows in dataset.rows():
        cost = look_ahead_cost(torch.from_numpy(dataset.observations[rows]), expert, 2)
        mean = float(cost.sum(1).mean(dtype=torch.float64)) / cost.shape[1]
        assert absolute_epsilon(cost, CONFIG) == 0.01 * mean
