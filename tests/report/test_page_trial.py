"""What the page shows of one trial: its rewards and the diagnosis of its alignment, as they lie in the store."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.collections import QuadMesh

from ailot_ray.report.figures import alignment
from ailot_ray.report.figures.canvas import tips
from ailot_ray.report.page.details import parts
from ailot_ray.report.portraits import Portrait, load_portrait, load_rewards
from ailot_ray.report.record import Trial, read_trial

from .conftest import WriteTrial

TASK = "hopper-medium-v2"
Write = Callable[[str, dict[str, Any], dict[str, pa.Table]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an artefact's key and tables."""

    def artefact(name: str, key: dict[str, Any], tables: dict[str, pa.Table]) -> Path:
        folder = tmp_path / "store" / name
        folder.mkdir(parents=True)
        for table, content in tables.items():
            pq.write_table(content, folder / f"{table}.parquet")
        manifest = {"kind": folder.parent.name, "digest": folder.name, "key": key, "files": {}}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return artefact


@pytest.fixture
def trial(write: Write, write_trial: WriteTrial) -> Trial:
    """A trial under α = 5 with rewards, and two diagnoses of them, the newer with a coupling that runs backward."""
    squashed = np.array([0.0, 0.05, 2.5, 4.99])
    write("rewards/one", {}, {"rewards": pa.table({"squashed": squashed, "reward": squashed - 1})})
    steps = pa.table({"name": ["expert", "expert", "best"], "step": [0, 1, 0], "reward": [5.0, 4.0, 1.0]})
    quartiles = {"horizon": [1, 10], "low": [1.0, 2.0], "median": [2.0, 4.0], "high": [3.0, 8.0]}
    isometry = pa.table({"space": ["intents"] * 2, **quartiles})
    bins = {"row": [0, 0, 2, 2], "row_end": [1, 1, 3, 3], "column": [0, 4, 0, 4], "column_end": [3, 7, 3, 7]}
    coupling = pa.table({"name": ["best"] * 4, **bins, "mass": [0.0, 0.5, 0.4, 0.1]})
    for version, tables in ((9, {}), (10, {"coupling": coupling})):
        key = {"rewards": "one", "version": version}
        folder = write(f"diagnostics/{TASK}-{version}", key, {"steps": steps, "isometry": isometry, **tables})
        lines = [{"name": "expert", "true_return": None}, {"name": "best", "trajectory": 7, "true_return": 1200.0}]
        (folder / "diagnostics.json").write_text(json.dumps({"lines": lines}))
    found = read_trial(write_trial("ailot", reward__alpha=5.0))
    return replace(found, artefacts={"rewards": "one", "alignment": "other"})


def portrait_of(trial: Trial) -> Portrait:
    portrait = load_portrait(trial)
    assert portrait is not None
    return portrait


def test_rewards_are_shares_of_alpha(trial: Trial) -> None:
    rewards = load_rewards(trial)
    assert rewards is not None and rewards[1]
    assert rewards[0].tolist() == pytest.approx([0.0, 0.01, 0.5, 0.998])
    histogram = parts(trial)[0].figure
    assert histogram is not None
    assert histogram.axes[0].get_title(loc="left") == "collapsed 50.0 %, saturated 25.0 %"


def test_rewards_of_others_are_drawn_as_they_are(trial: Trial, write: Write) -> None:
    write("rewards/plain", {}, {"rewards": pa.table({"reward": [-1.0, 30.0]})})
    plain = replace(trial, artefacts={"rewards": "plain"})
    assert [part.title for part in parts(plain)] == ["Rewards of the dataset"]
    assert load_rewards(replace(trial, artefacts={})) is None and parts(replace(trial, artefacts={})) == []


def test_the_newest_diagnosis_of_the_rewards_is_shown(trial: Trial, write: Write) -> None:
    write(f"diagnostics/{TASK}-other", {"rewards": "other", "version": 11}, {})
    assert portrait_of(trial).coupling is not None
    titles = [part.title for part in parts(trial)]
    assert titles == ["Rewards of the dataset", "Reward along trajectories", "Couplings with the expert", "Time-isometry"]


def test_rewards_along_trajectories(trial: Trial) -> None:
    expert, best = alignment.reward_along(portrait_of(trial), 5.0).axes[0].lines
    assert np.asarray(expert.get_xydata()).tolist() == [[0, 5.0], [1, 4.0]]
    assert tips(best) == ["best (trajectory 7), true return 1,200"]


def test_couplings_are_relative_to_each_row_with_the_mean_matched_step(trial: Trial) -> None:
    figure = alignment.couplings(portrait_of(trial))
    assert figure is not None
    (mesh,) = [one for one in figure.axes[0].collections if isinstance(one, QuadMesh)]
    np.testing.assert_allclose(np.asarray(mesh.get_array()), [[0.0, 1.0], [1.0, 0.25]])
    (mean,) = figure.axes[0].lines
    np.testing.assert_allclose(np.asarray(mean.get_xydata(), float), [[5.5, 0.5], [0.8 * 1.5 + 0.2 * 5.5, 2.5]])


def test_distances_are_relative_to_the_median_at_the_farthest(trial: Trial) -> None:
    (axis,) = alignment.isometry(portrait_of(trial)).axes
    assert np.asarray(axis.lines[0].get_xydata()).tolist() == [[1, 0.5], [10, 1.0]]
    heights = np.asarray(axis.collections[0].get_paths()[0].vertices)[:, 1]
    assert set(heights.tolist()) == {0.25, 0.5, 0.75, 2.0}


@pytest.mark.parametrize(
    "shape", ["{", "{}", "[]", "null", '{"lines": 3}', '{"lines": [{"name": "another"}]}', '{"lines": [{}]}']
)
def test_a_damaged_diagnosis_is_none(trial: Trial, tmp_path: Path, shape: str) -> None:
    assert load_portrait(trial) is not None
    (tmp_path / "store" / "diagnostics" / f"{TASK}-10" / "diagnostics.json").write_text(shape)
    assert load_portrait(trial) is None and parts(trial)


def test_states_over_a_maze(trial: Trial) -> None:
    steps = pa.table({"name": ["expert"], "step": [0], "reward": [1.0], "x": [0.0], "y": [4.0]})
    places = pa.table({"x": [1.0, 2.0], "y": [3.0, 4.0], "reward": [0.5, 2.5]})
    portrait = replace(portrait_of(trial), steps=steps, places=places, environment="AntMaze-umaze")
    assert alignment.over_maze(replace(portrait, places=None), 5.0) is None
    figure = alignment.over_maze(portrait, 5.0)
    assert figure is not None
    states: Any = figure.axes[0].collections[0]
    assert states.get_offsets().tolist() == [[1.0, 3.0], [2.0, 4.0]] and states.get_array().tolist() == [0.5, 2.5]
    assert states.get_clim() == (0.0, 5.0) and len(figure.axes[0].patches) > 4
