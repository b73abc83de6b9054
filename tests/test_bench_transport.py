"""The transport benchmark's own parts: what it measures must be what it says. Skips without its peers."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

for peer in ("jax", "ott", "geomloss"):
    pytest.importorskip(peer, reason="needs requirements-bench.txt")


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "experiments"))
    return importlib.import_module("transport_peers")


@pytest.mark.parametrize("k", [0, 2])
def test_peers_that_take_points_are_given_the_same_cost(peers: Any, k: int) -> None:
    bench = importlib.import_module("bench_transport")
    p = bench.problem(torch.randn(9, 4), torch.randn(7, 4), 0.1, k)
    torch.testing.assert_close(torch.cdist(peers.pairs(p.agent, k), peers.pairs(p.expert, k)).square(), p.cost)


def test_the_error_is_of_both_marginals(peers: Any) -> None:
    plan = np.full((4, 5), 1 / 20)
    assert peers.l1_error(plan) == pytest.approx(0.0, abs=1e-12)
    plan[0, 0] += 0.01
    assert peers.l1_error(plan) == pytest.approx(0.02)


@pytest.mark.parametrize("needed", [1, 10, 11, 70, 71, 640, 650])
def test_peers_get_the_fewest_tens_that_do(peers: Any, needed: int) -> None:
    good, bad = np.full((2, 2), 0.25), np.zeros((2, 2))
    tried: list[int] = []

    def solve(most: int) -> Any:
        tried.append(most)
        return good if most >= needed else bad

    chosen = peers.fewest(solve)
    tried.clear()
    assert chosen() is good and tried == [-(-needed // 10) * 10]


@pytest.mark.slow
def test_every_solver_has_the_same_plan(peers: Any) -> None:
    bench = importlib.import_module("bench_transport")
    p = bench.problem(bench.intents(bench.gait(40, 1)), bench.intents(bench.gait(30, 2)), 0.1)
    expected = bench.ours(p, 0.1)["ours, cost given"]().plan()
    solvers = peers.pot_solvers(p, slow=True) | {"OTT": peers.ott_solvers(p, False)["OTT-JAX default (log domain)"]}
    for name, solve in solvers.items():
        plan = torch.from_numpy(np.array(solve())).float()
        assert bench.error_of(plan) <= 1.1e-3, name
        if "linear" not in name:
            torch.testing.assert_close(plan, expected, rtol=0.1, atol=2e-5, msg=name)
    costs = torch.from_numpy(np.array(peers.otr_path(p)()))[0]
    torch.testing.assert_close(costs, (expected * p.cost).sum(1), rtol=0.02, atol=0)
    padded = torch.from_numpy(np.array(peers.otr_path(p, pad=True)()))[0]
    torch.testing.assert_close(padded[:40], (expected * p.cost).sum(1), rtol=0.02, atol=0)
