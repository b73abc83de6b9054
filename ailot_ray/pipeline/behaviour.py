"""The policy report: how a policy's episodes end, which of the data it follows, and what of them its training weighed.

As the relabel report is for rewards: read it before the score is blamed on them.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from ailot_ray.data.trajectories import Dataset
from ailot_ray.method.iql import DeterministicPolicy, effective_share
from ailot_ray.pipeline.experiment import Experiment
from ailot_ray.pipeline.train import MIN_EFFECTIVE_SHARE, WEIGHTS
from ailot_ray.records import GOAL, HORIZON, DataPart, EpisodeEnd, EpisodeKind, PolicyReport
from ailot_ray.tasks import Task

MAX_STATES = 20_000
"""Transitions whose action errors are looked at."""
BUCKETS = (0, 5, 15, 50)
"""First steps of the parts of an episode."""
EARLY = 0.02
"""Share of the horizon within which an end counts as early: 20 of 1,000 steps."""
MAX_EFFECTIVE_SHARE = 0.95
"""Above it advantage weights hardly differ, and training is cloning."""
FEWEST_FOR_KINDS, APART = 8, 8.0
"""Scores of one kind, normal or exponential, are split into two so many deviations apart about once in 100 times."""

Numbers = NDArray[np.float64]


def policy_report(experiment: Experiment, policy: DeterministicPolicy, policies: Path, played: pa.Table) -> PolicyReport:
    """Look at the final `policy` of the folder `policies`, and at its evaluation episodes `played`."""
    rows, weights = _weights(policies)
    ends = _ends(played)
    share = None if weights is None else float(effective_share(torch.from_numpy(weights)))
    parts = _parts(experiment.dataset, policy, rows, weights)
    # of a task that is solved or not, episodes are of two kinds to begin with
    kinds = [] if any(end.end == GOAL for end in ends) else _kinds(played["score"].to_numpy())
    return PolicyReport(
        episodes=len(played),
        ends=ends,
        kinds=kinds,
        parts=parts,
        own_variance=float(np.square(policy.std, dtype=np.float64).mean()),
        effective_share=share,
        warnings=_warnings(experiment.task, experiment.dataset, played, kinds, share),
    )


def _weights(policies: Path) -> tuple[NDArray[np.int64], Numbers | None]:
    if not (policies / WEIGHTS).exists():  # cloning, or a policy of before they were kept
        return np.zeros(0, np.int64), None
    table = pq.read_table(policies / WEIGHTS)
    return table["row"].to_numpy(), table["weight"].to_numpy().astype(np.float64)


def _ends(played: pa.Table) -> list[EpisodeEnd]:
    reasons, lengths = played["end"].to_pylist(), played["length"].to_numpy()
    found = []
    for end in sorted(set(reasons), key=lambda end: (-reasons.count(end), end)):
        steps = lengths[[reason == end for reason in reasons]]
        found.append(EpisodeEnd(end, len(steps), int(steps.min()), float(np.median(steps)), int(steps.max())))
    return found


def _kinds(values: Numbers) -> list[EpisodeKind]:
    """The best split of sorted scores into two groups of two or more, where their means lie APART pooled deviations."""
    values = np.sort(values)
    if len(values) < FEWEST_FOR_KINDS:
        return []
    splits = [(values[:k], values[k:]) for k in range(2, len(values) - 1)]
    inside = [float(((low - low.mean()) ** 2).sum() + ((high - high.mean()) ** 2).sum()) for low, high in splits]
    low, high = splits[int(np.argmin(inside))]
    deviation = np.sqrt(min(inside) / (len(values) - 2))
    if high.mean() - low.mean() <= max(APART * deviation, 1e-9):
        return []
    return [EpisodeKind(len(part), float(part.mean())) for part in (low, high)]


def _parts(
    dataset: Dataset, policy: DeterministicPolicy, weighed: NDArray[np.int64], weights: Numbers | None
) -> list[DataPart]:
    """By step of the episode, then by its return where the file tells returns that differ."""
    step = np.arange(len(dataset)) - np.repeat(dataset.offsets[:-1], dataset.lengths)
    groups = {}
    for first, last in zip(BUCKETS, (*BUCKETS[1:], None), strict=True):
        name = f"steps {first} to {last - 1}" if last else f"steps from {first} on"
        groups[name] = (step >= first) & (step < (last or len(dataset)))
    returns = None if dataset.rewards is None else np.repeat(dataset.returns(), dataset.lengths)
    if returns is not None and returns.min() < returns.max():
        better = returns > np.median(dataset.returns())
        groups |= {"episodes of lower return": ~better, "episodes of higher return": better}
    looked = np.sort(np.random.default_rng(0).permutation(len(dataset))[:MAX_STATES])
    error = np.square(policy(dataset.observations[looked]) - dataset.actions[looked], dtype=np.float64).mean(1)
    parts = []
    for name, inside in groups.items():
        seen = inside[looked]
        if not seen.any():
            continue
        of_weight = None if weights is None else float(weights[inside[weighed]].sum() / max(weights.sum(), 1e-300))
        parts.append(DataPart(name, float(inside.mean()), of_weight, float(error[seen].mean())))
    return parts


def _warnings(task: Task, dataset: Dataset, played: pa.Table, kinds: list[EpisodeKind], share: float | None) -> list[str]:
    found = []
    early = [
        (end, length)
        for end, length in zip(played["end"].to_pylist(), played["length"].to_pylist(), strict=True)
        if end not in (HORIZON, GOAL) and length <= EARLY * task.horizon
    ]
    if early and 2 * len(early) >= len(played):
        ends, longest = ", ".join(sorted({end for end, _ in early})), max(length for _, length in early)
        rare = np.minimum(dataset.lengths, longest).sum() / len(dataset)
        found.append(
            f"ends within {longest} steps ({ends}) in {len(early)} of {len(played)} episodes; steps that early are {rare:.1%} "
            "of the data: train longer (--iql.steps), or lower --iql.temperature to follow the data there"
        )
    if share is not None and share < MIN_EFFECTIVE_SHARE:
        found.append(
            f"advantage weights leave an effective {share:.1%} of the data: a lower --iql.temperature follows more of them "
            "while the value has not converged"
        )
    if share is not None and share > MAX_EFFECTIVE_SHARE:
        found.append(
            f"advantage weights leave an effective {share:.1%} of the data: this is nearly cloning, whatever the reward; a "
            "higher --iql.temperature, or more --iql.steps, lets the reward tell"
        )
    if kinds:
        low, high = kinds
        found.append(
            f"episodes are of two kinds, {low.episodes} near {low.score:.1f} and {high.episodes} near {high.score:.1f}: a mean "
            "of few says little, --evaluation.episodes 100 tells their shares"
        )
    return found
