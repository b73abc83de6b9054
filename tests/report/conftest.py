"""A synthetic store, written here by hand in the layout that the reports read."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ailot_ray.store import SHORT, Key, digest_of

WriteTrial = Callable[..., Path]

DATA = {
    "hopper-medium-v2": ("/data/hopper-medium.hdf5", "a1b2c3d4" * 8, True, 38.25),
    "walker2d-medium-v2": ("/data/walker2d_medium-v2.hdf5", "0f" * 32, False, 62.0),
}


@pytest.fixture
def write_trial(tmp_path: Path) -> WriteTrial:
    """Write one score artefact into ``tmp_path / "store"`` and return its folder.

    `curve` gives the episodes' scores by gradient steps; a return is ten times its score.
    """

    def write(
        method: str = "ailot",
        seed: int = 0,
        curve: dict[int, list[float]] | None = None,
        task: str = "hopper-medium-v2",
        mean_score: float | str | None = "table",
        source: str | None = None,
        finished: str = "",
        **config: Any,
    ) -> Path:
        own, data_digest, substituted, dataset_score = DATA[task]
        source = source or own
        episodes = [(step, i, s) for step, scores in (curve or {1000: [50.0]}).items() for i, s in enumerate(scores)]
        settings = {path.replace("__", "."): value for path, value in config.items()}
        trial = {
            "task": task,
            "data": {
                "source": source,
                "digest": data_digest,
                "substituted": substituted,
                "episodes": 279,
                "mean_return": 1226.0,
                "mean_score": dataset_score if mean_score == "table" else mean_score,
                "best_score": 55.0,
            },
            "expert": [{"origin": "hopper-medium.hdf5 trajectory 3", "true_return": 1800.0}],
            "method": method,
            "seed": seed,
            "config": {"task": task, "data": source, "method": method, "device": "cpu"} | settings,
            "artefacts": {},
        }
        key = {"trial": hashlib.sha256(json.dumps([trial, episodes]).encode()).hexdigest()}
        folder = tmp_path / "store" / "scores" / f"{task}-{digest_of('scores', key)[:SHORT]}"
        folder.mkdir(parents=True)
        (folder / "trial.json").write_text(json.dumps(trial))
        columns = {
            "step": np.array([e[0] for e in episodes], np.int64),
            "episode": np.array([e[1] for e in episodes], np.int64),
            "return": np.array([10 * e[2] for e in episodes], np.float64),
            "length": np.full(len(episodes), 500, np.int64),
            "score": np.array([e[2] for e in episodes], np.float64),
        }
        pq.write_table(pa.table(columns), folder / "episodes.parquet")
        if finished:
            (folder / "run.json").write_text(json.dumps({"finished": finished, "seconds": 1.0}))
        sign(folder, key)
        return folder

    return write


def write_thousand(write_trial: WriteTrial) -> None:
    """A thousand trials that differ in three settings and the seed, each with a learning curve."""
    for i in range(1000):
        curve = {step: [float((i * step) % 97)] * 5 for step in range(100_000, 1_000_001, 100_000)}
        settings = {"reward__tau": 0.1 * (i // 5 % 5), "reward__alpha": float(i // 25 % 4), "transport__k": i // 100}
        write_trial("ailot", i % 5, curve, **settings)


def sign(folder: Path, key: Key) -> None:
    """Write the manifest of what lies in `folder`, which marks it as finished."""
    names = [path.name for path in folder.iterdir() if path.name not in ("manifest.json", "run.json")]
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    manifest = {"kind": "scores", "digest": digest_of("scores", key), "key": key, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def resign() -> Callable[[Path], None]:
    """Rewrite an artefact's manifest after its files were changed, keeping its key."""
    return lambda folder: sign(folder, json.loads((folder / "manifest.json").read_text())["key"])


@pytest.fixture
def store(tmp_path: Path, write_trial: WriteTrial) -> Path:
    """Five methods × three seeds on hopper (stand-in data), AILOT's under two τ, and BC and AILOT on walker2d (own data)."""
    levels = {"bc": 30.0, "otr": 60.0, "seabo": 55.0, "ailot": 70.0, "iql": 75.0}
    rng = np.random.default_rng(7)
    for task, methods in {"hopper-medium-v2": levels, "walker2d-medium-v2": {"bc": 40.0, "ailot": 80.0}}.items():
        for method, level in methods.items():
            for tau in (0.1, 0.5) if (method, task[:6]) == ("ailot", "hopper") else (0.5,):
                for seed in range(3):
                    height = level * (1.0 if tau == 0.5 else 0.7) + rng.normal(0, 3)
                    curve = {
                        s: list(height * (1 - np.exp(-s / 2e5)) + rng.normal(0, 4, 5))
                        for s in range(100_000, 1_000_001, 100_000)
                    }
                    write_trial(method, seed, curve, task, reward__tau=tau, transport__k=2, iql__steps=1_000_000)
    return tmp_path / "store"
