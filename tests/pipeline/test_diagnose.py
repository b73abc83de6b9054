"""Portraits: what is drawn of a relabelling is what the relabelling is made of."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ailot_ray.config import RewardConfig, TransportConfig
from ailot_ray.errors import ConfigError
from ailot_ray.pipeline import Experiment, align, diagnose, relabel
from ailot_ray.pipeline.align import SOLVES, load_costs
from ailot_ray.pipeline.diagnose import MAX_BINS, _edges
from ailot_ray.pipeline.relabel import REWARDS
from ailot_ray.store import Artefact, read_json

from .conftest import OpenExperiment


def table(drawn: Artefact, name: str) -> dict[str, np.ndarray]:
    read = pq.ParquetFile(drawn.path(f"{name}.parquet")).read()
    return {column: read[column].to_numpy(zero_copy_only=False) for column in read.column_names}


def lines(drawn: Artefact) -> dict[str, dict[str, float]]:
    return {line["name"]: line for line in read_json(drawn.path("diagnostics.json"))["lines"]}


def rows_of(experiment: Experiment, trajectory: int) -> slice:
    return list(experiment.dataset.rows())[trajectory]


def test_rewards_along_trajectories_are_the_relabelled_ones(open_experiment: OpenExperiment) -> None:
    experiment = open_experiment()
    drawn = diagnose(experiment, [0])[0]
    squashed = pq.read_table(relabel(experiment, [0])[0].path(REWARDS))["squashed"].to_numpy()
    costs = load_costs(align(experiment, [0])[0], len(experiment.dataset))[0]
    steps, about = table(drawn, "steps"), lines(drawn)
    returns = experiment.dataset.returns()
    order = np.argsort(returns)
    # the dataset's best trajectory is the expert itself, so the next one is drawn
    assert (about["best"]["trajectory"], about["worst"]["trajectory"]) == (order[-2], order[0])
    for name in ("best", "worst"):
        rows = rows_of(experiment, int(about[name]["trajectory"]))
        mine = steps["name"] == name
        np.testing.assert_allclose(steps["reward"][mine], squashed[rows], rtol=1e-5)
        np.testing.assert_allclose(steps["cost"][mine], costs[rows], rtol=1e-5)
        assert about[name]["true_return"] == pytest.approx(returns[int(about[name]["trajectory"])])
    expert = steps["reward"][steps["name"] == "expert"]
    assert len(expert) == len(experiment.experts[0].observations)
    assert expert.mean() > steps["reward"][steps["name"] == "worst"].mean()


def test_couplings_keep_their_mass(open_experiment: OpenExperiment) -> None:
    experiment = open_experiment(transport=TransportConfig(start="cut", k=0))
    drawn = diagnose(experiment, [0])[0]
    coupling, about = table(drawn, "coupling"), lines(drawn)
    for name, line in about.items():
        mine = coupling["name"] == name
        mass, rows = coupling["mass"][mine], coupling["row"][mine]
        np.testing.assert_allclose([mass[rows == row].sum() for row in np.unique(rows)], 1.0 / line["steps"], rtol=1e-3)
        assert coupling["row_end"][mine].max() == line["steps"]
        assert coupling["column_end"][mine].max() == len(experiment.experts[0].observations)  # the steps of the whole expert
        assert (coupling["column"][mine] < coupling["column_end"][mine]).all()
    solves = pq.read_table(align(experiment, [0])[0].path(SOLVES)).to_pandas().set_index("trajectory")["first"]
    cuts = {name: int(solves[int(about[name]["trajectory"])]) for name in ("best", "worst")}
    assert max(cuts.values()) > 0
    for name, first in cuts.items():
        assert coupling["column"][coupling["name"] == name].min() == first, "columns are steps of the expert, cut or not"
    # an expert is aligned with itself along the diagonal
    mine = coupling["name"] == "expert"
    diagonal = coupling["row"][mine] == coupling["column"][mine]
    assert coupling["mass"][mine][diagonal].sum() > 0.5


@pytest.mark.parametrize("size", [1, 2, MAX_BINS - 1, MAX_BINS, MAX_BINS + 1, 1000])
def test_bins_are_few_and_cover_everything(size: int) -> None:
    edges = _edges(size)
    assert (edges[0], edges[-1]) == (0, size) and len(edges) - 1 == min(size, MAX_BINS)
    widths = np.diff(edges)
    assert widths.min() >= 1 and widths.max() - widths.min() <= 1


def test_isometry_is_of_states_so_many_steps_apart(open_experiment: OpenExperiment) -> None:
    experiment = open_experiment()
    curve = table(diagnose(experiment, [0])[0], "isometry")
    assert set(curve["space"]) == {"intents", "standardised states"}
    dataset = experiment.dataset
    scaled = (dataset.observations - dataset.observations.mean(0)) / np.maximum(dataset.observations.std(0), 1e-6)
    pairs = [scaled[row][5:] - scaled[row][:-5] for row in dataset.rows() if row.stop - row.start > 5]
    expected = np.median(np.linalg.norm(np.concatenate(pairs), axis=1))
    mine = (curve["space"] == "standardised states") & (curve["horizon"] == 5)
    assert curve["median"][mine][0] == pytest.approx(expected, rel=0.05)
    assert (curve["low"] <= curve["median"]).all() and (curve["median"] <= curve["high"]).all()
    assert curve["horizon"].max() < dataset.lengths.max()


def test_baselines_have_portraits_of_what_they_have(open_experiment: OpenExperiment) -> None:
    otr, seabo = diagnose(open_experiment("otr"), [0])[0], diagnose(open_experiment("seabo"), [0])[0]
    assert otr.path("coupling.parquet").exists() and not seabo.path("coupling.parquet").exists()
    assert set(table(otr, "isometry")["space"]) == {"standardised states"}
    experiment = open_experiment("seabo")
    squashed = pq.read_table(relabel(experiment, [0])[0].path(REWARDS))["squashed"].to_numpy()
    steps, worst = table(seabo, "steps"), lines(seabo)["worst"]
    np.testing.assert_allclose(
        steps["reward"][steps["name"] == "worst"], squashed[rows_of(experiment, int(worst["trajectory"]))], rtol=1e-5
    )
    for method in ("bc", "iql"):
        with pytest.raises(ConfigError, match=f"--method {method}"):
            diagnose(open_experiment(method), [0])[0]


def test_the_expert_behind_a_trajectorys_rewards_is_the_one_drawn(open_experiment: OpenExperiment) -> None:
    experiment = open_experiment(experts=3, reward=RewardConfig(tau=2.0))
    drawn = diagnose(experiment, [0])[0]
    squashed = pq.read_table(relabel(experiment, [0])[0].path(REWARDS))["squashed"].to_numpy()
    steps = table(drawn, "steps")
    for name in ("best", "worst"):
        rows = rows_of(experiment, int(lines(drawn)[name]["trajectory"]))
        np.testing.assert_allclose(steps["reward"][steps["name"] == name], squashed[rows], rtol=1e-5)


def test_a_portrait_is_made_once_and_again_the_same(open_experiment: OpenExperiment, tmp_path: Path) -> None:
    first = diagnose(open_experiment(), [0])[0]
    assert diagnose(open_experiment(), [0])[0] == first
    again = diagnose(open_experiment(store="other"), [0])[0]
    assert again.digest == first.digest
    for path in first.folder.glob("*.*"):
        if path.name not in ("run.json",):
            assert path.read_bytes() == again.path(path.name).read_bytes(), path.name
    assert sum(path.stat().st_size for path in first.folder.iterdir()) < 400_000
