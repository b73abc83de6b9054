"""What a connection to Ray keeps and removes of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from ailot_ray.cluster import session
from ailot_ray.cluster.facts import DriverContext
from ailot_ray.config import Config
from ailot_ray.errors import DataError

HELD = """
import sys, time
from pathlib import Path
from ailot_ray.cluster import session
session.SHORT_FOLDER = Path(sys.argv[1])
with session._own_folder():
    print("held", flush=True)
    time.sleep(60)
"""


def test_folders_of_killed_commands_are_removed_when_their_logs_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SHORT_FOLDER", tmp_path)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    (tmp_path / "ailot-of-somebody-else").mkdir()
    commands = [subprocess.Popen([sys.executable, "-c", HELD, tmp_path], stdout=subprocess.PIPE) for _ in range(3)]
    try:
        folders = []
        for command in commands:
            assert command.stdout and command.stdout.readline()
        folders = sorted(path.parent for path in tmp_path.glob(f"*/{session.OWNER}"))
        for command in commands[:2]:
            command.kill()
            command.wait()
        living = [folder for folder in folders if _held(folder)]
        dead = [folder for folder in folders if folder not in living]
        assert (len(living), len(dead)) == (1, 2)
        for folder in (living[0], dead[0]):
            os.utime(folder / session.OWNER, times=(0, time.time() - session.LOGS_SECONDS - 10))
        with session._own_folder():
            inside = {path for path in tmp_path.iterdir() if path.name != "ailot-of-somebody-else"}
        assert living[0] in inside and dead[1] in inside and dead[0] not in inside and len(inside) == 3
        with pytest.raises(ZeroDivisionError), session._own_folder():
            raise ZeroDivisionError
        assert len(set(tmp_path.iterdir())) == 4, "the logs of what failed stay for a day"
    finally:
        for command in commands:
            command.kill()
            command.wait()


def _held(folder: Path) -> bool:
    try:
        with FileLock(folder / session.OWNER, timeout=0):
            return False
    except Timeout:
        return True


def test_a_worker_is_held_to_the_data_that_the_driver_read(tmp_path: Path) -> None:
    config = Config(task="hopper-builtin", method="bc")
    digest = DriverContext.here(tmp_path).open(config).dataset.digest
    DriverContext.here(tmp_path, {"built-in": digest, "elsewhere": "00"}).open(config)
    with pytest.raises(DataError, match=f"built-in on node .* has SHA-256 {digest}, but the driver read 00"):
        DriverContext.here(tmp_path, {"built-in": "00"}).open(config)
