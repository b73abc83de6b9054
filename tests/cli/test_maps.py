"""`relabel --map` and `data inspect --physics` from the command line."""

import re
from pathlib import Path

import pytest
from data.synthetic import ANTMAZE, episodes, write_hdf5

from .conftest import TINY, Command, require_one_line


@pytest.fixture
def ants(tmp_path: Path) -> Path:
    arrays = episodes([20, 30, 25], ["terminal", "timeout", "timeout"], ANTMAZE)
    arrays["observations"][:, :2] *= 0.1
    return write_hdf5(tmp_path / "ants.hdf5", arrays, without=["next_observations"])


def test_a_map_is_drawn_on_request(command: Command, ants: Path, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "map.png"
    task = ("--task", ANTMAZE.name, "--data", ants, "--method", "otr")
    ended = command("relabel", *task, "--store", store, *TINY, "--map", path, "--json")
    assert ended.status == 0, ended.err
    assert path.read_bytes().startswith(b"\x89PNG") and ended.json["map"] == str(path)
    assert f"map of the rewards, seed 0: {path}" in ended.out


def test_a_map_that_cannot_be_drawn_is_refused_first(command: Command, work: Command, store: Path) -> None:
    require_one_line(work("relabel", "--map", "map.pdf"), "--map map.pdf must name a file that ends in .png")
    require_one_line(
        work("relabel", "--map", "map.png"), "--map draws over a maze, and hopper-medium-v2 has none: leave it out"
    )
    assert not store.exists()


def test_physics_are_told_and_refused_in_one_line(command: Command, hopper: Path, ants: Path) -> None:
    told = command("data", "inspect", "--task", "hopper-medium-v2", "--data", hopper, "--physics", "--json")
    assert told.status == 0, told.err
    assert "warning: recorded in another simulator" in told.out and told.json["physics"]["verdict"] == "differs"
    require_one_line(
        command("data", "inspect", "--physics"), re.escape("built-in: --physics reads files in D4RL's HDF5 schema")
    )
