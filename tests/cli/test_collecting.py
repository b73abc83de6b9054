"""From an environment that D4RL does not have to a table of results, by commands alone."""

from pathlib import Path

import gymnasium
import minari
import pytest
from data.synthetic import episodes, write_hdf5

from ailot_ray.tasks import get_task

from .conftest import TINY, Command, require_nothing_half_written, require_one_line


def test_register_collect_run(command: Command, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    about = ("--env", "Pendulum-v1", "--horizon", 30, "--data", "swing.hdf5", "--reference-max", -20, "--episodes", 3)
    registered = command("register", "--file", "mine.toml", "--name", "swing", *about, "--json")
    assert registered.status == 0 and registered.json["task"] == "mine.toml:swing"
    task = get_task("mine.toml:swing")
    assert (task.horizon, task.action_high, task.reference_max) == (30, (2.0,), -20.0)
    assert task.reference_min == pytest.approx(registered.json["reference_min"], abs=1e-3)
    missing = command("data", "inspect", "--task", "mine.toml:swing")
    require_one_line(missing, "swing.hdf5: no such file; check `data` of task mine.toml:swing")

    fetched = command("data", "fetch", "--task", "mine.toml:swing")
    require_one_line(fetched, "task mine.toml:swing has no address to fetch from; its data are swing.hdf5")
    collected = command("data", "collect", "--task", "mine.toml:swing", "--output", "swing.hdf5", "--transitions", 310)
    assert collected.status == 0 and "310 transitions of Pendulum-v1: swing.hdf5" in collected.out
    assert "mine.toml:swing" in command("tasks", "--file", "mine.toml").out
    report = command("data", "inspect", "--task", "mine.toml:swing", "--json").json
    assert report["ends"] == {"timeout": 10, "file": 1} and not report["substituted"]

    run = ("run", "--task", "mine.toml:swing", "--store", store, *TINY, "--methods", "bc", "ailot")
    ended = command(*run, "--json")
    assert ended.status == 0, ended.err
    rows = {row["method"]: row for row in ended.json["rows"]}
    assert set(rows) == {"dataset", "bc", "ailot"} and rows["bc"]["task"] == "mine.toml:swing"
    assert "*" not in ended.out.splitlines()[0]
    require_nothing_half_written(store)
    folder = next((store / "policies").glob("mine.toml-swing-*"))
    again = command("data", "collect", "--task", "mine.toml:swing", "--output", "2.hdf5", "--policy", folder, "--episodes", 2)
    assert again.status == 0 and "60 transitions, 2 whole episodes" in again.out

    # a video runs the environment that the store's task names, which is code
    digest = next((store / "scores").glob("mine.toml-swing-*")).name[-12:]
    asked = ("diagnose", "--store", store, "--trials", digest, "--video")
    require_one_line(command(*asked), "of task mine.toml:swing, a file that names an environment as Python code: add --trust")

    # another definition is another row, and trains nothing again
    Path("mine.toml").write_text(Path("mine.toml").read_text().replace("reference_max = -20", "reference_max = -10"))
    policies = set((store / "policies").iterdir())
    changed = [row for row in command(*run, "--json").json["rows"] if row["method"] == "bc"]
    assert [row["settings"] for row in changed] == [{"task.reference_max": -20.0}, {"task.reference_max": -10.0}]
    assert set((store / "policies").iterdir()) == policies
    exported = command("data", "export", "--task", "mine.toml:swing", "--store", store, *TINY[:-2], "--output", "out.hdf5")
    assert exported.status == 0, exported.err
    largest = command("data", "inspect", "--task", "mine.toml:swing", "--data", "out.hdf5", "--json").json["largest_action"]
    assert largest == pytest.approx(report["largest_action"], abs=1e-6) and largest > 0.9


def test_a_minari_dataset_from_end_to_end(
    command: Command, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    env = minari.DataCollector(gymnasium.make("Pendulum-v1", max_episode_steps=15))
    env.action_space.seed(0)
    for seed in range(10):
        env.reset(seed=seed)
        for _ in range(15):
            env.step(env.action_space.sample())
    env.create_dataset("toy/swing-v0")
    inspected = command("data", "inspect", "--data", "minari:toy/swing-v0")
    assert "none, the task has no reference returns" in inspected.out and "10 timeout" in inspected.out
    ended = command("run", "--data", "minari:toy/swing-v0", "--store", store, *TINY, "--method", "bc", "--json")
    assert ended.status == 0, ended.err
    assert "\nminari:toy/swing-v0  swing-v0 (" in ended.out, "after the plan"
    assert "† returns as they are: the task has no reference returns to normalise them by" in ended.out
    dataset, cloned = ended.json["rows"]
    assert (cloned["task"], cloned["normalised"], cloned["substituted"]) == ("minari:toy/swing-v0", False, False)
    assert -16.3 * 15 < dataset["mean"] < 0 and -16.3 * 15 < cloned["mean"] < 0  # 15 steps of Pendulum, as returns
    refused = command("run", "--task", "hopper-medium-v2", "--data", "minari:toy/swing-v0", "--store", store, *TINY)
    pattern = (
        "--data minari:toy/swing-v0 is a Minari dataset, which belongs to no task of D4RL's .*: say --task minari:toy/swing-v0"
    )
    require_one_line(refused, pattern)


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ((), "say where to play: either --task TASK or --env ID"),
        (("--env", "Pendulum-v1", "--task", "hopper-builtin"), "either --task TASK or --env ID"),
        (("--task", "hopper-builtin", "--horizon", 5), "--horizon is for --env: a task has its own"),
        (("--env", "Pendulum-v1", "--episodes", 1, "--transitions", 1), "--transitions and --episodes both say how much"),
        (("--env", "Pendulum-v1", "--episodes", 0), "--episodes is 0, but it must be 1 or more"),
        (("--env", "Pendulum-v1", "--seed", -1), "--seed is -1, but it must be 0 or more"),
        (("--env", "Pendulum-v77"), "cannot make Pendulum-v77"),
        (("--env", "CartPole-v1"), "CartPole-v1: actions are a Discrete space"),
        (("--env", "Pendulum-v1", "--policy", "expert.zip"), "--policy expert.zip: no such file"),
        (("--task", "mine.toml:swing"), "mine.toml: No such file"),
    ],
)
def test_collecting_that_cannot_work(arguments: tuple[object, ...], pattern: str, command: Command, tmp_path: Path) -> None:
    require_one_line(command("data", "collect", "--output", tmp_path / "out.hdf5", *arguments), pattern)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (("--name", "a:b", "--reference-max", 1), "--name a:b must be made of letters, digits"),
        (("--name", "swing"), "say what score 100 is: either --reference-max RETURN or --expert POLICY"),
        (("--name", "swing", "--reference-max", -9000, "--episodes", 1), "score 100 is a return of -9000.0, not above score 0"),
        (("--name", "swing", "--reference-max", 1, "--episodes", 0), "--episodes must be 1 or more"),
        (("--name", "old", "--reference-max", 1), r"mine.toml has a task \[old\] already: choose another --name"),
    ],
)
def test_registering_that_cannot_work(arguments: tuple[object, ...], pattern: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[old]\n")
    require_one_line(command("register", "--file", file, "--env", "Pendulum-v1", *arguments), pattern)
    assert file.read_text() == "[old]\n"


def test_a_file_of_another_body_of_the_same_sizes(command: Command, store: Path, tmp_path: Path) -> None:
    """HalfCheetah and Walker2d both have 17 observations and 6 actions: only the file itself can tell them apart."""
    task = get_task("walker2d-medium-v2")
    mine = write_hdf5(tmp_path / "walker.hdf5", episodes([20, 30], ["timeout", "timeout"], task), environment="Walker2d-v4")
    other = write_hdf5(tmp_path / "cheetah.hdf5", episodes([20, 30], ["timeout"] * 2, task), environment="HalfCheetah-v4")
    flags = ("--task", task.name, "--store", store, *TINY)
    wrong = "cheetah.hdf5 was recorded in HalfCheetah-v4, but task walker2d-medium-v2 is Walker2d-v4; check --task and"
    require_one_line(command("relabel", *flags, "--data", other), f"{wrong} --data")
    require_one_line(command("relabel", *flags, "--data", mine, "--expert", other), f"{wrong} --expert")
    require_nothing_half_written(store)


def test_actions_beyond_the_bounds_of_ones_own_task(command: Command, tmp_path: Path) -> None:
    file, data = tmp_path / "mine.toml", tmp_path / "swing.hdf5"
    file.write_text(
        '[swing]\nenvironment = "Pendulum-v1"\nobservation_size = 3\naction_size = 1\nhorizon = 20\nreference_min = -100\n'
        'reference_max = 0\ndata = "swing.hdf5"\n'
    )
    assert command("data", "collect", "--env", "Pendulum-v1", "--output", data, "--transitions", 50).status == 0
    ended = command("data", "inspect", "--task", f"{file}:swing")
    require_one_line(ended, r"swing.hdf5: actions reach 1\.\d+, but those of task .*:swing lie in ±1; state its action_low and")
