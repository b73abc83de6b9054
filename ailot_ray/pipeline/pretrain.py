"""pretrain ─► intents: an ICVF of each seed, and the features that alignments compare."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ailot_ray.method.goals import GoalSampler
from ailot_ray.method.icvf import ICVF, IntentEncoder
from ailot_ray.method.learner import seeded
from ailot_ray.pipeline.experiment import Experiment
from ailot_ray.pipeline.fit import fit_members, load_tensors, save_tensors
from ailot_ray.records import IntentValue
from ailot_ray.store import Artefact, read_json, write_json

ENCODER, CURVE = "icvf.safetensors", "curve.json"


def standardisation(observations: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each component, (o,); a constant component keeps its unit."""
    mean, std = observations.double().mean(0), observations.double().std(0, correction=0)
    return mean.float(), torch.where(std < 1e-6, 1.0, std).float()


OnPoint = Callable[[Sequence[int], dict[str, Any]], None]
"""Told of the seeds that train together and of each new point of their curve; its metrics are lists, one value a seed."""


def pretrain(experiment: Experiment, seeds: Sequence[int], on_point: OnPoint | None = None) -> list[Artefact]:
    """Train the intents of `seeds`, or read back those that exist. `on_point` is told of each point of the curve on the way."""
    config = experiment.config.icvf
    mean, std = _standardisation(experiment)

    def build(missing: Sequence[int], folders: Sequence[Path]) -> None:
        icvf = _learner(experiment, missing, mean, std)
        label = f"intents {experiment.task.name} seeds {list(missing)}"

        def reached(point: dict[str, Any]) -> None:
            if on_point:
                on_point(missing, point)

        curve = fit_members(icvf, config.steps, folders, label, on_point=reached)
        for member, folder in enumerate(folders):
            save_tensors(folder / ENCODER, icvf.result(member) | {"mean": mean, "std": std})
            write_json(folder / CURVE, curve[member])

    return experiment.make("pretrain", seeds, build)


def value_reached(experiment: Experiment, seed: int) -> IntentValue | None:
    """How far the value of a seed's intents has come; None where they were not trained."""
    curve = read_json(pretrain(experiment, [seed])[0].path(CURVE))
    if not curve or experiment.config.icvf.discount == 1.0:
        return None
    last = [point["value"] for point in curve[-max(1, len(curve) // 10) :]]
    sampler = _sampler(experiment, *_standardisation(experiment))
    return IntentValue(float(np.mean(last)), sampler.pace(experiment.config.icvf, seeded(0, 3)))


def untrained_encoder(experiment: Experiment, seed: int) -> IntentEncoder:
    """The encoder from which the seed's training starts: what trained intents are measured against."""
    mean, std = _standardisation(experiment)
    return IntentEncoder(_learner(experiment, [seed], mean, std).result(0), mean, std, experiment.device)


def _standardisation(experiment: Experiment) -> tuple[Tensor, Tensor]:
    """What the networks' states are reduced by, (o,) each; nothing where they are told so."""
    mean, std = standardisation(torch.from_numpy(experiment.dataset.observations))
    return (mean, std) if experiment.config.icvf.standardise else (torch.zeros_like(mean), torch.ones_like(std))


def _learner(experiment: Experiment, seeds: Sequence[int], mean: Tensor, std: Tensor) -> ICVF:
    return ICVF(_sampler(experiment, mean, std), seeds, experiment.config.icvf)


def _sampler(experiment: Experiment, mean: Tensor, std: Tensor) -> GoalSampler:
    dataset = experiment.dataset
    return GoalSampler(
        ((torch.from_numpy(dataset.observations) - mean) / std).to(experiment.device),
        ((torch.from_numpy(dataset.next_observations) - mean) / std).to(experiment.device),
        torch.from_numpy(dataset.offsets),
        torch.from_numpy(dataset.successor_known),
    )


def load_encoder(artefact: Artefact, device: torch.device) -> IntentEncoder:
    """The encoder of an intents artefact."""
    tensors, _ = load_tensors(artefact.path(ENCODER))
    mean, std = tensors.pop("mean"), tensors.pop("std")
    return IntentEncoder(tensors, mean, std, device)
