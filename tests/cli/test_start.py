"""Help and errors come at once: without torch, Ray, a simulator, pyarrow or matplotlib."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from ailot_ray.__main__ import VERBS

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "ray", "pyarrow", "matplotlib", "scipy", "gymnasium", "mujoco", "h5py")
CODE = f"""
import sys
from ailot_ray.__main__ import main
try:
    status = main(sys.argv[1:])
except SystemExit as end:
    status = end.code or 0
print("loaded", *[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
sys.exit(status)
"""


def start(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-c", CODE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)
    *lines, loaded = done.stderr.splitlines()
    assert loaded == "loaded"
    return done.returncode, done.stdout, "\n".join(lines)


@pytest.mark.parametrize("verb", [*VERBS, "sweep tau", "portrait", "data"])
def test_help(verb: str) -> None:
    status, out, err = start(*verb.split(), "--help")
    assert status == 0 and not err
    assert "usage: python -m ailot_ray" in out


def test_the_version_is_the_packages() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ailot_ray", "--version"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert re.fullmatch(
        rf"ailot_ray {re.escape(version('ailot-ray'))}( \([0-9a-f]{{12}}(, with changes since)?\))?\n", done.stdout
    )


def test_the_list_of_verbs_has_the_first_line_of_each() -> None:
    for arguments in ((), ("--help",)):
        status, out, _ = start(*arguments)
        assert status == 0
        assert all(verb.split()[0] in out for verb in VERBS) and "Learn the intents" in out


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["nonsense"], 2, ["nonsense", "run", "data"]),
        (["run", "--mehtod", "ailot"], 2, ["--mehtod", "--method"]),
        (["run", "--method", "sebao"], 1, ["--method", "sebao", "seabo"]),
        (["relabel", "--reward.tau", "high"], 2, ["--reward.tau", "high"]),
        (["relabel", "--reward.tau", "-1"], 1, ["--reward.tau", "0 or more"]),
        (["train", "--seeds", "1", "1"], 1, ["--seeds"]),
        (["evaluate", "--video", "film.avi"], 1, ["--video", ".mp4"]),
        (["data", "nonsense"], 2, ["nonsense", "inspect"]),
        (["sweep", "tua"], 2, ["tua", "tau"]),
        (["doctor", "--seconds", "0"], 1, ["--seconds"]),
        (["dashboard", "--port", "0"], 1, ["--port"]),
    ],
)
def test_an_error_is_one_line(arguments: list[str], status: int, says: list[str]) -> None:
    found, out, err = start(*arguments)
    assert (found, out, err.count("\n")) == (status, "", 0)
    assert err.startswith("ailot_ray: ") and all(text in err for text in says), err
