"""What doctor looks at on one machine: every check that can fail does, in one line with its remedy."""

from pathlib import Path

import pytest

from ailot_ray.cluster import checks
from ailot_ray.cluster.checks import Check, Outcome, run_checks, run_script
from ailot_ray.errors import DataError

from .conftest import require_failed


def test_a_check_that_raises_fails_alone() -> None:
    def broken() -> Outcome:
        raise ValueError("no\nsense")

    def lost() -> Outcome:
        raise DataError("--data x is missing: give another")

    runs = {"good": lambda: Outcome(True, "fine"), "broken": broken, "lost": lost}
    found = run_checks({name: Check(run, "mend it") for name, run in runs.items()})
    assert found == {
        "good": Outcome(True, "fine"),
        "broken": Outcome(False, "ValueError: no sense", "mend it"),
        "lost": Outcome(False, "--data x is missing", "give another"),
    }


def test_a_script_that_crashes_is_an_error_in_one_line() -> None:
    with pytest.raises(RuntimeError, match=r"^crashed \(SIGSEGV\)$"):
        run_script("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", seconds=30)
    with pytest.raises(RuntimeError, match=r"^ZeroDivisionError: division by zero$"):
        run_script("1 / 0", seconds=30)
    with pytest.raises(RuntimeError, match=r"^black$"):
        run_script("import sys; sys.exit('black')", seconds=30)
    with pytest.raises(RuntimeError, match=r"no result within 0.5 s"):
        run_script("import time; time.sleep(60)", seconds=0.5)


def test_a_script_sees_the_package_and_the_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GONE", "1")
    monkeypatch.chdir(tmp_path)
    script = "import ailot_ray, os, sys; print('GONE' in os.environ, os.environ['THERE'], sys.argv[1])"
    assert run_script(script, "argument", seconds=30, GONE=None, THERE="yes") == "False yes argument\n"


def test_versions() -> None:
    driver = {"python": "3.11", "torch": "2.13.0", "ailot_ray": "abc"}
    assert checks.compare_versions(driver, driver).ok
    other = driver | {"torch": "2.12.0", "ailot_ray": "def"}
    require_failed(
        checks.compare_versions(other, driver), "torch 2.12.0 (the driver has 2.13.0), ailot_ray def (the driver has abc)"
    )
    require_failed(checks.compare_versions(driver | {"torch": "not installed"}, driver), "torch not installed", "pip install")


CUDA, CPU = "13.0", None
GPU_CASES: dict[str, tuple[float, str | None, list[str], str, bool | None, str]] = {
    "no GPU": (0, CPU, [], "", None, "none"),
    "no GPU, CUDA build": (0, CUDA, [], "", None, "none"),
    "all of them": (2, CUDA, ["H100", "H100"], "", True, "2 × H100"),
    "more than Ray has": (1, CUDA, ["H100", "H100"], "", True, "2 × H100"),
    "CPU build": (1, CPU, [], "", False, "the CPU build: install torch's CUDA build"),
    "old driver": (1, CUDA, [], "The NVIDIA driver\non your system is too old", False, "too old: update the NVIDIA driver"),
    "old driver, and Ray saw none": (0, CUDA, [], "CUDA unknown error", False, "update the NVIDIA driver"),
    "one is lost": (2, CUDA, ["H100"], "", False, "Ray offers 2, but torch 2.13.0 for CUDA 13.0, sees 1: check `nvidia-smi`"),
}


@pytest.mark.parametrize("name", GPU_CASES)
def test_gpus(name: str) -> None:
    offered, cuda, names, why, ok, text = GPU_CASES[name]
    found = checks.judge_gpus(offered, {"torch": "2.13.0", "cuda": cuda, "names": names, "reason": why})
    assert found.ok is ok and text in f"{found.detail}: {found.remedy}" and bool(found.remedy) is (ok is False)


def test_gpus_that_are_not_there() -> None:
    require_failed(checks.gpus(99.0, 60.0), "Ray offers 99, but", "torch")


def test_simulators() -> None:
    assert checks.simulators(60.0).ok


def test_simulators_that_do_not_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LOCOMOTION", "hopper-nowhere")
    found = run_checks({"simulators": Check(lambda: checks.simulators(60.0), "mend it")})["simulators"]
    require_failed(found, "hopper-nowhere is unknown", "mend it")


def test_a_backend_that_does_not_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    found = checks.rendering(90.0)
    require_failed(found, "videos only")
    assert found.remedy.startswith(("set MUJOCO_GL=", "`apt-get install"))


def test_datasets(tmp_path: Path) -> None:
    assert checks.datasets(tmp_path, ()).ok
    require_failed(
        checks.datasets(tmp_path, ["hopper-builtin", "door-human-v1"]),
        "lacks door-human-v1 (door-human-v1.hdf5): ",
        f"data fetch --task door-human-v1 --data-dir {tmp_path}",
    )
    (tmp_path / "door-human-v1.hdf5").touch()
    assert checks.datasets(tmp_path, ["door-human-v1"]).ok


def test_a_damaged_built_in_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(task: object) -> None:
        raise DataError("hopper.parquet: the built-in dataset is missing or damaged; install ailot_ray again")

    monkeypatch.setattr(checks, "read_builtin", damaged)
    found = run_checks({"datasets": Check(lambda: checks.datasets(tmp_path, ()), "mend it")})["datasets"]
    require_failed(found, "hopper.parquet", "install ailot_ray again")


@pytest.mark.parametrize(
    ("address", "token", "ok"),
    [
        ("127.0.0.1:8265", False, True),
        ("localhost:8265", False, True),
        ("[::1]:8265", False, True),
        ("192.0.2.7:8265", True, True),
        ("192.0.2.7:8265", False, False),
        ("[2001:db8::7]:8265", False, False),
        ("", False, None),
        (None, True, None),
    ],
)
def test_dashboard(address: str | None, token: bool, ok: bool | None) -> None:
    found = checks.dashboard(address, token)
    assert found.ok is ok and (f"authentication is {'on' if token else 'off'}") in found.detail
    if ok is False:
        require_failed(found, str(address), "run code", "RAY_AUTH_MODE=token")
