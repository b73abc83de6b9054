"""Collecting a store: what is read, what is ignored, and how damage is told."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ailot_ray.errors import StoreError
from ailot_ray.report.record import load_trials
from ailot_ray.report.results import FIXED_COLUMNS, collect, write_results

from .conftest import DATA, WriteTrial

CURVE = {500: [1.0, 3.0], 1000: [10.0, 20.0, 60.0]}


def test_a_trial_is_a_row_of_its_final_episodes(tmp_path: Path, write_trial: WriteTrial) -> None:
    folder = write_trial("otr", 4, CURVE, reward__tau=0.5, expert=None, transport__metric="cosine", reward__rescale=True)
    table = collect(tmp_path / "store")
    assert tuple(table.column_names[: len(FIXED_COLUMNS)]) == FIXED_COLUMNS
    [row] = table.to_pylist()
    assert folder.name.endswith(row.pop("digest")[:12])
    assert row == {
        "task": "hopper-medium-v2",
        "data": "hopper-medium.hdf5",
        "data_digest": DATA["hopper-medium-v2"][1],
        "substituted": True,
        "normalised": True,
        "dataset_score": 38.25,
        "method": "otr",
        "seed": 4,
        "score": 30.0,
        "scores": [10.0, 20.0, 60.0],
        "returns": [100.0, 200.0, 600.0],
        "steps": 1000,
        **{"version": None, "commit": None, "dirty": None},
        "device": "cpu",
        "reward.tau": 0.5,
        "expert": None,
        "transport.metric": "cosine",
        "reward.rescale": True,
    }


def test_the_curve_is_the_mean_of_each_snapshot(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial(curve=CURVE)
    [trial] = load_trials(tmp_path / "store")
    assert trial.curve() == {500: 2.0, 1000: 30.0}


def test_types_are_unified_over_trials(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial(seed=0, reward__tau=1, mixed=True, flag=False, icvf__steps=10)
    write_trial(seed=1, reward__tau=0.5, mixed=2, flag=True, expert="a.hdf5")
    write_trial(seed=2, reward__tau=2, mixed="word", flag=None, expert=None)
    table = collect(tmp_path / "store")
    kinds = {name: table.schema.field(name).type for name in ("reward.tau", "mixed", "flag", "icvf.steps", "expert")}
    string = pa.string()
    assert kinds == {
        "reward.tau": pa.float64(),
        "mixed": string,
        "flag": pa.bool_(),
        "icvf.steps": pa.int64(),
        "expert": string,
    }
    assert table.column("reward.tau").to_pylist() == [1.0, 0.5, 2.0]
    assert table.column("mixed").to_pylist() == ["true", "2", "word"]
    assert table.column("flag").to_pylist() == [False, True, None]
    assert table.column("icvf.steps").to_pylist() == [10, None, None]
    assert table.column("expert").to_pylist() == [None, "a.hdf5", None]


def test_a_dataset_without_rewards_has_no_score(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial(mean_score=None)
    assert collect(tmp_path / "store").column("dataset_score").to_pylist() == [None]


def test_unfinished_temporary_and_other_artefacts_are_left_out(store: Path, write_trial: WriteTrial) -> None:
    (write_trial("bc", 9) / "manifest.json").unlink()
    temporary = write_trial("bc", 10)
    temporary.rename(temporary.with_name(f".{temporary.name}.tmp"))
    (store / "rewards" / "hopper-medium-v2-abc").mkdir(parents=True)
    (store / "rewards" / "hopper-medium-v2-abc" / "manifest.json").write_text("{}")
    (store / "scores" / "notes.txt").write_text("mine")
    table = collect(store)
    assert len(table) == 6 * 3 + 2 * 3
    assert set(table.column("seed").to_pylist()) == {0, 1, 2}


@pytest.mark.parametrize("there", [True, False])
def test_an_empty_store_is_an_empty_table(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "store").mkdir()
    table = collect(tmp_path / "store")
    assert len(table) == 0
    assert tuple(table.column_names) == FIXED_COLUMNS


def spoil_json(folder: Path) -> None:
    (folder / "trial.json").write_text('{"task": "hopper')


def spoil_parquet(folder: Path) -> None:
    (folder / "episodes.parquet").write_bytes((folder / "episodes.parquet").read_bytes()[:100])


def spoil_column(folder: Path) -> None:
    pq.write_table(pq.read_table(folder / "episodes.parquet").drop_columns("score"), folder / "episodes.parquet")


def spoil_rows(folder: Path) -> None:
    pq.write_table(pq.read_table(folder / "episodes.parquet").slice(0, 0), folder / "episodes.parquet")


def spoil_record(folder: Path) -> None:
    (folder / "trial.json").write_text('{"task": "hopper-medium-v2", "data": {"source": "a", "mean_score": 1}}')


def spoil_kind(folder: Path) -> None:
    (folder / "trial.json").write_text("[]")


SPOILS = [spoil_json, spoil_parquet, spoil_column, spoil_rows, spoil_record, spoil_kind]


@pytest.mark.parametrize("signed", [True, False], ids=["as written", "changed later"])
@pytest.mark.parametrize("spoil", SPOILS)
def test_damage_names_the_folder_and_the_remedy(
    store: Path, resign: Callable[[Path], None], spoil: Callable[[Path], None], signed: bool
) -> None:
    folder = next((store / "scores").iterdir())
    spoil(folder)
    if signed:
        resign(folder)
    with pytest.raises(StoreError) as caught:
        collect(store)
    message = str(caught.value)
    assert str(folder) in message
    assert "delete the folder" in message
    assert "\n" not in message
    shutil.rmtree(folder)
    assert len(collect(store)) == 23


@pytest.mark.parametrize("content", ["", "[]", '{"digest": "ab"}', '{"files": {"gone.json": "ab"}, "digest": "ab"}'])
def test_a_damaged_manifest_is_told(write_trial: WriteTrial, tmp_path: Path, content: str) -> None:
    folder = write_trial()
    (folder / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match=folder.name):
        collect(tmp_path / "store")


def test_an_altered_score_is_noticed(write_trial: WriteTrial, tmp_path: Path) -> None:
    """A readable file that is not the one the run wrote must not become a result."""
    folder, other = write_trial(seed=0, curve={10: [1.0]}), write_trial(seed=1, curve={10: [99.0]})
    shutil.copy(other / "episodes.parquet", folder / "episodes.parquet")
    with pytest.raises(StoreError, match=r"episodes\.parquet is damaged"):
        collect(tmp_path / "store")


def test_results_are_written_whole(store: Path) -> None:
    path = write_results(load_trials(store), store)
    assert path == store / "results.parquet"
    assert pq.read_table(path).equals(collect(store))
    before = path.read_bytes()
    spoil_json(next((store / "scores").iterdir()))
    with pytest.raises(StoreError):
        write_results(load_trials(store), store)
    assert path.read_bytes() == before
    assert {entry.name for entry in store.iterdir()} == {"scores", "results.parquet"}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match=r"cannot write .*results\.parquet") as caught:
        write_results(load_trials(tmp_path / "store"), tmp_path / "store")
    assert "\n" not in str(caught.value)


def test_reports_need_neither_torch_nor_ray() -> None:
    rooms = ("results", "statistics", "figures.alignment", "relabel", "page.server")
    modules = ", ".join(f"ailot_ray.report.{name}" for name in rooms)
    code = f"import sys; import {modules}; assert not {{'torch', 'ray', 'gymnasium'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
