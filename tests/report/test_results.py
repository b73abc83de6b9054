"""Collecting a store: what is read, what is ignored, and how damage is told."""

import shutil
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
    assert {field.type for field in table.schema if pa.types.is_floating(field.type)} == {pa.float64()}
    [row] = table.to_pylist()
    assert folder.name.endswith(row.pop("digest")[:12])
    assert load_trials(tmp_path / "store")[0].curve() == {500: 2.0, 1000: 30.0}
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


def test_types_are_unified_over_trials(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial(seed=0, reward__tau=1, mixed=True, flag=False, icvf__steps=10)
    write_trial(seed=1, reward__tau=0.5, mixed=2, flag=True, expert="a.hdf5")
    write_trial(seed=2, reward__tau=2, mixed="word", flag=None, expert=None)
    table = collect(tmp_path / "store")
    expected = {
        "reward.tau": (pa.float64(), [1.0, 0.5, 2.0]),
        "mixed": (pa.string(), ["true", "2", "word"]),
        "flag": (pa.bool_(), [False, True, None]),
        "icvf.steps": (pa.int64(), [10, None, None]),
        "expert": (pa.string(), [None, "a.hdf5", None]),
    }
    assert {name: (table.schema.field(name).type, table.column(name).to_pylist()) for name in expected} == expected


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


def rewrite(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], object]:
    """Change an artefact's table of episodes."""
    return lambda folder: pq.write_table(
        change(pq.read_table(folder / "episodes.parquet", memory_map=False)), folder / "episodes.parquet"
    )


def spoil(text: str, name: str = "trial.json") -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


SPOILS: dict[str, Callable[[Path], object]] = {
    "not JSON": spoil('{"task": "hopper'),
    "no record": spoil('{"task": "hopper-medium-v2", "data": {"source": "a", "mean_score": 1}}'),
    "a list": spoil("[]"),
    "not Parquet": spoil("PAR1", "episodes.parquet"),
    "no scores": rewrite(lambda table: table.drop_columns("score")),
    "no rows": rewrite(lambda table: table.slice(0, 0)),
}


@pytest.mark.parametrize("signed", [True, False], ids=["as written", "changed later"])
@pytest.mark.parametrize("name", SPOILS)
def test_damage_names_the_folder_and_the_remedy(
    tmp_path: Path, write_trial: WriteTrial, resign: Callable[[Path], None], name: str, signed: bool
) -> None:
    folder, _ = write_trial(seed=0), write_trial(seed=1)
    SPOILS[name](folder)
    if signed:
        resign(folder)
    with pytest.raises(StoreError) as caught:
        collect(tmp_path / "store")
    message = str(caught.value)
    assert str(folder) in message and "delete the folder" in message and "\n" not in message
    shutil.rmtree(folder)
    assert len(collect(tmp_path / "store")) == 1


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
    SPOILS["not JSON"](next((store / "scores").iterdir()))
    with pytest.raises(StoreError):
        write_results(load_trials(store), store)
    assert path.read_bytes() == before
    assert {entry.name for entry in store.iterdir()} == {"scores", "results.parquet"}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match=r"cannot write .*results\.parquet") as caught:
        write_results(load_trials(tmp_path / "store"), tmp_path / "store")
    assert "\n" not in str(caught.value)
