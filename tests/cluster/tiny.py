"""A tiny dataset with settings that finish in milliseconds, and what a store tells of the work that was done in it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.synthetic import episodes, write_hdf5
from pipeline.conftest import ENDS, LENGTHS, TINY

from ailot_ray.cluster.sweep import Sweep
from ailot_ray.config import Config
from ailot_ray.files import sha256_of
from ailot_ray.pipeline import Experiment
from ailot_ray.report.record import load_trials
from ailot_ray.store import MANIFEST, RUN, Store, read_journal

GRID: dict[str, tuple[Any, ...]] = {"reward.alpha": (1.0, 5.0, 9.0), "reward.tau": (0.1, 0.5, 2.0), "transport.k": (0, 2)}
"""3 α × 3 τ × 2 k: on two seeds 2 pretrainings, 4 alignments and 36 of each that follows."""
DISTINCT = {"intents": 2, "alignment": 4, "rewards": 36, "policies": 36, "scores": 36}


def tiny(folder: Path, **fields: Any) -> Config:
    """Settings on 12 trajectories of 8 to 30 steps in Hopper's sizes, whose file is made in `folder`."""
    data = folder / "hopper.hdf5"
    if not data.exists():
        write_hdf5(data, episodes(LENGTHS, ENDS))
    return Config(task="hopper-medium-v2", data=data, device="cpu", **(TINY | fields))


def tiny_sweep(folder: Path, **fields: Any) -> Sweep:
    """The grid on two seeds; `fields` replace those of the sweep."""
    return replace(Sweep("tiny", tiny(folder), grid=GRID, seeds=(0, 1)), **fields)


def opened(config: Config, store: Path) -> Experiment:
    return Experiment.open(config, Store(store))


def executed(store: Path, event: str = "finished") -> dict[str, int]:
    """How many artefacts of each kind were begun or finished, by the processes' journals."""
    return dict(Counter(entry["kind"] for entry in read_journal(store) if entry["event"] == event))


def sealed(store: Path) -> dict[str, str]:
    """The SHA-256 of every file of every finished artefact."""
    folders = [manifest.parent for manifest in store.glob(f"[a-z]*/*/{MANIFEST}")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name != RUN]
    return {str(path.relative_to(store)): sha256_of(path) for path in files}


def table(store: Path) -> list[tuple[Any, ...]]:
    """What the results table is made of: every trial with each of its episodes."""
    return [(trial.digest, trial.seed, trial.steps.tolist(), trial.scores.tolist()) for trial in load_trials(store)]


def require_nothing_half_written(store: Path) -> None:
    """Every folder of artefacts is a finished one, and no temporary file is left among them."""
    kinds = ("intents", "alignment", "rewards", "policies", "scores")
    folders = {path for kind in kinds for path in (store / kind).glob("*")}
    assert folders == {manifest.parent for kind in kinds for manifest in (store / kind).glob(f"*/{MANIFEST}")}
    assert [path for folder in folders for path in folder.rglob(".tmp-*")] == []
