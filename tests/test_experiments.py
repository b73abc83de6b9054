"""The questions in `experiments/`: each plans on a given folder of data, and compares rewards without a policy."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cli.conftest import ENDS, LENGTHS, TINY
from data.synthetic import episodes, write_hdf5

from ailot_ray.__main__ import main
from ailot_ray.cli.command import run_command
from ailot_ray.cli.sweeps import QUESTIONS
from ailot_ray.cluster import Sweep as Asked
from ailot_ray.cluster import tuning
from ailot_ray.cluster.planning import Plan
from ailot_ray.cluster.tuning import SweepResult
from ailot_ray.pipeline import Experiment, evaluate
from ailot_ray.progress import silence
from ailot_ray.tasks import get_task

FOLDER = Path(__file__).parents[1] / "experiments"
SWEEPS = {"search": 1, "alpha": 8, "cost": 8, "experts": 7, "k": 10, "methods": 10, "scale": 24, "space": 4, "tau": 5}
"""Trials of each; a search is planned by its base."""


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where tyro looks for the descriptions of its flags
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Tiny stand-ins for the tasks that the sweeps ask about."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("hopper-medium", "hopper-medium-replay", "halfcheetah-medium", "walker2d-medium", "antmaze-large-diverse"):
        task = get_task(f"{name}-v0" if name.startswith("antmaze") else f"{name}-v2")
        write_hdf5(folder / f"{name}.hdf5", episodes(LENGTHS, ENDS, task))
    return folder


Sweep = Callable[..., dict[str, Any]]


@pytest.fixture
def sweep(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Sweep:
    """Run a sweep's program on the stand-ins; returns what it says as JSON."""

    def run(name: str, *arguments: str) -> dict[str, Any]:
        silence()
        given = ["--data-from", str(data), "--store", str(tmp_path / "store"), "--json", *TINY, *arguments]
        status = main(["sweep", name, *given])
        silence(False)
        captured = capsys.readouterr()
        assert status == 0, captured.err
        found: dict[str, Any] = json.loads(captured.out.splitlines()[-1]) | {"text": captured.out}
        return found

    return run


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_says_what_it_would_do(name: str, sweep: Sweep) -> None:
    found = sweep(name, "--dry-run", "--seeds", "0")
    assert found["plan"]["scores"] == {"distinct": SWEEPS[name], "to_do": SWEEPS[name]}


def test_every_sweep_is_tried_and_has_a_front() -> None:
    assert SWEEPS.keys() == QUESTIONS.keys()
    for name in SWEEPS:
        front = FOLDER / (f"{name}.py" if name == "search" else f"sweep_{name}.py")
        assert f'main(["sweep", "{name}", *sys.argv[1:]])' in front.read_text()
        assert len(front.read_text().splitlines()) <= 20


def test_a_front_is_the_verb(data: Path, tmp_path: Path) -> None:
    flags = ["--dry-run", "--data-from", str(data), "--seeds", "0", "--store", str(tmp_path / "store")]
    command = [sys.executable, str(FOLDER / "sweep_tau.py"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=FOLDER.parent)
    assert done.returncode == 0 and "sweep tau: 5 trials of 1 seeds" in done.stdout, done.stderr


def test_domains_are_names_of_tasks_and_those_without_data_are_left_out(data: Path, sweep: Sweep) -> None:
    found = sweep("tau", "--dry-run", "--seeds", "0", "--tasks", "locomotion", "antmaze", "adroit", "--prices", "spot=2")
    assert found["plan"]["scores"]["distinct"] == 5 * 5  # of 23 tasks five have a stand-in
    missing = found["left_out"]
    assert len(missing) == 23 - 5 and "walker2d-medium-expert.hdf5 is missing" in missing["walker2d-medium-expert-v2"]
    lines = [line.split() for line in found["text"].splitlines()]
    by_task = {line[0]: line for line in lines if line and line[0] == "antmaze-large-diverse-v0"}
    assert by_task["antmaze-large-diverse-v0"][1:4] == ["5", "0", "5"] and by_task["antmaze-large-diverse-v0"][-1] == "spot"
    hours = found["seconds"] / 3600
    assert f"${2 * hours:,.2f} spot" in found["text"]
    (data / "hopper-medium.hdf5").write_bytes(b"no HDF5")
    worse = sweep("tau", "--dry-run", "--seeds", "0", "--tasks", "locomotion")
    assert worse["plan"]["scores"]["distinct"] == 5 * 3 and "hopper-medium.hdf5" in worse["left_out"]["hopper-medium-v2"]


def test_a_sweep_ends_in_its_best_settings(data: Path, sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Ray: the trials are evaluated one after the other."""

    def run(asked: Asked, store: Path, options: object, wandb: object, ahead: Plan) -> SweepResult:
        for settings, _ in ahead.trials:
            evaluate(Experiment.open(asked.config(settings), store), asked.seeds)
        return SweepResult(asked, [settings for settings, _ in ahead.trials], frozenset())

    monkeypatch.setattr(tuning, "run_sweep", run)
    tasks = ("--tasks", "hopper-medium-v2", "halfcheetah-medium-v2", "walker2d-medium-expert-v2")
    found = sweep("tau", "--seeds", "0", "1", *tasks, "--vary", "reward.tau=0.1,5")
    lines = found["text"].splitlines()[:-1]  # the last is JSON
    assert lines[-1] == f"next: ailot-ray dashboard {tmp_path / 'store'}"
    assert re.fullmatch(r"best: reward.tau=(0.1|5), -?[\d.]+ \(.*\), [\d.]+ above the next: (not )?beyond chance", lines[-2])
    assert lines[-3] == "left out: walker2d-medium-expert-v2, whose data cannot be read"
    assert "among 2 settings took 8 policies evaluated online" in lines[-4]
    assert set(found["best"]["tasks"]) == {"hopper-medium-v2", "halfcheetah-medium-v2"} and found["best"]["policies"] == 8
    (header,) = [line for line in lines if "best setting" in line]
    assert lines[lines.index(header) + 1].split()[0] in found["best"]["tasks"]


HOPPER = ("--tasks", "hopper-medium-v2")
VARIED: list[tuple[str, list[str], str, int]] = [
    ("mine", ["--task", "hopper-medium-v2", "--vary", "reward.tau=0.5,5,none"], "scores", 2),  # none: the method's own, 0.5
    ("mine", ["--task", "hopper-medium-v2", "--vary", "reward.scale=none,median"], "rewards", 2),  # here none is a choice
    ("k", [*HOPPER, "--seeds", "0", "1"], "alignment", 5 * 2),
    ("tau", [*HOPPER, "halfcheetah-medium-v2"], "scores", 5 * 2),
    ("tau", ["--vary", "reward.tau=0.5,5"], "scores", 2),
    ("tau", ["--vary", "reward.tau=0.5,5", "transport.k=0,2,10"], "scores", 6),
    ("methods", ["--vary", "method=ailot,otr"], "scores", 3),
    ("methods", ["--vary", "method=ailot", "transport.solver=nearest"], "scores", 1),
    ("methods", ["--vary", "iql.temperature=1,3"], "scores", 17),  # behaviour cloning reads no temperature
    ("k", ["--vary", "task=hopper-medium-v2", "transport.k=0,2"], "scores", 2),
]


@pytest.mark.parametrize(("name", "flags", "kind", "count"), VARIED)
def test_a_sweep_on_other_values_and_tasks(name: str, flags: list[str], kind: str, count: int, sweep: Sweep) -> None:
    assert sweep(name, "--dry-run", "--seeds", "0", *flags)["plan"][kind]["distinct"] == count


@pytest.mark.parametrize(
    ("name", "flags", "says"),
    [
        ("tau", ["--reward.tau", "5"], "--reward.tau 5.0 has no effect, as sweep tau varies it itself: use --vary reward.tau="),
        ("methods", ["--method", "otr"], "use --vary method=otr"),
        ("search", ["--transport.k", "3"], "use --vary transport.k=3"),
        ("k", ["--task", "hopper-medium-v2"], "use --tasks hopper-medium-v2"),
        ("tau", ["--vary", "reward.tau"], "--vary reward.tau is not a setting with values, such as reward.tau=0.5,5"),
        ("tau", ["--vary", "reward.tua=1"], "reward.tua is not a setting: did you mean reward.tau?"),
        ("tau", ["--vary", "reward.tau=0.5,much"], "reward.tau cannot be 'much'"),
        ("tua", [], "tau"),
        ("tau", ["--prices", "spot"], "--prices spot must be names with dollars an hour, such as spot=0.30"),
        ("methods", ["--vary", "transport.solver=exact"], "no case with transport.solver=exact: choose of none"),
    ],
)
def test_a_flag_that_the_sweep_would_overrule_is_refused(
    name: str, flags: list[str], says: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", name, "--data-from", str(data), "--dry-run", *flags]) != 0
    told = capsys.readouterr()
    assert says in told.err and len(told.err.splitlines()) == 1 and not told.out


def test_what_fails_alike_for_every_seed_is_told_once(sweep: Sweep, tmp_path: Path) -> None:
    expert = tmp_path / "one.hdf5"
    write_hdf5(expert, episodes(LENGTHS[:1], ENDS[:1], get_task("hopper-medium-v2")))
    flags = ("--rewards-only", "--seeds", "0", "1", *HOPPER, "--expert", str(expert))
    found = sweep("experts", *flags, "--vary", "experts=2", "expert_quantile=1")
    (failure,) = [trial["failure"] for trial in found["trials"] if "failure" in trial]
    assert "seeds 0, 1: --experts asks for 2" in failure and failure.count("asks for") == 1


def test_rewards_are_compared_without_a_policy(sweep: Sweep, tmp_path: Path) -> None:
    found = sweep("space", "--rewards-only", "--seeds", "0", "1", "--tasks", "hopper-medium-v2")
    assert [trial["settings"]["transport.space"] for trial in found["trials"]] == ["raw", "standardised", "intent", "intent"]
    raw, _, untrained, trained = found["trials"]
    assert len(raw["measures"]["order of time"]) == 1 and len(trained["measures"]["order of time"]) == 2
    assert raw["measures"]["isometry, 50 steps"] == [] and len(untrained["measures"]["isometry, 50 steps"]) == 2
    assert any("--icvf.steps (0)" in warning for warning in untrained["warnings"][0])
    assert not (tmp_path / "store" / "policies").exists()
    kept = json.loads((tmp_path / "store" / "sweeps" / "space" / "rewards.json").read_text())
    assert kept["trials"] == found["trials"]
    for picture in ("rewards.png", "histograms.png"):
        assert (tmp_path / "store" / "sweeps" / "space" / picture).read_bytes().startswith(b"\x89PNG")
    text = found["text"].split("{")[0]
    assert "task=" not in text and "order of time" in text and "transport.space=standardised" in text


def test_a_trial_that_cannot_be_relabelled_stands_with_its_reason(sweep: Sweep, tmp_path: Path) -> None:
    """An expert of 9 steps is too short for a look-ahead of 10."""
    expert = write_hdf5(tmp_path / "expert.hdf5", episodes([9], ["timeout"], seed=5))
    found = sweep("k", "--rewards-only", "--seeds", "0", "--tasks", "hopper-medium-v2", "--expert", str(expert))
    failed = {trial["settings"]["transport.k"]: trial["failure"] for trial in found["trials"] if "failure" in trial}
    assert list(failed) == [10] and "looks beyond the end of an expert trajectory" in failed[10]
    assert len(found["trials"]) == 5 and failed[10] in found["text"]


def test_the_papers_table_goes_on_without_missing_files(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load("paper_table")
    default = module.PaperTable(sweep=module.SWEEP, seeds=(0, 1))

    def run(*arguments: str) -> tuple[int, str, str]:
        given = ["--store", str(tmp_path / "store"), *TINY, *arguments]
        status = run_command(module.PaperTable, "paper_table", "", given, default)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    status, out, err = run("--dry-run", "--data-from", str(data), "--domain", "locomotion")
    assert status == 0 and err.count("left out: ") == 5  # of nine tasks four have a stand-in
    assert "sweep paper-locomotion: 20 trials of 2 seeds" in out and "pretrainings" in out
    status, out, err = run("--dry-run", "--data-dir", str(data), "--domain", "adroit")
    assert status == 1 and "data fetch --task pen-human-v0" in err and "none of 8 tasks has data" in err
    assert len(err.splitlines()) == 1


def test_the_tutorial_goes_through_every_stage(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silence()
    module = load("tutorial")
    module.main(module.Arguments(steps=6, data=data / "hopper-medium.hdf5", store=tmp_path / "store"))
    silence(False)
    out = capsys.readouterr().out
    assert all(f"\n{number}. " in f"\n{out}" for number in range(1, 7))
    assert "211 rewards from" in out and "isometry" in out and "AILOT" in out.split("6. the policy:")[1]


@pytest.mark.slow
@pytest.mark.cluster
def test_the_papers_table_stars_stand_ins(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load("paper_table")
    default = module.PaperTable(sweep=module.SWEEP, seeds=(0,))
    given = [
        "--data-from",
        str(data),
        "--store",
        str(tmp_path / "store"),
        "--tasks",
        "hopper-medium-v2",
        "walker2d-medium-expert-v2",
    ]
    assert run_command(module.PaperTable, "paper_table", "", [*given, *TINY, "--methods", "bc", "otr"], default) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    table = {line[0]: line for line in lines if line and line[0] in ("hopper-medium-v2", "walker2d-medium-expert-v2")}
    assert table["hopper-medium-v2"][1] == "*" and table["walker2d-medium-expert-v2"][-3:] == ["109.6", "109.3", "110.5"]
