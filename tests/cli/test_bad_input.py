"""What a user can get wrong ends in one line that names the thing and a remedy, and leaves nothing half written."""

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from data.synthetic import episodes, write_hdf5

from ailot_ray.tasks import TASKS

from .conftest import ENDS, LENGTHS, Command, finished, require_nothing_half_written, require_one_line

BAD_FLAGS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "unknown task": (["--task", "hopper-medum-v2"], ["--task hopper-medum-v2 is unknown: did you mean hopper-medium-v2"]),
    "unknown flag": (["--reward.taw", "1"], ["reward.taw", r"did you mean --reward.tau\?", "--help` lists the flags"]),
    "not a number": (["--reward.tau", "much"], ["--reward.tau", "much", "--help"]),
    "nan": (["--reward.tau", "nan"], ["--reward.tau is nan, but it must be"]),
    "unknown space": (["--transport.space", "latent"], ["--transport.space", "latent", "intent", "raw", "standardised"]),
    "fraction of steps": (["--iql.steps", "1.5"], ["--iql.steps", "1.5"]),
    "too many snapshots": (["--iql.snapshots", "9"], ["--iql.snapshots is 9, but it must be between 1 and --iql.steps"]),
    "negative seed": (["--seeds", "-1"], ["--seeds -1 must be one or more different numbers, none negative"]),
    "a seed twice": (["--seeds", "1", "2", "1"], ["--seeds 1 2 1 must be one or more different numbers"]),
    "no seed": (["--seeds"], ["--seeds"]),
    "no workers": (["--workers", "0"], ["--workers is 0, but it must be 1 or more"]),
    "no such GPU": (["--device", "cuda:99"], ["--device cuda:99 is not there: torch sees .* use --device cpu or auto"]),
    "no such device": (["--device", "abacus"], ["--device abacus is not a device: use cpu, cuda, cuda:N or auto"]),
    "another device": (["--device", "meta"], ["--device meta is not supported: use cpu, cuda, cuda:N or auto"]),
    "too many experts": (["--experts", "13"], ["--experts asks for 13 .* has 12; lower --experts"]),
    "look-ahead": (["--transport.k", "14"], [r"--transport.k 14 looks beyond the end of an expert .* choose a smaller k"]),
    "nothing to rescale": (
        ["--method", "ailot", "--reward.tau", "0"],
        ["--reward.rescale divides by the spread of the trajectories' returns"],
    ),
}


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_a_flag_that_cannot_work(name: str, work: Command, store: Path, hopper: Path) -> None:
    arguments, patterns = BAD_FLAGS[name]
    if name == "nothing to rescale":  # without a cost every trajectory of one length has the same return
        write_hdf5(hopper, episodes([20] * 5, ["timeout"] * 5))
    require_one_line(work("relabel", *arguments), *patterns)
    assert not [folder for folder in finished(store) if folder.parent.name == "rewards"]
    require_nothing_half_written(store)


@pytest.mark.parametrize("verb", ["evaluate", "run"])
def test_a_video_of_another_kind_is_refused_before_any_work(verb: str, work: Command, store: Path, tmp_path: Path) -> None:
    for name in ("film", "film.avi"):
        require_one_line(work(verb, "--video", tmp_path / name), f"--video .*{name} must name a file that ends in .mp4")
    assert not store.exists()


def test_a_method_without_anything_to_relabel(work: Command, store: Path) -> None:
    for method in ("bc", "iql"):
        require_one_line(work("relabel", "--method", method), f"--method {method} has nothing to relabel: choose .*ailot")
    assert not store.exists()


def test_a_learner_that_diverges(work: Command, store: Path) -> None:
    ended = work("train", "--method", "iql", "--iql.learning-rate", "1e30")
    require_one_line(ended, "of member 0 is (nan|inf|-inf) at step .*: lower the learning rate")
    assert not list(store.glob("policies/*"))
    require_nothing_half_written(store)


def test_a_task_without_a_simulator_says_so_before_training(
    work: Command, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "hopper-medium-v2", replace(TASKS["hopper-medium-v2"], environment="Hopper-v99"))
    for verb in ("evaluate", "run"):
        require_one_line(work(verb), "task hopper-medium-v2: cannot make Hopper-v99: ")
    assert not finished(store)
    assert work("train", "--method", "bc").status == 0


def test_fetch_from_a_host_that_does_not_answer(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = replace(TASKS["hopper-medium-v2"], url="http://127.0.0.1:1/hopper_medium-v2.hdf5")
    monkeypatch.setitem(TASKS, task.name, task)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    ended = command("data", "fetch", "--task", task.name, "--data-dir", tmp_path / "data")
    require_one_line(ended, f"{task.url} cannot be reached .* --mirror .* by other means .* --data-dir DIR .* or --data FILE")
    assert not list((tmp_path / "data").glob("[!.]*"))


def test_fetch_of_several(command: Command, tmp_path: Path) -> None:
    """One line each; one that fails does not stop the others."""
    (tmp_path / "copies").mkdir()
    for name in ("relocate-human-v1", "relocate-cloned-v1"):
        (tmp_path / "copies" / f"{name}.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + name.encode())
    tasks = ("relocate-human-v1", "hopper-medium-v2", "relocate-cloned-v1")
    ended = command("data", "fetch", "--task", *tasks, "--data-dir", tmp_path / "data", "--mirror", tmp_path / "copies")
    require_one_line(replace(ended, out=""), "1 of 3 files could not be fetched")
    assert len(ended.out.splitlines()) == 3 and ended.out.count("unverified, no digest of it is known") == 2
    assert {file.name for file in (tmp_path / "data").glob("*.hdf5")} == {"relocate-human-v1.hdf5", "relocate-cloned-v1.hdf5"}
    ended = command("data", "fetch", "--all", "--sha256", "00")
    require_one_line(ended, "--sha256 is the checksum of one file")


def test_fetch_of_what_is_built_in(command: Command, tmp_path: Path) -> None:
    ended = command("data", "fetch", "--task", "hopper-builtin", "--data-dir", tmp_path)
    require_one_line(ended, "task hopper-builtin comes with ailot_ray; there is nothing to fetch")


def test_interrupted_by_hand(work: Command, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("ailot_ray.method.iql.BehaviourCloning.advance", interrupted)
    ended = work("train", "--method", "bc")
    require_one_line(ended, "interrupted; the same command goes on where this one stopped")
    assert ended.status == 130
    require_nothing_half_written(store)


def test_a_method_that_cannot_work_is_named_before_any_other_starts(work: Command, store: Path, hopper: Path) -> None:
    write_hdf5(hopper, episodes(LENGTHS, ENDS), without=["rewards"])
    ended = work("run", "--methods", "iql", "bc", "--evaluation.curve-episodes", 0)
    require_one_line(ended, "--method iql needs true rewards, and .*hopper.hdf5 has no `rewards`: choose another method")
    require_nothing_half_written(store)
