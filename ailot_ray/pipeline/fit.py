"""The one training loop: advances a learner, keeps its curve, its snapshots and a checkpoint, and goes on after a kill."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ailot_ray.errors import AilotError, StoreError
from ailot_ray.files import replacing
from ailot_ray.method.learner import Learner
from ailot_ray.progress import progress_bar
from ailot_ray.store import CHECKPOINTS

CHUNK = 250
"""Steps between two looks at the clock. Random rows are drawn a chunk at a time, so it is part of the result's bytes."""
CHECKPOINT_SECONDS = 20.0
CURVE_POINTS = 200
SEALED = "sealed"
"""The one entry of a file's metadata (of several, safetensors does not keep the order): a digest, and what was told of it."""

Curve = list[dict[str, Any]]
"""Metrics on the way: the step, and for each metric its value, or a list of one value a member."""


class DivergenceError(AilotError):
    """A loss is not finite any more."""


def save_tensors(path: Path, tensors: dict[str, Tensor], about: str = "") -> None:
    """Write tensors as safetensors, atomically; `about` and a digest of both are kept as metadata."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        # not save_file: a full disk is no OSError there
        temporary.write_bytes(save(contiguous, {SEALED: f"{_content(contiguous, about)} {about}"}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read what `save_tensors` wrote: (tensors, about). Nothing is unpickled. Raises StoreError where the file was changed."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata() or {}
    if SEALED not in metadata:
        return tensors, metadata.get("about", "")
    digest, _, about = metadata[SEALED].partition(" ")
    if digest != _content(tensors, about):
        raise StoreError(f"{path} is damaged (its content is not of the digest written with it): delete it and run again")
    return tensors, about


def _content(tensors: dict[str, Tensor], about: str) -> str:
    """SHA-256 of names, types, shapes and numbers, whatever their order, and of `about`."""
    digest = hashlib.sha256(about.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def fit(
    learner: Learner,
    total: int,
    folder: Path,
    label: str,
    snapshots: Sequence[int] = (),
    on_snapshot: Callable[[int], None] = lambda step: None,
    name: str = "learner",
    on_point: Callable[[dict[str, Any]], None] | None = None,
) -> Curve:
    """Advance `learner` to `total` steps and return its curve.

    `folder` is the work folder that keeps the checkpoint, at most `CHECKPOINT_SECONDS` and one chunk old; a readable one there
    is gone on from, with the same bytes as an undisturbed run. `on_snapshot` is called at each step of `snapshots`; after a
    resume it may see a step again. `on_point` is told of each point of the curve, after a resume first of those of before.
    Raises DivergenceError where a metric is not finite.
    """
    checkpoint = folder / CHECKPOINTS / f"{name}.safetensors"
    curve = _resume(learner, checkpoint)
    if on_point:
        for point in curve:
            on_point(point)
    every = max(CHUNK, total // CURVE_POINTS)
    saved = time.monotonic()
    stops = sorted({*snapshots, total})
    with progress_bar(total, label, "step", learner.step) as bar:
        while learner.step < total:
            stop = min(stop for stop in stops if stop > learner.step)
            target = min((learner.step // CHUNK + 1) * CHUNK, stop)
            before = learner.step
            metrics = {name: value.tolist() for name, value in learner.advance(target - before).items()}
            _require_finite(metrics, learner.step, label)
            if learner.step == total or learner.step // every > before // every:
                curve.append({"step": learner.step, **metrics})
                if on_point:
                    on_point(curve[-1])
            if learner.step in snapshots:
                on_snapshot(learner.step)
            bar.update(learner.step - before)
            if time.monotonic() - saved > CHECKPOINT_SECONDS and learner.step < total:
                save_tensors(checkpoint, learner.state(), json.dumps(curve))
                saved = time.monotonic()
    return curve


def fit_members(
    learner: Learner,
    total: int,
    folders: Sequence[Path],
    label: str,
    snapshots: Sequence[int] = (),
    on_snapshot: Callable[[int], None] = lambda step: None,
    on_point: Callable[[dict[str, Any]], None] | None = None,
) -> list[Curve]:
    """`fit` for a learner whose member i is to end in `folders[i]`: one curve a member. The first keeps the checkpoint."""
    # stacked members go on together or not at all: a checkpoint of another group is not theirs
    group = hashlib.sha256(" ".join(folder.name for folder in folders).encode()).hexdigest()[:12]
    name = "learner" if len(folders) == 1 else f"learner-{group}"
    together = fit(learner, total, folders[0], label, snapshots, on_snapshot, name, on_point)
    return [
        [{name: value[i] if isinstance(value, list) else value for name, value in point.items()} for point in together]
        for i in range(learner.members)
    ]


def _resume(learner: Learner, checkpoint: Path) -> Curve:
    if not checkpoint.exists():
        return []
    try:
        state, about = load_tensors(checkpoint)
        curve: Curve = json.loads(about)
        learner.restore(state)
    except (SafetensorError, KeyError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())  # torch's span lines
        raise AilotError(f"{checkpoint} cannot be resumed from ({reason}): delete it to start that stage over") from error
    return curve


def _require_finite(metrics: dict[str, list[float]], step: int, label: str) -> None:
    for name, values in metrics.items():
        bad = [i for i, value in enumerate(values) if not torch.tensor(value).isfinite()]
        if bad:
            raise DivergenceError(
                f"{label}: {name} of member {bad[0]} is {values[bad[0]]} at step {step}: "
                "lower the learning rate, or look at the data with `data inspect`"
            )
