"""Datasets and experts that cannot be used: one line each, and nothing half written."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data.synthetic import Arrays, episodes, write_hdf5

from .conftest import ENDS, HOPPER_TASK, LENGTHS, Command, finished, require_nothing_half_written, require_one_line


def write(arrays: Arrays) -> Callable[[Path], object]:
    return lambda path: write_hdf5(path, arrays)


def truncated(path: Path) -> None:
    whole = write_hdf5(path, episodes(LENGTHS, ENDS)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


WHOLE = episodes(LENGTHS, ENDS)
HOLED = {**WHOLE, "observations": np.where(np.arange(len(WHOLE["actions"]))[:, None] == 17, np.nan, WHOLE["observations"])}
LONE = {key: column for key, column in episodes([1, 1], ["timeout"] * 2).items() if key != "next_observations"}
BAD: dict[str, tuple[Callable[[Path], object], str]] = {  # each content and file that is refused is in tests/data
    "NaN": (write(HOLED), "observations has 11 NaN or infinite values, the first in row 17; remove"),
    "another body": (write({**WHOLE, "actions": np.zeros((211, 6))}), "actions have size 6, but task .* has 3; check --task"),
    "empty": (write({key: column[:0] for key, column in WHOLE.items()}), "is empty, .*; check FLAG"),
    "nothing left": (write(LONE), "no episode has a transition with a known successor left; check"),
    "missing": (lambda path: None, "no such file; check"),
    "a folder": (lambda path: path.mkdir(), "is not a file; FLAG takes a file in D4RL's HDF5 schema"),
    "truncated": (truncated, "cannot be read as HDF5, it is truncated .*; fetch it again or check"),
}


@pytest.mark.parametrize("flag", ["--data", "--expert"])
@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used(name: str, flag: str, work: Command, store: Path, tmp_path: Path) -> None:
    make, pattern = BAD[name]
    path = tmp_path / "bad.hdf5"
    make(path)
    for verb in ("relabel", "run") if name == "NaN" else ("relabel",):
        require_one_line(work(verb, flag, path), re.escape(str(path)), pattern.replace("FLAG", flag))
    assert not finished(store)
    require_nothing_half_written(store)


def test_a_file_that_is_not_what_was_fetched(command: Command, tmp_path: Path) -> None:
    write_hdf5(tmp_path / "bad.hdf5", WHOLE)
    (tmp_path / "bad.hdf5.sha256").write_text("0" * 64 + "  bad.hdf5\n")
    ended = command("data", "inspect", *HOPPER_TASK, "--data", tmp_path / "bad.hdf5")
    require_one_line(ended, r"bad.hdf5 has SHA-256 .* but bad.hdf5.sha256 says 0{64}: fetch the file again")


def test_the_tasks_own_file_is_missing(command: Command, tmp_path: Path, store: Path) -> None:
    ended = command("run", *HOPPER_TASK, "--data-dir", tmp_path, "--store", store)
    require_one_line(ended, r"hopper_medium-v2.hdf5 is missing: .*data fetch --task hopper-medium-v2.* or --data FILE")


def test_no_rewards_and_no_expert(work: Command, store: Path, hopper: Path) -> None:
    write_hdf5(hopper, episodes(LENGTHS, ENDS), without=["rewards"])
    require_one_line(work("relabel"), "hopper.hdf5 has no rewards to choose an expert by; .* --expert FILE")
    require_one_line(work("train", "--method", "iql"), "--method iql needs true rewards, .* choose another method")
    assert not finished(store)
    assert work("train", "--method", "bc").status == 0


def test_an_expert_of_one_step(work: Command, tmp_path: Path) -> None:
    expert = write_hdf5(tmp_path / "short.hdf5", episodes([1], ["terminal"]))
    require_one_line(work("relabel", "--expert", expert), "short.hdf5, trajectory 0: .* has 1 step, but needs at least 2; give")
