"""The solvers that bench_transport.py measures beside ours, each set as it is best used. Needs requirements-bench.txt.

Every peer gets the same float32 cost. Those that stop by themselves do so at an L1 error of 1e-3 of the marginals; those that
take a number of iterations are given the fewest tens that reach it, found beforehand, as if they knew.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import ot
import torch
from geomloss import SamplesLoss
from numpy.typing import NDArray
from ott.geometry import costs, geometry, pointcloud
from ott.problems.linear import linear_problem
from ott.solvers.linear import acceleration, sinkhorn
from torch import Tensor

TOLERANCE = 1e-3
LIMIT = 3000
PADDED = 1000
"""Steps to which OTR pads."""
Plan = Any
Solve = Callable[[], Plan]


@dataclass(frozen=True)
class Problem:
    """One alignment: intents (n, d) and (m, d), their look-ahead k, their cost (n, m), and epsilon in its unit."""

    agent: Tensor
    expert: Tensor
    k: int
    cost: Tensor
    epsilon: float


def pairs(x: Tensor, k: int) -> Tensor:
    """(n, 2·d): each row beside the one k steps on, whose squared distances are the cost; x itself for k = 0."""
    return torch.cat([x, x[(torch.arange(len(x)) + k).clamp(max=len(x) - 1)]], 1) if k else x


def l1_error(plan: Plan) -> float:
    """Of the marginals of a plan, from uniform ones."""
    p = np.asarray(plan, np.float64)
    return float(np.abs(p.sum(1) - 1 / p.shape[0]).sum() + np.abs(p.sum(0) - 1 / p.shape[1]).sum())


def fewest(solve: Callable[[int], Plan]) -> Solve:
    """`solve` with the fewest tens of iterations that reach the tolerance (by doubling, then halving the interval)."""
    high = 10
    while high < LIMIT and not l1_error(solve(high)) <= TOLERANCE:
        high *= 2
    low = high // 2
    while high - low > 10:
        middle = (low + high) // 20 * 10
        low, high = (low, middle) if l1_error(solve(middle)) <= TOLERANCE else (middle, high)
    return lambda: solve(high)


def pot_solvers(p: Problem, slow: bool) -> dict[str, Solve]:
    """POT's Sinkhorn and its linear programme; with `slow` also those that take seconds."""
    n, m = p.cost.shape
    a, b = torch.full((n,), 1 / n), torch.full((m,), 1 / m)
    matrix, numpy_a, numpy_b = p.cost.numpy(), a.numpy(), b.numpy()
    double = matrix.astype(np.float64)

    def entropic(method: str, *problem: Any) -> Callable[[int], Plan]:
        return lambda most: ot.sinkhorn(*problem, p.epsilon, method=method, numItermax=most, stopThr=0.0, warn=False)

    def batch(most: int) -> Plan:
        return ot.batch.solve_batch(p.cost[None], p.epsilon, a[None], b[None], max_iter=most, tol=0.0).plan[0]

    plain = fewest(entropic("sinkhorn", a, b, p.cost))

    def flushed() -> Plan:  # without what subnormal numbers cost it
        torch.set_flush_denormal(True)
        try:
            return plain()
        finally:
            torch.set_flush_denormal(False)

    solvers = {
        "POT sinkhorn, torch": plain,
        "POT sinkhorn, torch, subnormals flushed": flushed,
        "POT sinkhorn, NumPy": fewest(entropic("sinkhorn", numpy_a, numpy_b, matrix)),
        "exact linear programme (POT emd, float64)": lambda: ot.emd(np.full(n, 1 / n), np.full(m, 1 / m), double),
    }
    if slow:
        solvers["POT sinkhorn_log, torch"] = fewest(entropic("sinkhorn_log", a, b, p.cost))
        solvers["POT batch, torch"] = fewest(batch)
    return solvers


def ott_variants() -> dict[str, dict[str, Any]]:
    """OTT-JAX's settings: log and kernel domain, its automatic momentum, fixed ones and Anderson's acceleration."""
    variants: dict[str, dict[str, Any]] = {"log domain, automatic momentum": {"momentum": acceleration.Momentum(start=30)}}
    variants["kernel domain"] = {"lse_mode": False}
    variants["kernel domain, automatic momentum"] = {"lse_mode": False, "momentum": acceleration.Momentum(start=30)}
    for value in (1.3, 1.5, 1.7, 1.8):
        variants[f"kernel domain, momentum {value}"] = {"lse_mode": False, "momentum": acceleration.Momentum(value=value)}
    for memory, every in ((3, 1), (5, 1), (8, 1), (5, 5)):
        settings = acceleration.AndersonAcceleration(memory=memory, refresh_every=every)
        variants[f"log domain, Anderson, memory {memory}, every {every}"] = {"anderson": settings}
    return variants


def ott_solvers(p: Problem, all_variants: bool) -> dict[str, Solve]:
    """OTT-JAX as it comes, and the fastest of its variants that reach the tolerance (or each of them)."""
    matrix = jnp.asarray(p.cost.numpy())

    def given(**settings: Any) -> Solve:
        solver = sinkhorn.Sinkhorn(threshold=TOLERANCE, max_iterations=LIMIT, implicit_diff=None, **settings)

        def solve(cost: jax.Array) -> jax.Array:
            return solver(linear_problem.LinearProblem(geometry.Geometry(cost, epsilon=p.epsilon))).matrix

        compiled = jax.jit(solve)
        return lambda: compiled(matrix).block_until_ready()

    tuned = {f"OTT-JAX, {name}": given(**settings) for name, settings in ott_variants().items()}
    taken: dict[str, float] = {}
    for name, solve in tuned.items():
        if l1_error(solve()) <= 1.1 * TOLERANCE:  # compiled now
            begun = time.process_time()
            solve()
            taken[name] = time.process_time() - begun
    best = min(taken, key=lambda name: taken[name])
    found = {"OTT-JAX default (log domain)": given(), f"best-tuned {best}": tuned[best]}
    return found | ({name: solve for name, solve in tuned.items() if name != best} if all_variants else {})


def otr_path(p: Problem, pad: bool = False) -> Solve:
    """OTR's own path on our cost: intents in, per-step costs out, one jitted vmap over experts of OTT-JAX's log domain.

    With `pad`, to 1000 steps as OTR does, but with weights of 1/length where its own 1/1000 would never converge.
    """
    x, y = pairs(p.agent, p.k).numpy(), pairs(p.expert, p.k).numpy()
    n = len(x)
    weights = np.zeros(PADDED if pad else n, np.float32)
    weights[:n] = 1 / n
    padded = jnp.asarray(np.concatenate([x, np.zeros((len(weights) - n, x.shape[1]), np.float32)]))
    experts, mass = jnp.asarray(y[None]), jnp.asarray(weights)
    return lambda: _per_expert(padded, mass, experts, p.epsilon).block_until_ready()


def _all_experts(agent: jax.Array, mass: jax.Array, experts: jax.Array, epsilon: float) -> jax.Array:
    def one(expert: jax.Array) -> jax.Array:
        geom = pointcloud.PointCloud(agent, expert, cost_fn=costs.SqEuclidean(), epsilon=epsilon)
        solver = sinkhorn.Sinkhorn(threshold=TOLERANCE, max_iterations=LIMIT)
        found = solver(linear_problem.LinearProblem(geom, a=mass))
        prices = costs.SqEuclidean().all_pairs(agent, expert)
        return jnp.einsum("ij,ij->i", geom.transport_from_potentials(found.f, found.g), prices)

    return jax.vmap(one)(experts)


_per_expert = jax.jit(_all_experts)


def otr_as_shipped(states: NDArray[np.float32], expert: NDArray[np.float32]) -> tuple[Solve, float]:
    """OTR with its own settings: cosine cost on raw states, epsilon 0.01, 100 iterations. Costs, and its plan's error."""
    x, y = jnp.asarray(states), jnp.asarray(expert[None])

    def one(other: jax.Array) -> tuple[jax.Array, jax.Array]:
        geom = pointcloud.PointCloud(x, other, cost_fn=costs.Cosine(), epsilon=0.01)
        found = sinkhorn.Sinkhorn(max_iterations=100)(linear_problem.LinearProblem(geom))
        plan = geom.transport_from_potentials(found.f, found.g)
        return jnp.einsum("ij,ij->i", plan, geom.cost_matrix), plan

    plan = jax.jit(one)(y[0])[1]
    per_expert = jax.jit(jax.vmap(lambda other: one(other)[0]))
    return lambda: per_expert(y).block_until_ready(), l1_error(plan)


def geomloss_solver(p: Problem) -> Solve:
    """geomloss anneals epsilon, slowly for `scaling` near 1: its only criterion. Its cost is half the squared distance."""
    x, y = pairs(p.agent, p.k), pairs(p.expert, p.k)
    n, m = p.cost.shape
    loss = SamplesLoss(
        "sinkhorn", p=2, blur=(p.epsilon / 2) ** 0.5, scaling=0.9, debias=False, potentials=True, backend="tensorized"
    )

    def solve() -> Plan:
        f, g = loss(x, y)
        return ((f.view(-1, 1) + g.view(1, -1) - p.cost / 2) / (p.epsilon / 2)).exp() / (n * m)

    return solve
