"""The oracle is POT: its log-domain Sinkhorn run to a far tighter tolerance, and its exact linear programme.

Most shapes here have no common factor: where they have one, plans are nearly degenerate at a small ε, and no solver gets to
1e-6 in fewer than 10⁵ iterations.
"""

import numpy as np
import ot
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.method import sinkhorn as module
from ailot_ray.method.sinkhorn import Couplings, sinkhorn

pytestmark = pytest.mark.filterwarnings("error:Sinkhorn did not converge")  # POT's: an oracle must
Matrix = NDArray[np.float64]
Problems = tuple[Tensor, Tensor, Tensor, Tensor]
"""cost (B, n, m), a (B, n), b (B, m), epsilon (B,)"""


def walks(n: int, m: int, seed: int, spread: float = 1.0) -> Matrix:
    """Squared distances of two random walks in the plane: what trajectories look like."""
    generator = np.random.default_rng(seed)
    x, y = (np.cumsum(generator.normal(size=(size, 2)), 0) for size in (n, m))
    distances: Matrix = ot.dist(x * spread, y)
    return distances


def weights(size: int, seed: int | None = None) -> Matrix:
    if seed is None:
        return np.full(size, 1 / size)
    drawn: Matrix = np.random.default_rng(seed).uniform(0.2, 1.0, size)
    return drawn / np.sum(drawn)


def tensors(*arrays: Matrix, epsilon: list[float], dtype: torch.dtype) -> Problems:
    cost, a, b = (torch.tensor(array, dtype=dtype) for array in arrays)
    return cost, a, b, torch.tensor(epsilon, dtype=dtype)


def solve(
    cost: Matrix,
    epsilon: float,
    tolerance: float = 1e-6,
    iterations: int = 20_000,
    a: Matrix | None = None,
    b: Matrix | None = None,
    dtype: torch.dtype = torch.float64,
) -> Couplings:
    """One problem, epsilon in the unit of the cost, uniform weights if not given."""
    n, m = cost.shape
    a, b = weights(n) if a is None else a, weights(m) if b is None else b
    return sinkhorn(*tensors(cost[None], a[None], b[None], epsilon=[epsilon], dtype=dtype), tolerance, iterations)


def pot(cost: Matrix, epsilon: float, a: Matrix | None = None, b: Matrix | None = None) -> Matrix:
    n, m = cost.shape
    a, b = weights(n) if a is None else a, weights(m) if b is None else b
    plan: Matrix = ot.sinkhorn(a, b, cost, epsilon, method="sinkhorn_log", numItermax=100_000, stopThr=1e-9, warn=True)
    return plan


def assert_same_costs_per_step(plan: Tensor, expected: Matrix, cost: Matrix, relative: float = 1e-4) -> None:
    found = (plan.double().numpy() * cost).sum(1)
    wanted = (expected * cost).sum(1)
    np.testing.assert_allclose(found, wanted, rtol=relative, atol=relative * 1e-2 * wanted.mean())


@pytest.mark.parametrize("relative", [0.05, 0.01, 0.002])
@pytest.mark.parametrize(("n", "m", "seed"), [(16, 9, 0), (20, 13, 1), (7, 18, 2)])
def test_plans_are_pots(n: int, m: int, seed: int, relative: float) -> None:
    cost = walks(n, m, seed)
    epsilon = relative * cost.mean()
    a, b = weights(n, seed), weights(m, seed + 10)
    for row_weights, column_weights in ((None, None), (a, b)):
        couplings = solve(cost, epsilon, a=row_weights, b=column_weights)
        expected = pot(cost, epsilon, row_weights, column_weights)
        assert couplings.converged[0]
        assert_same_costs_per_step(couplings.plan[0], expected, cost)
        np.testing.assert_allclose(couplings.plan[0].numpy(), expected, atol=2e-6)


def test_single_precision_comes_to_its_own_tolerance() -> None:
    cost = walks(20, 13, 1)
    epsilon = 0.02 * cost.mean()
    couplings = solve(cost, epsilon, 1e-4, dtype=torch.float32)
    assert couplings.converged[0] and couplings.plan.dtype == torch.float32
    assert_same_costs_per_step(couplings.plan[0], pot(cost, epsilon), cost, 2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_total_cost_approaches_the_linear_programmes_from_above(seed: int) -> None:
    cost = walks(20, 13, seed)
    exact = ot.emd2(weights(20), weights(13), cost)
    totals = []
    for relative in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003):
        couplings = solve(cost, relative * cost.mean(), 1e-7)
        assert couplings.converged[0]
        totals.append(float((couplings.plan[0].numpy() * cost).sum()))
    gaps = np.array(totals) - exact
    assert (gaps > -1e-6 * exact).all()
    assert (np.diff(gaps) <= 1e-6 * exact).all()
    assert gaps[-1] < 0.02 * exact and gaps[-1] < 0.1 * gaps[0]


def stack(problems: list[Matrix], rows: int, columns: int, relative: float, seed: int = 0) -> Problems:
    """Problems of one batch, each in the corner of a (rows, columns) matrix whose padding is rubbish without mass."""
    cost = torch.from_numpy(np.random.default_rng(seed).uniform(0, 1e4, (len(problems), rows, columns)))
    a, b = torch.zeros(len(problems), rows).double(), torch.zeros(len(problems), columns).double()
    for i, problem in enumerate(problems):
        n, m = problem.shape
        cost[i, :n, :m] = torch.from_numpy(problem)
        a[i, :n], b[i, :m] = 1 / n, 1 / m
    epsilon = torch.tensor([relative * (problem.mean() or 1.0) for problem in problems]).double()
    return cost, a, b, epsilon


@pytest.mark.parametrize(("rows", "columns"), [(14, 12), (15, 12), (14, 13), (40, 40)])
def test_padding_and_company_change_nothing(rows: int, columns: int) -> None:
    """Problems that take tens and thousands of iterations, one of which does not converge, in one batch."""
    problems = [walks(14, 5, 0), walks(6, 12, 1), np.ones((3, 4)), walks(8, 8, 2), np.zeros((2, 7)), walks(10, 11, 3, 3.0)]
    iterations = 107
    batched = sinkhorn(*stack(problems, rows, columns, 0.004), 1e-6, iterations)
    for i, problem in enumerate(problems):
        alone = solve(problem, 0.004 * (problem.mean() or 1.0), 1e-6, iterations)
        assert alone.converged[0] == batched.converged[i]
        assert alone.iterations[0] == batched.iterations[i]
        n, m = problem.shape
        np.testing.assert_allclose(batched.plan[i, :n, :m].numpy(), alone.plan[0].numpy(), rtol=1e-6, atol=1e-12)
        assert batched.plan[i, n:].eq(0).all() and batched.plan[i, :, m:].eq(0).all()
        assert batched.error[i].item() == pytest.approx(alone.error[0].item(), rel=1e-4, abs=1e-10)
    spent = batched.iterations.tolist()
    assert min(spent) <= 20 and max(spent) == iterations and 20 < sorted(spent)[3] < iterations


@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (0, 3), (7, 5)])
@pytest.mark.parametrize("log_domain", [False, True])
def test_padding_a_single_problem(padding: tuple[int, int], log_domain: bool) -> None:
    cost = walks(9, 7, 5)
    solver = module._solve_log_domain if log_domain else module._solve_scaling
    batch = stack([cost], 9 + padding[0], 7 + padding[1], 0.02)
    plan = solver(*batch, 1e-7, 5000).plan[0]
    np.testing.assert_allclose(plan[:9, :7].numpy(), pot(cost, 0.02 * cost.mean()), atol=1e-7)
    assert plan[9:].eq(0).all() and plan[:, 7:].eq(0).all()


@given(
    n=st.integers(1, 40),
    m=st.integers(1, 40),
    seed=st.integers(0, 10_000),
    exponent=st.floats(-4.0, 0.5),
    tolerance=st.sampled_from([1e-2, 1e-3]),
    single=st.booleans(),
    uniform=st.booleans(),
    magnitude=st.sampled_from([1e-6, 1.0, 1e6]),
)
@example(n=1, m=1, seed=0, exponent=-4.0, tolerance=1e-3, single=True, uniform=True, magnitude=1.0)
@example(n=1, m=40, seed=0, exponent=-4.0, tolerance=1e-3, single=True, uniform=True, magnitude=1.0)
@example(n=40, m=1, seed=0, exponent=-4.0, tolerance=1e-3, single=False, uniform=False, magnitude=1e6)
@example(n=40, m=40, seed=0, exponent=-4.0, tolerance=1e-3, single=True, uniform=True, magnitude=1.0)
@settings(max_examples=40)
def test_marginals_hold_or_the_solve_is_reported(
    n: int, m: int, seed: int, exponent: float, tolerance: float, single: bool, uniform: bool, magnitude: float
) -> None:
    cost = magnitude * walks(n, m, seed)
    a, b = (None, None) if uniform else (weights(n, seed), weights(m, seed + 1))
    dtype = torch.float32 if single else torch.float64
    couplings = solve(cost, 10**exponent * cost.mean(), tolerance, 200, a, b, dtype)
    plan = couplings.plan[0].double().numpy()
    assert np.isfinite(plan).all() and (plan >= 0).all()
    errors = plan.sum(1) - (weights(n) if a is None else a), plan.sum(0) - (weights(m) if b is None else b)
    error = float(sum(np.abs(side).sum() for side in errors))
    rounding = 2e-6 if single else 1e-12
    assert couplings.error[0].item() == pytest.approx(error, abs=rounding)
    assert bool(couplings.converged[0]) == (couplings.error[0].item() <= tolerance)
    assert np.abs(errors[0]).sum() <= rounding
    if couplings.converged[0]:
        assert error <= tolerance + rounding
    else:
        assert couplings.iterations[0] == 200
    if n == 1 or m == 1:
        assert couplings.converged[0]  # there is but one plan


def test_too_few_iterations_are_reported() -> None:
    cost = walks(20, 13, 0)
    couplings = solve(cost, 0.002 * cost.mean(), 1e-6, 7)
    assert not couplings.converged[0] and couplings.error[0] > 1e-3 and couplings.iterations[0] == 7
    almost = solve(cost, 0.002 * cost.mean(), 0.7 * couplings.error[0].item(), 7)
    assert not almost.converged[0] and almost.error[0] > 0.7 * couplings.error[0]
    enough = solve(cost, 0.002 * cost.mean(), 1e-6, 20_000)
    assert enough.converged[0] and 7 < enough.iterations[0] < 20_000


def test_what_leaves_the_plan_as_it_is() -> None:
    cost = walks(10, 12, 4)
    epsilon = 0.02 * cost.mean()
    plan = solve(cost, epsilon, 1e-8).plan
    rows = np.random.default_rng(0).uniform(0, 50, (10, 1))
    for changed in (cost + 5.0, cost + 1e3, cost + rows):  # a constant, and one of a row's own
        torch.testing.assert_close(solve(changed, epsilon, 1e-8).plan, plan, rtol=1e-6, atol=1e-9)
    for unit in (1e-5, 1e5):
        torch.testing.assert_close(solve(cost * unit, epsilon * unit, 1e-8).plan, plan, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(solve(cost.T, epsilon, 1e-8).plan.mT, plan, rtol=1e-5, atol=1e-8)


@pytest.fixture
def log_domain_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that fall back to the log domain."""
    calls: list[int] = []
    solver = module._solve_log_domain

    def spy(cost: Tensor, *rest: object) -> Couplings:
        assert cost.dtype == torch.float64
        calls.append(len(cost))
        return solver(cost, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_solve_log_domain", spy)
    return calls


def test_log_domain_takes_over_where_weights_differ_beyond_measure(log_domain_calls: list[int]) -> None:
    generator = np.random.default_rng(0)
    cost = 10 ** generator.uniform(-3, 2, (6, 6))
    a, b = (10 ** generator.uniform(-300, 0, 6) for _ in range(2))
    a, b = a / a.sum(), b / b.sum()
    couplings = solve(cost, 0.1, 1e-10, a=a, b=b)
    assert log_domain_calls == [1] and couplings.converged[0]
    np.testing.assert_allclose(couplings.plan[0].numpy(), pot(cost, 0.1, a, b), atol=1e-9)


def test_the_log_domain_takes_over_for_the_problems_whose_kernel_overflows(log_domain_calls: list[int]) -> None:
    """An expert that goes ten times as far: the potentials span hundreds of ε, more than single precision's exponent holds."""
    hard = (np.linspace(0, 1, 20)[:, None] - np.linspace(0, 10, 15)) ** 2
    easy = walks(20, 15, 0)
    costs, epsilon = (easy, hard, easy), [0.05 * easy.mean(), 2e-4 * hard.mean(), 0.05 * easy.mean()]
    uniform = np.tile(weights(20), (3, 1)), np.tile(weights(15), (3, 1))
    couplings = sinkhorn(*tensors(np.stack(costs), *uniform, epsilon=epsilon, dtype=torch.float32), 1e-4, 3000)
    assert log_domain_calls == [1] and couplings.converged.all()
    for i, relative in ((0, 2e-3), (1, 1e-3)):
        assert_same_costs_per_step(couplings.plan[i], pot(costs[i], epsilon[i]), costs[i], relative)
    torch.testing.assert_close(couplings.plan[2], couplings.plan[0])
