"""train ─► policies: IQL, or behaviour cloning, of each seed, with snapshots on the way."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ailot_ray.method.iql import IQL, Transitions
from ailot_ray.methods import load_learner
from ailot_ray.pipeline.experiment import Experiment
from ailot_ray.pipeline.fit import Curve, fit_members, load_tensors, save_tensors
from ailot_ray.pipeline.relabel import load_rewards, relabel
from ailot_ray.store import Artefact, write_json, write_parquet

CURVE, WEIGHTS = "curve.json", "weights.parquet"
WEIGHED = 10_000
"""Transitions, drawn once for all, whose advantage weights are kept of the final networks."""
MIN_EFFECTIVE_SHARE = 0.1
"""Effective share of a batch (:func:`ailot_ray.method.iql.effective_share`) below which a training is warned about."""
_LOGGER = logging.getLogger(__name__)


def snapshot_name(step: int) -> str:
    """File of the actor after `step` gradient steps, inside a policies artefact."""
    return f"actor-{step:08d}.safetensors"


def snapshot_steps(total: int, snapshots: int) -> list[int]:
    """Equally distant steps, the last of them `total`."""
    return [round(total * (i + 1) / snapshots) for i in range(snapshots)]


OnSnapshot = Callable[[Sequence[int], int, Sequence[Path]], None]
"""Told of the seeds that train together, the step, and the snapshot file of each of them."""


def train(experiment: Experiment, seeds: Sequence[int], on_snapshot: OnSnapshot | None = None) -> list[Artefact]:
    """Train the policies of `seeds`, or read back those that exist; makes the rewards they need first.

    `on_snapshot` is called after each snapshot; in a resumed training not again for those of before, but perhaps for the last.
    """
    method = experiment.method
    rewards = dict(zip(seeds, relabel(experiment, seeds), strict=True)) if method.rewarded else {}
    config = experiment.config.iql
    steps = snapshot_steps(config.steps, config.snapshots)

    def build(missing: Sequence[int], folders: Sequence[Path]) -> None:
        stacked = np.stack([load_rewards(rewards[seed]) for seed in missing]) if method.rewarded else None
        learner = load_learner(method.learner)(transitions(experiment, stacked), missing, config)

        def keep(step: int) -> None:
            for member, folder in enumerate(folders):
                save_tensors(folder / snapshot_name(step), learner.result(member))
            if on_snapshot:
                on_snapshot(missing, step, [folder / snapshot_name(step) for folder in folders])

        label = f"{experiment.config.method} {experiment.task.name} seeds {list(missing)}"
        curves = fit_members(learner, config.steps, folders, label, steps, keep)
        for path in (folder / snapshot_name(step) for folder in folders for step in steps):
            load_tensors(path)  # a killed run may have left it damaged, and it is about to be sealed
        for seed, folder, curve in zip(missing, folders, curves, strict=True):
            write_json(folder / CURVE, curve)
            _warn_of_few(label, seed, curve)
        if isinstance(learner, IQL):
            rows = np.sort(np.random.default_rng(0).permutation(len(experiment.dataset))[:WEIGHED])
            weights = learner.weigh(torch.from_numpy(rows).to(experiment.device)).cpu().numpy()
            for member, folder in enumerate(folders):
                write_parquet(folder / WEIGHTS, pa.table({"row": rows, "weight": weights[member]}))

    return experiment.make("train", seeds, build)


def _warn_of_few(label: str, seed: int, curve: Curve) -> None:
    """Say so where advantage weights left a policy little to learn from; one batch is noisy, so over the last tenth."""
    shares = [point["effective_share"] for point in curve[-max(1, len(curve) // 10) :] if "effective_share" in point]
    if shares and float(np.mean(shares)) < MIN_EFFECTIVE_SHARE:
        _LOGGER.warning(
            "%s: seed %d ended on an effective %.0f %% of each batch: nearly all advantage weight is on a few transitions. "
            "A lower --iql.temperature follows the data more closely while the value has not converged",
            label,
            seed,
            100 * float(np.mean(shares)),
        )


def transitions(experiment: Experiment, rewards: np.ndarray | None) -> Transitions:
    """The dataset on the experiment's device with the rewards of M members, (M, N), or none."""
    dataset = experiment.dataset

    def there(array: np.ndarray) -> Tensor:
        # writeable, so copied where it is a view of a file's bytes
        return torch.from_numpy(np.require(array, np.float32, ("C", "W"))).to(experiment.device)

    return Transitions(
        observations=there(dataset.observations),
        actions=there(dataset.actions),
        next_observations=there(dataset.next_observations),
        continues=there(~dataset.terminals),
        rewards=there(np.zeros((0, len(dataset))) if rewards is None else rewards),
        offsets=dataset.offsets,
    )
