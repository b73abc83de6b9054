"""Alignment in padded batches against alignment one by one, on the CPU, and on a GPU where there is one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from ailot_ray.config import Start, TransportConfig
from ailot_ray.method.batched import MATRICES_PER_PROBLEM, align_batch, look_ahead_costs
from ailot_ray.method.transport import Alignment, align, look_ahead_cost

CONFIG = TransportConfig(
    space="intent",
    metric="sqeuclidean",
    k=2,
    start="cut",
    solver="sinkhorn",
    epsilon=0.02,
    epsilon_unit="relative",
    tolerance=1e-6,
)
LENGTHS = (17, 1, 30, 9, 2, 30, 12)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
    ),
]


def walk(length: int, seed: int) -> Tensor:
    return torch.from_numpy(np.cumsum(np.random.default_rng(seed).normal(size=(length, 4)), 0))


EXPERT = walk(23, 99)
AGENTS = [walk(length, seed) + EXPERT[seed] for seed, length in enumerate(LENGTHS)]


def batch(agents: Sequence[Tensor], config: TransportConfig, device: str, limit: int | None = None) -> list[Alignment]:
    return list(align_batch([agent.to(device) for agent in agents], EXPERT.to(device), config, limit))


@pytest.mark.parametrize("k", [0, 1, 2, 40])
def test_costs_are_those_of_each_pair(k: int) -> None:
    padded = torch.nn.utils.rnn.pad_sequence(AGENTS, batch_first=True)
    costs = look_ahead_costs(padded, torch.tensor(LENGTHS), EXPERT, k)
    for cost, agent in zip(costs, AGENTS, strict=True):
        torch.testing.assert_close(cost[: len(agent)], look_ahead_cost(agent, EXPERT, k))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("start", get_args(Start))
@pytest.mark.parametrize(("k", "unit"), [(2, "relative"), (0, "absolute")])
def test_each_is_what_it_is_alone(device: str, start: Start, k: int, unit: Literal["relative", "absolute"]) -> None:
    config = replace(CONFIG, start=start, k=k, epsilon_unit=unit, epsilon=0.02 if unit == "relative" else 0.5)
    found = batch(AGENTS, config, device)
    assert start == "none" or len({one.first for one in found}) > 3, "experts are cut at different steps"
    for agent, one in zip(AGENTS, found, strict=True):
        alone = align(agent, EXPERT, config)
        assert (one.first, one.converged, one.iterations) == (alone.first, alone.converged, alone.iterations)
        assert one.error <= config.tolerance
        assert one.plan.shape == alone.plan.shape and one.cost.dtype == np.float64
        np.testing.assert_allclose(one.cost, alone.cost, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(one.plan.cpu(), alone.plan, rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("far", ["agent", "expert"])
def test_epsilon_is_what_it_is_alone_where_one_state_is_far(far: str) -> None:
    agents, expert = [agent.clone() for agent in AGENTS], EXPERT.clone()
    (agents[LENGTHS.index(max(LENGTHS))] if far == "agent" else expert)[7] += 30.0
    config = replace(CONFIG, start="none", k=0, epsilon=0.02, epsilon_unit="relative")
    for agent, one in zip(agents, align_batch(agents, expert, config), strict=True):
        alone = align(agent, expert, config)
        assert one.iterations == alone.iterations
        np.testing.assert_allclose(one.cost, alone.cost, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("device", DEVICES)
def test_company_changes_nothing(device: str) -> None:
    """Batches of one, of two and of all, and in the company of one that must be absorbed and one that does not converge."""
    hard = replace(CONFIG, epsilon=0.002, max_iterations=100)
    agents = [*AGENTS, 5.0 * AGENTS[2], 0.0 * AGENTS[0]]
    alone = [batch([agent], hard, device)[0] for agent in agents]
    assert {one.converged for one in alone} == {True, False}
    one_problem = MATRICES_PER_PROBLEM * max(LENGTHS) * len(EXPERT) * EXPERT.element_size()
    for limit in (1, 2 * one_problem, None):
        for one, expected in zip(batch(agents, hard, device, limit), alone, strict=True):
            assert (one.converged, one.iterations) == (expected.converged, expected.iterations)
            np.testing.assert_allclose(one.cost, expected.cost, rtol=1e-6, atol=1e-9)


def test_a_batch_is_as_large_as_the_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    solver = align_batch.__globals__["sinkhorn"]

    def noted(cost: Tensor, *rest: Any) -> Any:
        sizes.append(len(cost))
        return solver(cost, *rest)

    monkeypatch.setitem(align_batch.__globals__, "sinkhorn", noted)
    one_problem = MATRICES_PER_PROBLEM * max(LENGTHS) * len(EXPERT) * EXPERT.element_size()
    for limit, expected in ((3 * one_problem, [3, 3, 1]), (one_problem // 2, [1] * 7), (None, [7])):
        sizes.clear()
        assert len(batch(AGENTS, CONFIG, "cpu", limit)) == 7
        assert sizes == expected


@pytest.mark.parametrize("device", DEVICES)
def test_single_precision_is_that_of_the_fused_solver(device: str) -> None:
    config = replace(CONFIG, tolerance=1e-4)
    agents, expert = [agent.float() for agent in AGENTS], EXPERT.float()
    found = align_batch([agent.to(device) for agent in agents], expert.to(device), config)
    for agent, one in zip(agents, found, strict=True):
        expected = align(agent, expert, config)
        assert one.converged and expected.converged
        np.testing.assert_allclose(one.cost, expected.cost, rtol=5e-3, atol=1e-3 * expected.cost.mean())
