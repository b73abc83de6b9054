"""Minari datasets by commands alone: fetched where they are asked for, and a Dict of observations from end to end."""

from pathlib import Path

import numpy as np
import pytest
from data.remote import ORDER, publish, serve

from ailot_ray.cluster.checks import datasets
from ailot_ray.envs import make_env
from ailot_ray.errors import ConfigError
from ailot_ray.pipeline import load_policy
from ailot_ray.tasks import get_task

from .conftest import TINY, Command, require_nothing_half_written, require_one_line

NAME = "toy/reach/random-v0"
REFERENCE = f"minari:{NAME}"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the dataset is going to lie that the remote has."""
    serve(monkeypatch, tmp_path)
    publish(monkeypatch, tmp_path, NAME)
    return tmp_path / "here" / NAME


def test_data_fetch(command: Command, here: Path) -> None:
    done = command("data", "fetch", REFERENCE, "--json")
    assert (done.status, done.out.splitlines()[:-1]) == (0, [f"{REFERENCE}: {here} (6 episodes, 72 steps)"])
    assert done.json == {"file": str(here), "files": {REFERENCE: str(here)}}
    again = command("data", "fetch", "--task", REFERENCE)
    assert (again.out, again.err) == (f"{REFERENCE}: {here} (6 episodes, 72 steps)\n", "")
    several = command("data", "fetch", REFERENCE, "minari:toy/reach/none-v0", "hopper-builtin")
    require_one_line(several, "2 of 3 files could not be fetched")
    assert "minari:toy/reach/none-v0 is neither on this machine" in several.out and "comes with ailot_ray" in several.out
    require_one_line(
        command("data", "fetch", REFERENCE, "--mirror", "x"), "are for D4RL's files: leave them out for minari:toy"
    )
    file = here / "data" / "main_data.hdf5"
    file.write_bytes(file.read_bytes()[:-1000])
    require_one_line(command("data", "fetch", REFERENCE), rf"is damaged \(OSError.*: remove {here} to download it again")
    require_one_line(command("data", "fetch"), "data fetch needs the name of a task or minari:ID")


@pytest.mark.parametrize("named", ["task", "task file"])
def test_examinations_and_dry_runs_download_nothing(command: Command, here: Path, store: Path, named: str) -> None:
    task = REFERENCE
    if named == "task file":
        file = here.parents[3] / "mine.toml"
        sizes = "observation_size = 5\naction_size = 2\nhorizon = 12\nreference_min = 0\nreference_max = 1\n"
        file.write_text(f'[reach]\nenvironment = "Reach-v0"\n{sizes}data = "{REFERENCE}"\n')
        task = f"{file}:reach"
    refused = command("sweep", "mine", "--task", task, "--vary", "reward.tau=1,2", "--store", store, *TINY, "--dry-run")
    require_one_line(refused, rf"{REFERENCE} is not on this machine .*`python -m ailot_ray data fetch {REFERENCE}`")
    if named == "task":
        require_one_line(command("doctor", "--tasks", task), f"{REFERENCE} is not on this machine .* data fetch")
        with pytest.raises(ConfigError, match=f"{REFERENCE} is not on this machine"):  # as doctor asks on a node
            datasets(store, [task])
    assert not here.exists()
    assert command("data", "fetch", REFERENCE).status == 0
    planned = command("sweep", "mine", "--task", task, "--vary", "reward.tau=1,2", "--store", store, *TINY, "--dry-run")
    assert planned.status == 0 and "sweep mine: 2 trials" in planned.out


def test_a_dict_of_observations_from_end_to_end(command: Command, here: Path, store: Path) -> None:
    inspected = command("data", "inspect", "--data", REFERENCE, "--json")
    assert inspected.status == 0 and "observations are    goal.x 1, goal.y 1, observation 3" in inspected.out
    assert inspected.json["observation_parts"] == [list(part) for part in ORDER]
    flags = ("--task", REFERENCE, "--store", store, *TINY)
    for verb in ("pretrain", "relabel", "train"):
        done = command(verb, *flags)
        assert done.status == 0, done.err
    scored = command("evaluate", *flags, "--json")
    assert scored.status == 0, scored.err
    require_nothing_half_written(store)
    (row,) = [row for row in command("results", "--store", store, "--json").json["rows"] if row["method"] == "ailot"]
    assert (row["task"], row["normalised"]) == (REFERENCE, False) and -20 * 12 < row["mean"] < 0
    # what the policy is asked in the environment is what it was trained on
    policy = load_policy(next((store / "policies").iterdir()))
    with make_env(get_task(REFERENCE)) as env:
        shown = env.reset(seed=0)[0]
        assert shown.shape == (5,) and (shown[:2] > 3).all() and (shown[2:] == 0).all()
        assert policy(np.asarray(shown[None], np.float32)).shape == (1, 2)


def test_a_task_of_ones_own_in_an_environment_with_a_dict(command: Command, tmp_path: Path) -> None:
    file, data = tmp_path / "mine.toml", tmp_path / "reach.hdf5"
    about = ("--env", "data.remote:Reach-v0", "--reference-max", 0, "--episodes", 1, "--data", data.name)
    registered = command("register", "--file", file, "--name", "reach", *about)
    assert registered.status == 0, registered.err
    assert "# observations are goal.x 1, goal.y 1, observation 3" in file.read_text()
    assert get_task(f"{file}:reach").observation_size == 5
    collected = command("data", "collect", "--task", f"{file}:reach", "--output", data, "--episodes", 2)
    assert collected.status == 0 and "24 transitions" in collected.out
    report = command("data", "inspect", "--task", f"{file}:reach", "--json").json
    assert (report["observation_size"], report["observation_parts"]) == (5, None)
