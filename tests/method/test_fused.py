"""The fused solver against the plain one in double precision, exact sums, and its own honesty."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ailot_ray.method.fused import OMEGA_MAX, Scaled, relax, solve_fused
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
    np.testing.assert_allclose(found.paid(cost), expected, rtol=2e-4)


def test_what_is_paid_is_the_plans() -> None:
    cost, a, b = problem(30, 41, 1)
    found = solved(cost, a, b, 0.1)
    plan = found.plan().double() * cost.double()
    for first in (0, 7, 40, 41):
        np.testing.assert_allclose(found.paid(cost, first), plan[:, first:].sum(1).numpy(), rtol=1e-5, atol=1e-12)


def test_a_cost_that_is_a_view_is_read_as_it_is() -> None:
    cost, a, b = problem(20, 33, 2)
    wide = torch.full((20, 40), 1e6)
    wide[:, 7:] = cost
    torch.testing.assert_close(solved(wide[:, 7:], a, b, 0.2).plan(), solved(cost, a, b, 0.2).plan(), rtol=0, atol=0)
    found = solved(wide[:, 7:], a, b, 0.2)
    np.testing.assert_allclose(found.paid(wide[:, 7:]), found.paid(cost), rtol=1e-6)


def test_scalings_that_leave_their_range_are_absorbed() -> None:
    cost, a, b = problem(60, 50, 3, spread=3.0)
    epsilon = 0.002 * float(cost.mean())
    found = solved(cost, a, b, epsilon, tolerance=1e-4, most=20_000)
    assert found.error <= 1e-4 and float(found.kernel.max()) < 0.5, "each row of the first kernel holds a 1"
    expected = (exact(cost, a, b, epsilon) * cost.double()).sum(1).numpy()
    np.testing.assert_allclose(found.paid(cost), expected, rtol=5e-3)


def test_it_says_where_it_stopped() -> None:
    cost, a, b = problem(80, 70, 5)
    found = solved(cost, a, b, 0.003 * float(cost.mean()), tolerance=1e-7, most=13)
    assert found.iterations == 13 and found.error > 1e-7
    assert found.error == pytest.approx((found.plan().double().sum(0) - b).abs().sum().item(), rel=1e-3)


def test_it_gives_up_where_single_precision_does() -> None:
    cost, a, b = problem(40, 40, 6, spread=4.0)
    assert solve_fused(cost, a, b, 1e-7 * float(cost.mean()), 1e-3, 5000) is None
    assert solve_fused(cost * torch.nan, a, b, 0.1, 1e-3, 100) is None


def test_the_same_call_gives_the_same_bytes() -> None:
    cost, a, b = problem(100, 90, 7)
    first, second = (solved(cost, a, b, 0.5) for _ in range(2))
    assert first.iterations == second.iterations and first.error == second.error
    assert torch.equal(first.plan(), second.plan()) and (first.paid(cost) == second.paid(cost)).all()


@given(st.floats(1.0, 1.9), st.floats(1e-9, 10.0), st.floats(1e-9, 10.0), st.integers(1, 20))
def test_relaxation_stays_between_its_bounds(omega: float, error: float, previous: float, iterations: int) -> None:
    chosen, cap = relax(omega, OMEGA_MAX, error, previous, iterations)
    assert 1.0 <= chosen <= OMEGA_MAX and 1.0 <= cap <= OMEGA_MAX
    if error > previous:
        assert chosen == 1.0 and cap < OMEGA_MAX
    else:
        assert chosen >= omega and cap == OMEGA_MAX


def test_relaxation_waits_for_a_second_look() -> None:
    assert relax(1.0, OMEGA_MAX, 0.5, math.nan, 6) == (1.0, OMEGA_MAX)
    assert relax(1.0, OMEGA_MAX, 0.0, 0.5, 6) == (1.0, OMEGA_MAX)
