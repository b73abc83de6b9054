"""Golden numbers of one tiny run: a formula that changes without its stage's version fails here.

Where a change is meant, raise the stage's `version` in ``ailot_ray/stages.py`` and write the numbers anew:
``PYTHONPATH=.:tests python tests/test_golden.py``.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from data.synthetic import episodes, write_hdf5
from safetensors.numpy import load_file

from ailot_ray import Config, Experiment
from ailot_ray.config import EvaluationConfig, ICVFConfig, IQLConfig
from ailot_ray.pipeline import diagnose, evaluate
from ailot_ray.stages import STAGES
from ailot_ray.store import SHORT

GOLDEN = Path(__file__).with_name("golden.json")
METHODS = ("ailot", "otr", "seabo", "bc", "iql")
Numbers = dict[str, list[float] | str | int]


def measure(folder: Path) -> dict[str, Numbers]:
    """By method and stage: its version, the digest of its key, and a few numbers of each of its files."""
    lengths, ends = (12, 8, 30, 15, 9), ("terminal", "timeout", "timeout", "terminal", "timeout")
    data = write_hdf5(folder / "hopper.hdf5", episodes(lengths, ends))
    found: dict[str, Numbers] = {}
    for method in METHODS:
        config = Config(
            task="hopper-medium-v2",
            data=data,
            method=method,
            device="cpu",
            icvf=ICVFConfig(steps=6, batch_size=16, width=8, learning_rate=0.01),
            iql=IQLConfig(steps=6, batch_size=16, width=8, learning_rate=0.01, snapshots=2),
            evaluation=EvaluationConfig(episodes=2, curve_episodes=1),
        )
        experiment = Experiment.open(config, folder / "store")
        artefacts = evaluate(experiment, [3])
        artefacts += diagnose(experiment, [3]) if experiment.method.aligned else []
        keys = experiment.keys(3) | (experiment.keys(3, "diagnose") if experiment.method.aligned else {})
        for stage in (stage for stage in STAGES if stage.artefact in keys):
            place = experiment.store.folder(stage.artefact, experiment.task.name, keys[stage.artefact])
            found[f"{method} {stage.verb}"] = {
                "version": stage.version,
                "digest": place.name[-SHORT:],
                **{
                    file.name: summary(file)
                    for file in sorted(place.iterdir())
                    if file.suffix in (".parquet", ".safetensors") or file.name == "curve.json"
                },
            }
    return found


def summary(file: Path) -> list[float]:
    """Mean and mean square of every numeric column or tensor of a file, in the order of their names."""
    if file.suffix == ".safetensors":
        columns = load_file(file)
    elif file.suffix == ".json":
        columns = {name: np.asarray([value], np.float64) for name, value in json.loads(file.read_text())[-1].items()}
    else:
        table = pq.read_table(file)
        columns = {name: table[name].to_numpy() for name in table.column_names if table[name].type not in ("string", "bool")}
    numbers = [np.asarray(columns[name], np.float64) for name in sorted(columns) if columns[name].dtype.kind in "fiu"]
    return [float(f"{value:.6g}") for column in numbers for value in (np.nanmean(column), np.nanmean(np.square(column)))]


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Numbers]:
    return measure(tmp_path_factory.mktemp("golden"))


def test_every_stage_of_every_method_has_its_golden_numbers(now: dict[str, Numbers]) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert {name: stage["version"] for name, stage in now.items()} == {name: stage["version"] for name, stage in golden.items()}


def test_keys_are_what_they_were(now: dict[str, Numbers]) -> None:
    """A key that changes leaves every store's artefacts behind: it must be meant."""
    golden = json.loads(GOLDEN.read_text())
    assert {name: stage["digest"] for name, stage in now.items()} == {name: stage["digest"] for name, stage in golden.items()}


@pytest.mark.parametrize("stage", json.loads(GOLDEN.read_text()) if GOLDEN.exists() else [])
def test_results_are_what_they_were(stage: str, now: dict[str, Numbers]) -> None:
    golden = json.loads(GOLDEN.read_text())[stage]
    assert now[stage].keys() == golden.keys()
    for file, numbers in golden.items():
        if isinstance(numbers, list):
            # networks and a simulator on another processor differ in the last digits, and those grow
            found: Any = now[stage][file]
            np.testing.assert_allclose(found, numbers, rtol=1e-2, atol=1e-3, err_msg=f"{stage}: {file}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps(measure(Path(folder)), indent=1) + "\n")
    sys.exit(0)
