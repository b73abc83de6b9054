"""ω: its bounds, Young's relation on an iteration whose rate is known, and both forms of each rule against one another."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ailot_ray.method.relaxation import (
    FIRST_MAX,
    LOWER,
    MAX_LINEAR_ERROR,
    OMEGA_MAX,
    first_omega,
    first_omegas,
    lower,
    relax,
    relax_all,
)

omegas, rates, errors = st.floats(1.0, OMEGA_MAX), st.floats(1e-9, 3.0), st.floats(1e-9, 2.0)


@given(omegas, rates, errors)
def test_relaxation_stays_between_its_bounds(omega: float, rate: float, error: float) -> None:
    chosen, cap = relax(omega, OMEGA_MAX, rate, error)
    assert 1.0 <= chosen <= cap <= OMEGA_MAX
    if error > MAX_LINEAR_ERROR:
        assert 1.0 - chosen == pytest.approx(LOWER * (1.0 - omega), abs=1e-12) and cap == OMEGA_MAX
    elif rate > 1.0:
        assert 1.0 - chosen == pytest.approx(LOWER * (1.0 - omega), abs=1e-12) and cap == min(OMEGA_MAX, chosen + 0.1)
    else:
        assert chosen >= omega and cap == OMEGA_MAX
    if rate <= omega - 1.0 and error <= MAX_LINEAR_ERROR:
        assert chosen == omega, "a rate that the slowest part of the error cannot have tells nothing"


def test_relaxation_waits_for_a_rate() -> None:
    assert relax(1.3, OMEGA_MAX, math.nan, 0.1) == (1.3, OMEGA_MAX)


@pytest.mark.parametrize("plain", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("omega", [1.0, 1.1])
def test_the_best_omega_follows_from_a_measured_rate(plain: float, omega: float) -> None:
    """Two scalars that each correct the other's share of the error, √ρ: over-relaxed as u and v are, and seen."""
    error = np.array([1.0, 1.0])
    sizes = []
    for _ in range(400):
        error[0] += omega * (math.sqrt(plain) * error[1] - error[0])
        error[1] += omega * (math.sqrt(plain) * error[0] - error[1])
        sizes.append(abs(error[1]))
    rate = (sizes[60] / sizes[20]) ** (1 / 40)
    best = 2 / (1 + math.sqrt(1 - plain))
    assert relax(omega, OMEGA_MAX, rate, 0.01)[0] == pytest.approx(min(best, OMEGA_MAX), abs=1e-3)


def test_deeper_kernels_start_further_above_one() -> None:
    found = [first_omega(depth) for depth in (0.0, 1.0, 1.3, 5.0, 10.0, 100.0, 1e9)]
    assert found == sorted(found) and found[:3] == [1.0, 1.0, 1.0] and 1.2 < found[3] < 1.4 and found[-1] == FIRST_MAX


@given(st.lists(st.tuples(omegas, st.floats(1.0, OMEGA_MAX), rates, errors), min_size=1, max_size=9))
def test_many_problems_are_relaxed_as_one_by_one(problems: list[tuple[float, float, float, float]]) -> None:
    omega, cap, rate, error = (torch.tensor(column, dtype=torch.float64) for column in zip(*problems, strict=True))
    together = torch.stack(relax_all(omega, cap, rate, error), 1)
    alone = torch.tensor([relax(*one) for one in problems], dtype=torch.float64)
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(
        first_omegas(rate), torch.tensor([first_omega(one) for one in rate.tolist()], dtype=torch.float64)
    )


def test_an_error_that_grew_lowers_omega_and_where_it_may_rise_to() -> None:
    omega, cap = lower(1.8, OMEGA_MAX)
    assert 1.0 < omega < 1.8 and omega < cap < OMEGA_MAX
    for _ in range(60):
        omega, cap = lower(omega, cap)
    assert omega == pytest.approx(1.0, abs=0.01)
    depth = torch.tensor([math.nan, 0.0, 4.0])
    assert first_omegas(depth).tolist()[:2] == [1.0, 1.0]
    unknown = torch.full((3,), math.nan)
    found = relax_all(torch.ones(3), torch.full((3,), OMEGA_MAX), unknown, unknown)
    assert found[0].tolist() == [1.0] * 3 and found[1].tolist() == [pytest.approx(OMEGA_MAX)] * 3
