"""The whole pipeline on a task of OGBench's of each kind."""

from pathlib import Path

import numpy as np
import pytest
from data.ogbench_made import CUBE, POINT, SCENE, made, needs_ogbench, write_npz

from ailot_ray.config import Config, EvaluationConfig
from ailot_ray.pipeline import Experiment, evaluate
from ailot_ray.records import TrialRecord, read_record
from ailot_ray.store import Store
from ailot_ray.tasks import get_task

from .conftest import TINY


@pytest.mark.parametrize("name", [POINT, CUBE, SCENE])
def test_from_a_file_to_a_score(name: str, tmp_path: Path) -> None:
    needs_ogbench()
    write_npz(tmp_path / str(get_task(name).file_name), made(name))
    tiny = TINY | {"evaluation": EvaluationConfig(episodes=1, curve_episodes=0)}
    config = Config(task=name, data_dir=tmp_path, device="cpu", **tiny)
    experiment = Experiment.open(config, Store(tmp_path / "store"))
    (scores,) = evaluate(experiment, [0])
    record = read_record(scores.path("trial.json"), TrialRecord)
    assert record.data.mean_score == pytest.approx(200 / 3)
    assert (record.data.best_score, record.data.substituted) == (100.0, False)
    assert record.expert[0].true_return is not None and record.expert[0].true_return < 0.0


def test_tasks_of_one_file_share_no_artefact(tmp_path: Path) -> None:
    needs_ogbench()
    write_npz(tmp_path / str(get_task(POINT).file_name), made(POINT))
    keys = []
    for name in (POINT, POINT.replace("task3", "task2")):
        config = Config(task=name, data_dir=tmp_path, device="cpu", method="iql", **TINY)
        experiment = Experiment.open(config, Store(tmp_path / "store"))
        keys.append(experiment.keys(0)["policies"])
        assert experiment.dataset.rewards is not None and np.any(experiment.dataset.rewards == 0) == (name == POINT)
    assert keys[0] != keys[1]
