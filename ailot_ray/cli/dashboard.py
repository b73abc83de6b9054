"""Verb dashboard."""

import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import tyro

from ailot_ray.cli.options import Verb
from ailot_ray.errors import ConfigError
from ailot_ray.lazy import Lazy

if TYPE_CHECKING:
    from ailot_ray.report.page import server, sources
    from ailot_ray.report.record import Trial
else:
    server, sources = Lazy("ailot_ray.report.page.server"), Lazy("ailot_ray.report.page.sources")


@dataclass(frozen=True, kw_only=True)
class Dashboard(Verb):
    """Serve the results page of one store or several on localhost, live while sweeps run. Ctrl-C ends it."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional] = (Path("store"),)
    """Stores, or folders that hold stores."""
    port: int = 8050
    """Where on localhost: http://localhost:8050."""

    def __post_init__(self) -> None:
        if not self.folders:
            raise ConfigError("dashboard needs a folder: the --store of a run, such as `python -m ailot_ray dashboard store`")
        if not 1 <= self.port <= 65535:
            raise ConfigError(f"--port is {self.port}, but it must be between 1 and 65535")

    def execute(self) -> dict[str, Any]:
        found = sources.Sources(sources.find_stores(self.folders))
        states = Counter(run.state for run in found.read().runs)
        told = ", ".join(f"{number:,} {state}" for state, number in states.most_common()) or "no trials yet: they appear here"

        def ready() -> None:
            print(f"results of {', '.join(map(str, found.stores))} ({told}): http://localhost:{self.port}", flush=True)

        try:
            server.serve(server.Server(found, self.port, Requests()), ready)
        except KeyboardInterrupt:  # the way to end it
            print()
        return {"stores": [str(store) for store in found.stores], "port": self.port}


class Requests:
    """Makes portraits and videos for the page, each in a process of its own, which may import what the page does not."""

    def __init__(self) -> None:
        self._running: dict[tuple[Path, str], tuple[str, subprocess.Popen[bytes], IO[bytes]]] = {}

    def start(self, run: "Trial", what: str) -> None:
        """Begin to make the portrait or the video of a run, unless something of it is being made already."""
        key = (run.root, run.short)
        if key in self._running and self._running[key][1].poll() is None:
            return
        command = [sys.executable, "-m", "ailot_ray", "diagnose", "--store", str(run.root), "--trials", run.short]
        told = tempfile.TemporaryFile()  # noqa: SIM115 - open while the process writes into it
        command += ["--video"] if what == "video" else []
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told)
        self._running[key] = what, process, told

    def status(self, run: "Trial") -> str:
        """What is being made of this run, or why it could not be; empty where there is nothing to tell."""
        if (run.root, run.short) not in self._running:
            return ""
        what, process, told = self._running[run.root, run.short]
        if process.poll() is None:
            return f"making the {what} …"
        if process.returncode == 0:
            return ""
        told.seek(0)
        lines = told.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"the {what} could not be made (status {process.returncode})"
