"""Alignment of many trajectories at once, for a device that is fast at large batches: `transport.align`, padded.

Trajectories of a batch are padded to the longest with rows that carry no mass, and an expert that is cut keeps its columns
without mass, so every problem is what it is alone. A batch is as large as the memory allows.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ailot_ray.config import Metric, TransportConfig
from ailot_ray.method.sinkhorn import Dense, sinkhorn
from ailot_ray.method.transport import Alignment, squared_distances, typical_cost

MATRICES_PER_PROBLEM = 12
"""Matrices (n, m) of a problem that are held at once: costs, kernel, plan and what is made on the way to them."""
MEMORY_FRACTION = 0.5
"""Of the free memory, for a batch."""
HOST_BYTES = 1 << 28
"""A batch on a CPU, where a larger one is no faster."""


def align_batch(
    agents: Sequence[Tensor], expert: Tensor, config: TransportConfig, limit: int | None = None
) -> Iterator[Alignment]:
    """The alignments of `agents`, each (Ta, d), with `expert` (Te, d), in their order. `config` must be resolved.

    The costs of a problem do not depend on the others but for rounding. `limit` is in bytes, half of the free memory if None.
    """
    assert config.k is not None and config.solver in (None, "sinkhorn")
    longest = max(len(agent) for agent in agents)
    problem_bytes = MATRICES_PER_PROBLEM * longest * len(expert) * expert.element_size()
    size = max(1, (limit or _free(expert.device)) // problem_bytes)
    for begin in range(0, len(agents), size):
        yield from _solve(agents[begin : begin + size], expert, config)


def _free(device: torch.device) -> int:
    if device.type != "cuda":
        return HOST_BYTES
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch's own, to be used again
    return int(MEMORY_FRACTION * (torch.cuda.mem_get_info(device)[0] + unused))


def _solve(agents: Sequence[Tensor], expert: Tensor, config: TransportConfig) -> list[Alignment]:
    assert config.k is not None and config.epsilon is not None
    device = expert.device
    lengths = torch.tensor([len(agent) for agent in agents], device=device)
    x = torch.nn.utils.rnn.pad_sequence(list(agents), batch_first=True)
    cost = look_ahead_costs(x, lengths, expert, config.k, config.metric or "sqeuclidean")
    rows = torch.arange(x.shape[1], device=device) < lengths[:, None]
    steps = torch.arange(len(expert), device=device)
    start = cost[:, 0].argmin(1) if config.start != "none" else torch.zeros_like(lengths)
    columns = (steps >= start[:, None]) if config.start == "cut" else torch.ones_like(cost[:, 0], dtype=torch.bool)
    a, b = (real / real.sum(1, keepdim=True).to(cost) for real in (rows, columns))
    solved = sinkhorn(cost, a, b, _epsilon(cost, rows, columns, config), config.tolerance, config.max_iterations)
    paid = solved.plan * cost  # padding carries no mass, so it pays nothing
    if config.start == "mask":
        paid = paid * (steps >= start[:, None])[:, None, :]
    per_step = (lengths[:, None] * paid.sum(2, dtype=torch.float64)).cpu().numpy()
    facts = zip(start.tolist(), solved.error.tolist(), solved.converged.tolist(), solved.iterations.tolist(), strict=True)
    found = []
    for i, (first, error, converged, iterations) in enumerate(facts):
        n, cut = len(agents[i]), first if config.start == "cut" else 0
        own = Dense(solved.plan[i, :n, cut:], error, iterations)
        found.append(Alignment(per_step[i, :n], first, error, converged, iterations, own))
    return found


def look_ahead_costs(x: Tensor, lengths: Tensor, y: Tensor, k: int, metric: Metric = "sqeuclidean") -> Tensor:
    """C of docs/method.md §2 for x (B, n, d), of which the first `lengths` (B,) rows are real, and y (m, d): (B, n, m)."""
    distances = squared_distances(x, y)
    if metric == "euclidean":
        distances = distances.sqrt_()
    if k == 0:
        return distances
    ahead = torch.minimum(torch.arange(x.shape[1], device=x.device) + k, lengths[:, None] - 1)
    behind = (torch.arange(len(y), device=x.device) + k).clamp(max=len(y) - 1)
    problems = torch.arange(len(x), device=x.device)[:, None, None]
    return distances + distances[problems, ahead[:, :, None], behind]


def _epsilon(cost: Tensor, rows: Tensor, columns: Tensor, config: TransportConfig) -> Tensor:
    """`transport.absolute_epsilon` of each problem, (B,)."""
    given = torch.full_like(cost[:, 0, 0], config.epsilon or 0.0)
    if config.epsilon_unit == "absolute":
        return given
    paid = cost.masked_fill(~(rows[:, :, None] & columns[:, None, :]), 0.0)
    scale = typical_cost(paid.sum(2).masked_fill(~rows, torch.nan), paid.sum(1).masked_fill(~columns, torch.nan))
    return torch.where(scale > 0, given * scale, given).to(cost)
