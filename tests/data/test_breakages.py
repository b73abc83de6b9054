"""Valid files broken in one way: refused in one line, mended and said, or the same data. And the table of docs/data.md."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ailot_ray.config import Config
from ailot_ray.data import load_dataset
from ailot_ray.data.experts import choose_experts
from ailot_ray.data.inspection import format_inspection, inspect_dataset
from ailot_ray.data.trajectories import Dataset
from ailot_ray.errors import DataError

from .synthetic import Arrays, episodes, write_hdf5

LENGTHS, ENDS = (30, 20, 25), ("terminal", "timeout", "terminal")
Break = Callable[[Path, Arrays], None]
DOCUMENT = Path(__file__).parents[2] / "docs" / "data.md"


def changed(change: Callable[[Arrays], object]) -> Break:
    """A file whose arrays `change` has altered in place."""

    def write(path: Path, arrays: Arrays) -> None:
        change(arrays)
        write_hdf5(path, arrays)

    return write


def link(path: Path, arrays: Arrays) -> None:
    write_hdf5(path.with_name("other.hdf5"), arrays)
    write_hdf5(path, arrays, without=["rewards"])
    with h5py.File(path, "a") as file:
        file["rewards"] = h5py.ExternalLink("other.hdf5", "rewards")


def truncate(path: Path, arrays: Arrays) -> None:
    content = write_hdf5(path, arrays).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def other_body(path: Path, arrays: Arrays) -> None:
    write_hdf5(path, arrays, environment="Walker2d-v2")


def hollow(path: Path, arrays: Arrays) -> None:
    """A few kilobytes that declare 44 GB; they would be read as zeros."""
    write_hdf5(path, arrays, without=["observations"])
    with h5py.File(path, "a") as file:
        file.create_dataset("observations", (10**9, 11), np.float32, chunks=True)


def put(key: str, value: Callable[[np.ndarray], Any]) -> Break:
    return changed(lambda arrays: arrays.update({key: value(arrays[key])}))


def with_one(array: np.ndarray, value: float) -> np.ndarray:
    wide = array.astype(np.float64)
    wide.flat[wide.size // 3] = value
    return wide


def shuffle(arrays: Arrays) -> None:
    order = np.random.default_rng(0).permutation(sum(LENGTHS))
    arrays.update({key: array[order] for key, array in arrays.items()})


def shift(arrays: Arrays) -> None:
    arrays["next_observations"] = np.roll(arrays["next_observations"], 1, axis=0)


def flags(arrays: Arrays) -> None:
    for key in ("terminals", "timeouts"):
        arrays[key] = arrays[key].astype(np.float64)[:, None]


def successors(arrays: Arrays) -> None:
    arrays["next_observations"][:-1] = arrays["observations"][1:]


BREAKS: dict[str, Break] = {
    "drop actions": changed(lambda arrays: arrays.pop("actions")),
    "drop rewards": changed(lambda arrays: arrays.pop("rewards")),
    "zero rewards": put("rewards", np.zeros_like),
    "drop timeouts": changed(lambda arrays: arrays.pop("timeouts")),
    "shorten rewards": put("rewards", lambda array: array[:-1]),
    "transpose observations": put("observations", lambda array: array.T[:, :75].repeat(7, axis=0)[:75]),
    "nan observations": put("observations", lambda array: with_one(array, np.nan)),
    "huge rewards": put("rewards", lambda array: with_one(array, 1e300)),
    "double precision": put("observations", lambda array: array.astype(np.float64)),
    "flags as numbers": changed(flags),
    "half flags": put("terminals", lambda array: with_one(array, 0.5)),
    "text rewards": put("rewards", lambda array: np.array([b"1.0"] * len(array))),
    "scale actions": put("actions", lambda array: array * 20),
    "shift successors": changed(shift),
    "shuffle rows": changed(shuffle),
    "next episodes successors": changed(successors),
    "link rewards": link,
    "truncate file": truncate,
    "another body": other_body,
    "terminal everywhere": put("terminals", np.ones_like),
    "rows never written": hollow,
    "more than the memory": changed(lambda arrays: None),
    "empty file": changed(lambda arrays: arrays.update({key: array[:0] for key, array in arrays.items()})),
}


def rows() -> list[tuple[str, str, str]]:
    found = re.findall(r"^\| `([^`]+)` \|[^|]*\| (refused|mended|equal) \|([^|]*)\|$", DOCUMENT.read_text(), re.MULTILINE)
    return [(case, outcome, words.strip()) for case, outcome, words in found]


def read(path: Path) -> tuple[Dataset, str]:
    """The dataset as a command takes it, and what `data inspect` says of it."""
    config = Config(task="hopper-medium-v2", data=path)
    dataset = load_dataset(config)
    choose_experts(config, dataset)
    return dataset, format_inspection(inspect_dataset(dataset))


def equal(one: Dataset, other: Dataset) -> bool:
    names = ("observations", "actions", "next_observations", "rewards", "terminals", "successor_known", "offsets")
    return one.ends == other.ends and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_the_table_names_every_case() -> None:
    assert [case for case, _, _ in rows()] == list(BREAKS)


@pytest.mark.parametrize(("case", "outcome", "words"), rows())
def test_a_row_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, outcome: str, words: str) -> None:
    lengths = LENGTHS if case != "drop timeouts" else (30, 1020, 25)
    arrays = episodes(lengths, ENDS)
    whole, _ = read(write_hdf5(tmp_path / "whole.hdf5", arrays))
    BREAKS[case](tmp_path / "broken.hdf5", {key: array.copy() for key, array in arrays.items()})
    if case == "more than the memory":
        monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 1, "SC_PAGE_SIZE": 1000}[name])
    if outcome == "refused":
        with pytest.raises(DataError, match=re.escape(words)) as caught:
            read(tmp_path / "broken.hdf5")
        assert "\n" not in str(caught.value) and "broken.hdf5" in str(caught.value)
        return
    found, told = read(tmp_path / "broken.hdf5")
    assert equal(found, whole) == (outcome == "equal") and words in told


def break_at_random(rng: np.random.Generator, path: Path, arrays: Arrays) -> str:
    """Break a file in one way, drawn with the key and the place."""
    key = str(rng.choice(list(arrays)))
    array, row = arrays[key], int(rng.integers(len(arrays[key])))
    ways: dict[str, Callable[[], Any]] = {
        "drop": lambda: None,
        "shorten": lambda: array[: max(1, row)],
        "duplicate": lambda: np.insert(array, row, array[row], axis=0),
        "transpose": lambda: array.T if array.ndim == 2 else array[None],
        "widen": lambda: array.astype(np.float64),
        "text": lambda: array.astype("S8"),
        "complex": lambda: array.astype(np.complex64),
        "poison": lambda: with_one(array, float(rng.choice([np.nan, np.inf, -np.inf, 1e39]))),
        "deepen": lambda: array[..., None, None],
    }
    way = str(rng.choice([*ways, "delete row", "swap rows", "truncate", "link"]))
    if way == "truncate":
        content = write_hdf5(path, arrays).read_bytes()
        path.write_bytes(content[: int(rng.integers(len(content)))])
    elif way == "link":
        write_hdf5(path.with_name("other.hdf5"), arrays)
        write_hdf5(path, arrays, without=[key])
        with h5py.File(path, "a") as file:
            file[key] = h5py.ExternalLink("other.hdf5", key)
    elif way == "delete row":
        write_hdf5(path, {name: np.delete(column, row, axis=0) for name, column in arrays.items()})
    elif way == "swap rows":
        order = np.arange(len(array))
        order[[row, row - 1]] = order[[row - 1, row]]
        write_hdf5(path, {name: column[order] for name, column in arrays.items()})
    else:
        value = ways[way]()
        write_hdf5(path, {**arrays, key: value} if value is not None else arrays, without=[key] if value is None else [])
    return f"{way} {key} {row}"


def play(folder: Path, seed: int) -> str:
    """Break one file at random; returns how it was taken, and fails where that was in silence."""
    rng, path = np.random.default_rng(seed), folder / "broken.hdf5"
    arrays = episodes(
        [int(length) for length in rng.integers(4, 30, 3)], rng.choice(["terminal", "timeout"], 3).tolist(), seed=seed
    )
    whole, plain = read(write_hdf5(folder / "whole.hdf5", arrays))
    what = break_at_random(rng, path, arrays)
    try:
        found, told = read(path)
    except DataError as error:
        assert "\n" not in str(error) and "broken.hdf5" in str(error), what
        return "refused"
    if equal(found, whole):
        return "equal"
    quiet = {"source", "sha256", "return", "normalised score", "nonzero reward"}
    lines = {line.split("  ")[0] for line in set(told.splitlines()) ^ set(plain.splitlines())} - quiet
    assert lines, f"seed {seed}: {what} went through in silence"
    return "mended"


def test_a_file_broken_at_random_is_refused_or_mended_and_said(tmp_path: Path) -> None:
    taken = [play(tmp_path, seed) for seed in range(200)]
    assert {"refused", "mended", "equal"} == set(taken)


@pytest.mark.slow
def test_two_thousand_files_broken_at_random(tmp_path: Path) -> None:
    for seed in range(200, 2200):
        play(tmp_path, seed)
