"""relabel ─► rewards: costs become rewards, with a report that says whether to believe them."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from ailot_ray.errors import ConfigError
from ailot_ray.method.diagnostics import collapse_and_saturation, look_ahead_distance, relabel_correlations, time_isometry
from ailot_ray.method.reward import Rewards, rescale, rewards_from_costs, shuffle_rewards
from ailot_ray.methods import aligned_methods
from ailot_ray.pipeline.align import SOLVES, Features, align, load_costs
from ailot_ray.pipeline.experiment import Experiment
from ailot_ray.pipeline.pretrain import load_encoder, pretrain, untrained_encoder, value_reached
from ailot_ray.pipeline.warnings import HORIZONS, relabel_warnings
from ailot_ray.records import (
    CoherenceRecord,
    ExpertRecord,
    MarginalError,
    RankCorrelation,
    RelabelReport,
    Source,
    Spread,
    read_record,
)
from ailot_ray.store import Artefact, write_json, write_parquet

REWARDS, REPORT = "rewards.parquet", "report.json"


def relabel(experiment: Experiment, seeds: Sequence[int]) -> list[Artefact]:
    """The rewards of the experiment's method by each seed's intents. The true rewards are read for the report alone.

    For a method that takes the dataset's own rewards these are they, rescaled by the domain's rule. Raises ConfigError for a
    method without rewards.
    """
    if not experiment.method.rewarded:
        raise ConfigError(f"--method {experiment.method.name} has no rewards to relabel: choose {aligned_methods()}")
    alignments = dict(zip(seeds, align(experiment, seeds), strict=True)) if experiment.method.aligned else {}

    def build(missing: Sequence[int], folders: Sequence[Path]) -> None:
        (seed,), (folder,) = missing, folders
        if not experiment.method.aligned:
            _write_rewards(experiment, folder, true_rewards(experiment), None)
            return
        costs = load_costs(alignments[seed], len(experiment.dataset))
        rewards = rewards_from_costs(costs, experiment.dataset.offsets, experiment.config.reward)
        _write_rewards(experiment, folder, rewards.final, rewards)
        write_json(folder / REPORT, _report(experiment, seed, alignments[seed], rewards))

    return experiment.make("relabel", seeds, build)


def true_rewards(experiment: Experiment) -> NDArray[np.float32]:
    """The dataset's own rewards, or for a method that says so those of other trajectories, under the domain's rescaling.

    Raises ConfigError where the file has none, or but one value.
    """
    rewards, source = experiment.dataset.rewards, experiment.dataset.source
    if rewards is None or (rewards == rewards[0]).all():
        found = "has no `rewards`" if rewards is None else f"has {rewards[0]:g} as every reward"
        raise ConfigError(f"--method {experiment.method.name} needs true rewards, and {source} {found}: choose another method")
    if experiment.method.rewards == "shuffled":
        rewards = shuffle_rewards(rewards, experiment.dataset.offsets, np.random.default_rng(0)).astype(np.float32)
    return rescale(rewards, experiment.dataset.offsets, experiment.config.reward)


def _write_rewards(experiment: Experiment, folder: Path, final: NDArray[np.float32], rewards: Rewards | None) -> None:
    lengths = experiment.dataset.lengths
    columns = {
        "trajectory": np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        "step": np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
        "reward": final,
    }
    if rewards is not None:
        columns["expert"] = np.repeat(rewards.chosen, lengths).astype(np.int16)
        columns["squashed"] = rewards.squashed
    write_parquet(folder / REWARDS, pa.table(columns))


def load_rewards(artefact: Artefact) -> NDArray[np.float32]:
    """The learner's rewards of a rewards artefact, (N,), in the dataset's order."""
    rewards: NDArray[np.float32] = pq.read_table(artefact.path(REWARDS), columns=["reward"])["reward"].to_numpy()
    return rewards


def load_shares(experiment: Experiment, seed: int) -> NDArray[np.float64]:
    """exp(−τ·c/s) of an experiment that has been relabelled, (N,): rewards before the domain's rescaling, as shares of α."""
    squashed = pq.read_table(relabel(experiment, [seed])[0].path(REWARDS), columns=["squashed"])["squashed"].to_numpy()
    return np.asarray(squashed / experiment.config.reward.alpha, np.float64)


def load_report(experiment: Experiment, seed: int) -> RelabelReport:
    """The report on one seed's rewards, relabelled first where they are not: with the time that the alignment took."""
    report = read_record(relabel(experiment, [seed])[0].path(REPORT), RelabelReport)
    run = align(experiment, [seed])[0].run
    experts = [
        msgspec.structs.replace(told, origin=expert.origin)
        for told, expert in zip(report.experts, experiment.experts, strict=True)
    ]
    return msgspec.structs.replace(
        report,
        experts=experts,
        data=Source(experiment.dataset.source, experiment.dataset.digest),
        method=experiment.method.name,
        seed=seed if experiment.uses_intents else None,
        seconds_per_trajectory=run.seconds / experiment.dataset.trajectories if run else None,
    )


def _report(experiment: Experiment, seed: int, alignment: Artefact, rewards: Rewards) -> RelabelReport:
    dataset, config = experiment.dataset, experiment.config
    assert config.reward.alpha is not None
    solves = pq.read_table(alignment.path(SOLVES)) if alignment.path(SOLVES).exists() else None
    errors = solves["error"].to_numpy() if solves else np.zeros(0)
    collapsed, saturated = collapse_and_saturation(rewards.squashed, config.reward.alpha)
    known = {} if dataset.rewards is None else relabel_correlations(rewards.squashed, dataset.rewards, dataset.offsets)
    squashed = rewards.squashed
    isometry, ahead = _of_spaces(experiment, seed)
    report = RelabelReport(
        task=experiment.task.name,
        trajectories=dataset.trajectories,
        transitions=len(dataset),
        experts=[ExpertRecord(expert.true_return, len(expert.observations)) for expert in experiment.experts],
        rank_correlation=msgspec.convert(known, RankCorrelation),
        marginal_error=MarginalError(float(errors.mean()), float(errors.max())) if len(errors) else None,
        solves=len(errors),
        unconverged=int(len(errors) - sum(solves["converged"].to_pylist())) if solves else 0,
        collapse_share=collapsed,
        saturation_share=saturated,
        cost_scale=rewards.scale,
        reward=Spread(float(squashed.min()), float(squashed.mean()), float(squashed.max())),
        coherence=_coherence(solves, rewards.chosen, dataset.lengths),
        isometry=isometry,
        look_ahead_distance=ahead,
        value=value_reached(experiment, seed) if experiment.uses_intents else None,
        short_trajectories=int((dataset.lengths <= (config.transport.k or 0)).sum()),
    )
    return msgspec.structs.replace(report, warnings=relabel_warnings(config, experiment.uses_intents, report))


def _coherence(solves: pa.Table | None, chosen: NDArray[np.int64], lengths: NDArray[np.int64]) -> CoherenceRecord | None:
    """Order of time in the couplings with each trajectory's chosen expert; the mean, a trajectory weighing by its length."""
    if solves is None:
        return None
    experts = len(solves) // len(lengths)
    taken = np.arange(len(lengths)) * experts + chosen

    def mean(column: str) -> float | None:
        values = solves[column].to_numpy()[taken]
        known = ~np.isnan(values)
        return float(np.average(values[known], weights=lengths[known])) if known.any() else None

    return CoherenceRecord(mean("coherence"), mean("backward"))


def _of_spaces(experiment: Experiment, seed: int) -> tuple[dict[str, dict[str, float | None]], float | None]:
    """Time-isometry of raw states and, where intents are compared, of theirs and of an untrained encoder's; and how far away a
    state k steps ahead is in the compared space."""
    dataset, states = experiment.dataset, torch.from_numpy(experiment.dataset.observations)
    spaces = {"raw": dataset.observations}
    compared = dataset.observations
    if experiment.uses_intents:
        spaces["untrained"] = untrained_encoder(experiment, seed)(states).cpu().numpy()
        spaces["intent"] = load_encoder(pretrain(experiment, [seed])[0], experiment.device)(states).cpu().numpy()
        compared = spaces["intent"]
    elif experiment.config.transport.space == "standardised":
        compared = Features(experiment, None).space(dataset.observations).cpu().numpy()
    isometry = {
        name: {
            str(horizon): time_isometry(features, dataset.offsets, horizon, np.random.default_rng(0)) for horizon in HORIZONS
        }
        for name, features in spaces.items()
    }
    ahead = look_ahead_distance(compared, dataset.offsets, experiment.config.transport.k or 0, np.random.default_rng(0))
    return isometry, ahead
