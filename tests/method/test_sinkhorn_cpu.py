"""The fused solver against the plain one in double precision, exact sums, and its own honesty."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ailot_ray.method.fast import sinkhorn_kernels as kernels
from ailot_ray.method.fast.sinkhorn_cpu import Scaled, solve_fused
from ailot_ray.method.sinkhorn import sinkhorn


def problem(n: int, m: int, seed: int, spread: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Squared distances of two walks, and uneven weights."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=generator).cumsum(0) * 0.3 * spread
    y = torch.randn(m, 5, generator=generator).cumsum(0) * 0.3
    a, b = torch.rand(n, generator=generator) + 0.2, torch.rand(m, generator=generator) + 0.2
    return torch.cdist(x, y).square(), a / a.sum(), b / b.sum()


def exact(cost: Tensor, a: Tensor, b: Tensor, epsilon: float) -> Tensor:
    """The plan of the plain solver in double precision."""
    a, b = (weight.double() / weight.double().sum() for weight in (a, b))
    found = sinkhorn(cost[None].double(), a[None], b[None], torch.tensor([epsilon]).double(), 1e-10, 100_000)
    assert found.converged[0]
    return found.plan[0]


def solved(cost: Tensor, a: Tensor, b: Tensor, epsilon: float, tolerance: float = 1e-5, most: int = 5000) -> Scaled:
    found = solve_fused(cost, a, b, epsilon, tolerance, most)
    assert found is not None
    return found


@given(st.integers(1, 13), st.integers(1, 13), st.integers(0, 1000), st.sampled_from([0.05, 0.2, 1.0]))
def test_it_finds_the_plan_of_the_plain_solver(n: int, m: int, seed: int, relative: float) -> None:
    cost, a, b = problem(n, m, seed)
    epsilon = relative * float(cost.mean()) or 1.0
    found = solved(cost, a, b, epsilon)
    expected = exact(cost, a, b, epsilon)
    plan = found.plan().double()
    assert found.error <= 1e-5
    torch.testing.assert_close(plan, expected, rtol=1e-3, atol=2e-5)
    torch.testing.assert_close(plan.sum(1), a.double(), rtol=1e-5, atol=0)  # rows are exact
    assert (plan.sum(0) - b).abs().sum().item() == pytest.approx(found.error, abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.05, 0.01, 0.003])
def test_costs_of_long_trajectories(epsilon: float) -> None:
    cost, a, b = problem(203, 157, 4)
    absolute = epsilon * float(cost.mean())
    found = solved(cost, a, b, absolute)
    expected = (exact(cost, a, b, absolute) * cost.double()).sum(1).numpy()
    np.testing.assert_allclose(found.row_costs(cost), expected, rtol=2e-4)


def test_what_is_paid_is_the_plans() -> None:
    cost, a, b = problem(30, 41, 1)
    found = solved(cost, a, b, 0.1)
    plan = found.plan().double() * cost.double()
    for first in (0, 7, 40, 41):
        np.testing.assert_allclose(found.row_costs(cost, first), plan[:, first:].sum(1).numpy(), rtol=1e-5, atol=1e-12)


def test_a_cost_that_is_a_view_is_read_as_it_is() -> None:
    cost, a, b = problem(20, 33, 2)
    wide = torch.full((20, 40), 1e6)
    wide[:, 7:] = cost
    torch.testing.assert_close(solved(wide[:, 7:], a, b, 0.2).plan(), solved(cost, a, b, 0.2).plan(), rtol=0, atol=0)
    found = solved(wide[:, 7:], a, b, 0.2)
    np.testing.assert_allclose(found.row_costs(wide[:, 7:]), found.row_costs(cost), rtol=1e-6)


def test_scalings_that_leave_their_range_are_absorbed() -> None:
    cost, a, b = problem(60, 50, 3, spread=3.0)
    epsilon = 0.002 * float(cost.mean())
    found = solved(cost, a, b, epsilon, tolerance=1e-4, most=20_000)
    assert found.error <= 1e-4 and float(found.kernel.max()) < 0.5, "each row of the first kernel holds a 1"
    expected = (exact(cost, a, b, epsilon) * cost.double()).sum(1).numpy()
    np.testing.assert_allclose(found.row_costs(cost), expected, rtol=5e-3)


def test_it_says_where_it_stopped() -> None:
    cost, a, b = problem(80, 70, 5)
    found = solved(cost, a, b, 0.003 * float(cost.mean()), tolerance=1e-7, most=13)
    assert found.iterations == 13 and found.error > 1e-7
    assert found.error == pytest.approx((found.plan().double().sum(0) - b).abs().sum().item(), rel=1e-3)


def test_it_goes_on_where_single_precision_does_not() -> None:
    """Every u and v leaves single precision at once; the log domain carries it over, and what it stopped at is told."""
    cost, a, b = problem(40, 40, 6, spread=4.0)
    epsilon = 1e-5 * float(cost.mean())
    found = solved(cost, a, b, epsilon, tolerance=1e-3, most=300)
    plan = found.plan().double()
    assert plan.isfinite().all() and found.iterations == 300 and found.error > 1e-3
    assert found.error == pytest.approx((plan.sum(0) - b).abs().sum().item(), rel=1e-3)
    torch.testing.assert_close(plan.sum(1), a.double(), rtol=1e-5, atol=0)


def test_the_log_domain_carries_every_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The solver that is thrown out of the kernel's domain each time comes to the same plan."""
    cost, a, b = problem(23, 31, 8)
    expected = solved(cost, a, b, 0.5).plan()
    left, iterate = 60, kernels.iterate

    def broken(*arguments: object) -> tuple[int, float, float]:
        nonlocal left
        left -= 1
        found: tuple[int, float, float] = iterate(*arguments) if left < 0 else (1, math.nan, 1.0)
        return found

    monkeypatch.setattr(kernels, "iterate", broken)
    torch.testing.assert_close(solved(cost, a, b, 0.5).plan(), expected, rtol=1e-3, atol=1e-7)
    left = 1_000_000
    found = solved(cost, a, b, 0.5, tolerance=1e-3, most=400)  # never a look at the error until the end
    assert found.iterations == 400 and found.error < 1e-5
    torch.testing.assert_close(found.plan(), expected, rtol=1e-3, atol=1e-7)


def test_costs_that_are_not_numbers_are_refused() -> None:
    cost, a, b = problem(7, 5, 6)
    assert solve_fused(cost * torch.nan, a, b, 0.1, 1e-3, 100) is None
    cost[3, 2] = torch.nan
    assert solve_fused(cost, a, b, 0.1, 1e-3, 100) is None
    cost[3] = torch.inf
    assert solve_fused(cost, a, b, 0.1, 1e-3, 100) is None


KINDS = ("walks", "zeros", "constant", "duplicates", "huge range", "cheap column", "dear row", "assignment", "far apart")


def degenerate(kind: str, n: int, m: int, seed: int) -> Tensor:
    generator = np.random.default_rng(seed)
    walks = problem(n, m, seed)[0].double().numpy()
    costs = {
        "walks": walks,
        "zeros": np.zeros((n, m)),
        "constant": np.full((n, m), 3.0),
        "duplicates": generator.integers(0, 3, (n, m)).astype(float),
        "huge range": 10.0 ** generator.uniform(-6, 6, (n, m)),
        "cheap column": np.concatenate([np.zeros((n, 1)), 1.0 + generator.random((n, m - 1))], 1),
        "dear row": np.concatenate([np.full((1, m), 1e6), walks[1:]]),
        "assignment": 1.0 - np.eye(n, m),
        "far apart": (np.linspace(0, 1, n)[:, None] - np.linspace(0, 10, m)) ** 2,
    }
    return torch.from_numpy(costs[kind]).float()


@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 30),
    m=st.integers(1, 30),
    seed=st.integers(0, 10_000),
    exponent=st.floats(-4.0, 0.0),
    most=st.sampled_from([1, 7, 100, 1000]),
    magnitude=st.sampled_from([1e-9, 1.0, 1e9]),
)
@settings(max_examples=100)
def test_no_wrong_plan_is_returned_silently(
    kind: str, n: int, m: int, seed: int, exponent: float, most: int, magnitude: float
) -> None:
    """Down to 1e-4 of the mean cost: marginals hold or the error is told, and P has the form u·exp(−C/ε)·v of an optimum."""
    cost = magnitude * degenerate(kind, n, m, seed)
    epsilon = 10.0**exponent * (float(cost.double().mean()) or 1.0)
    a, b = torch.full((n,), 1 / n), torch.full((m,), 1 / m)
    found = solved(cost, a, b, epsilon, 1e-3, most)
    plan = found.plan().double()
    assert plan.isfinite().all() and (plan >= 0).all()
    torch.testing.assert_close(plan.sum(1), a.double(), rtol=2e-5, atol=0)
    error = (plan.sum(0) - b).abs().sum().item()
    assert found.error == pytest.approx(error, rel=1e-3, abs=2e-5)
    assert found.error <= 1e-3 or found.iterations == most
    paid = found.row_costs(cost)
    np.testing.assert_allclose(paid, (plan * cost.double()).sum(1).numpy(), rtol=1e-4, atol=1e-12 * epsilon)
    separable = plan.log() + cost.double() / epsilon  # log u_i + log v_j where an entry is not 0
    for i in range(1, n):
        both = (plan[0] > 0) & (plan[i] > 0)
        if both.any():
            differences = (separable[i] - separable[0])[both]
            assert (differences - differences[0]).abs().max() < 1e-3


@given(st.sampled_from(KINDS), st.integers(1, 15), st.integers(1, 15), st.integers(0, 1000), st.sampled_from([0.02, 0.1, 1.0]))
@settings(max_examples=20)
def test_degenerate_costs_have_the_plain_solvers_plan(kind: str, n: int, m: int, seed: int, relative: float) -> None:
    cost = degenerate(kind, n, m, seed)
    epsilon = relative * (float(cost.mean()) or 1.0)
    a, b = torch.full((n,), 1 / n), torch.full((m,), 1 / m)
    found = solve_fused(cost, a, b, epsilon, 1e-5, 5000)
    assert found is not None
    again = sinkhorn(cost[None].double(), a[None].double(), b[None].double(), torch.tensor([epsilon]).double(), 1e-8, 1000)
    if found.error <= 1e-5 and again.converged[0]:
        torch.testing.assert_close(found.plan().double(), again.plan[0], rtol=5e-3, atol=5e-5)


def test_the_same_call_gives_the_same_bytes() -> None:
    cost, a, b = problem(100, 90, 7)
    first, second = (solved(cost, a, b, 0.5) for _ in range(2))
    assert first.iterations == second.iterations and first.error == second.error
    assert torch.equal(first.plan(), second.plan()) and (first.row_costs(cost) == second.row_costs(cost)).all()
