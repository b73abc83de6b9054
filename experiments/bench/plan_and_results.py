"""How long it takes to plan a sweep, and to show a store's results, in seconds of CPU. Starts no Ray.

    python experiments/bench/plan_and_results.py --trials 10000 --artefacts 1000

A plan of trials of five seeds on the built-in data, the first that a store sees and one after it; `results` in a process of its
own on made-up artefacts of five seeds a setting; and, for the page, reading the store, reading it again, and each view.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tyro

from ailot_ray import Config
from ailot_ray.cluster import Sweep, plan
from ailot_ray.records import DataRecord, TrialRecord
from ailot_ray.report.page.browser import EXPLAIN, Browser
from ailot_ray.report.page.sources import Sources
from ailot_ray.store import Store, write_json, write_parquet

SEEDS = 5


@dataclass(frozen=True)
class Arguments:
    trials: int = 10_000
    artefacts: int = 1_000


def cpu(what: Callable[[], object]) -> float:
    """Seconds of CPU of this process."""
    began = time.process_time()
    what()
    return time.process_time() - began


def grid(trials: int) -> Sweep:
    taus = tuple(0.01 * (i + 1) for i in range(max(1, trials // 10)))
    return Sweep(
        "big", Config(task="hopper-builtin"), {"reward.tau": taus, "transport.k": tuple(range(10))}, seeds=(*range(SEEDS),)
    )


def fill(store: Store, artefacts: int) -> None:
    """Score artefacts of a grid of τ, α and k, five seeds each, with ten points of five episodes."""
    data = DataRecord(digest="0" * 64, substituted=True, episodes=100, mean_return=1000.0, mean_score=30.0, best_score=60.0)
    for i in range(artefacts):
        config: dict[str, Any] = {
            "reward.tau": 0.05 * (i // SEEDS % 20 + 1),
            "reward.alpha": float(i // 100 % 10 + 1),
            "transport.k": i // 1000,
            "iql.steps": 1_000_000,
        }
        rng = np.random.default_rng(i)
        steps = np.repeat(np.arange(100_000, 1_000_001, 100_000), 5)
        scores = rng.normal(50, 10, len(steps))
        table = pa.table({"step": steps, "episode": np.tile(np.arange(5), 10), "return": 10 * scores, "score": scores})
        record = TrialRecord("hopper-medium-v2", data, "ailot", i % SEEDS, config, {})

        def build(folder: Path, table: pa.Table = table, record: TrialRecord = record) -> None:
            write_parquet(folder / "episodes.parquet", table)
            write_json(folder / "trial.json", record)

        store.produce("scores", "hopper-medium-v2", {"number": i}, build)


def main(arguments: Arguments) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        for which in ("first", "second"):
            spent = cpu(lambda: plan(grid(arguments.trials), store))
            print(f"plan of {arguments.trials:,} trials of {SEEDS} seeds, {which}: {spent:.1f} s of CPU")
        filled = Path(folder) / "filled"
        fill(Store(filled), arguments.artefacts)
        before = os.times()
        command = [sys.executable, "-m", "ailot_ray", "results", "--store", str(filled)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        print(f"results of {arguments.artefacts:,} artefacts: {spent:.1f} s of CPU")
        browser = Browser(Sources([filled]))
        print(f"page, the store read: {cpu(browser.sources.read):.1f} s, again: {cpu(browser.sources.read):.2f} s of CPU")
        page = browser.page()[1]
        views = {view: round(cpu(lambda view=view: page.svg(view, page.choice(view))), 2) for view in EXPLAIN}  # type: ignore[misc]
        print(f"views: {json.dumps(views)}")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
