"""Standard streams as shells and schedulers leave them."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ailot_ray.__main__ import main
from ailot_ray.cli.command import run_command
from ailot_ray.cli.options import Verb


@pytest.mark.parametrize(("encoding", "redirected"), [("ascii", ""), ("latin-1", ""), ("utf-8", ">&-"), ("utf-8", ">&- 2>&-")])
def test_a_result_is_no_traceback_after_the_work_is_done(encoding: str, redirected: str) -> None:
    command = f'PYTHONIOENCODING={encoding} "{sys.executable}" -m ailot_ray tasks {redirected}'
    done = subprocess.run(command, shell=True, capture_output=True, check=False)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert redirected or b"hopper-medium-v2" in done.stdout


@dataclass(frozen=True)
class Undefined(Verb):
    def execute(self) -> dict[str, Any]:
        return {"mean": math.nan, "ends": (1.0, -math.inf), "all": {"n": 3}}


def test_json_has_null_where_there_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(Undefined, "undefined", "", ["--json"]) == 0
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "mean": None,
        "ends": [1.0, None],
        "all": {"n": 3},
    }


def test_a_name_that_is_no_text_is_refused_before_any_work(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["run", "--store", f"{tmp_path}/st\udcffore"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "udcff" in line and "rename the file or folder" in line and not list(tmp_path.iterdir())
