"""Commands of ours in processes of their own, and whether anything that they started lives on."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from .relabelling import processes_with

MARK = "AILOT_TEST_PROGRAM"
SLOW_TO_END = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
"""Ray's own, which work on nothing: after a SIGKILL they try for a minute to tell the head, which is gone."""


class Program:
    """A Python command in a process of its own. Whatever it starts inherits a mark, by which it is found."""

    def __init__(self, arguments: Sequence[str], seconds: float, seconds_to_end: float) -> None:
        """It has `seconds` in all, and what it started has `seconds_to_end` more."""
        self.mark, self.seconds, self.seconds_to_end = uuid.uuid4().hex, seconds, seconds_to_end
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment | {MARK: self.mark, "RAY_USAGE_STATS_ENABLED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that its group gets what a terminal sends: the command and all that it started
        )

    def processes(self) -> list[int]:
        return processes_with(MARK, self.mark)

    def end(self, status: int) -> tuple[str, str]:
        """What it printed, when it has ended with `status` and nothing that it started lives any more."""
        output, errors = self.process.communicate(timeout=self.seconds)
        assert self.process.returncode == status, errors
        spared = SLOW_TO_END if status == -signal.SIGKILL else set()
        deadline = time.monotonic() + self.seconds_to_end
        while left := {name_of(pid) for pid in self.processes()} - spared - {""}:
            assert time.monotonic() < deadline, f"{left} live on after status {status}"
            time.sleep(0.1)
        return output, errors


def name_of(pid: int) -> str:
    """The command line of a process, empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()[:80]
    except OSError:
        return ""
