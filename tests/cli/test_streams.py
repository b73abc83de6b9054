"""Standard streams as shells and schedulers leave them."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("encoding", "redirected"), [("ascii", ""), ("latin-1", ""), ("utf-8", ">&-"), ("utf-8", ">&- 2>&-")])
def test_a_result_is_no_traceback_after_the_work_is_done(encoding: str, redirected: str) -> None:
    command = f'PYTHONIOENCODING={encoding} "{sys.executable}" -m ailot_ray tasks {redirected}'
    done = subprocess.run(command, shell=True, capture_output=True, check=False)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert redirected or b"hopper-medium-v2" in done.stdout
