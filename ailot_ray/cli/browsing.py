"""The verbs of the results page: dashboard serves it, portrait draws what a trial's page shows."""

import importlib
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import tyro

from ailot_ray.config import Config, with_settings
from ailot_ray.data.builtin import SOURCE
from ailot_ray.errors import AilotError, ConfigError, DataError
from ailot_ray.methods import get_method
from ailot_ray.pipeline import Experiment, diagnose, record_policy
from ailot_ray.pipeline.evaluate import TRIAL
from ailot_ray.records import TrialRecord, read_record
from ailot_ray.report.page.runs import video_path
from ailot_ray.report.page.sources import Sources, find_stores
from ailot_ray.report.record import Trial
from ailot_ray.store import SHORT, Store, open_artefact


@dataclass(frozen=True)
class Dashboard:
    """Serve the results page of one store or several on localhost, live while sweeps run. Ctrl-C ends it."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional] = (Path("store"),)
    """Stores, or folders that hold stores."""
    port: int = 8050
    """Where on localhost: http://localhost:8050."""
    json: bool = False
    """End with one JSON object on the last line of standard output."""

    def __post_init__(self) -> None:
        if not self.folders:
            raise ConfigError("dashboard needs a folder: the --store of a run, such as `python -m ailot_ray dashboard store`")
        if not 1 <= self.port <= 65535:
            raise ConfigError(f"--port is {self.port}, but it must be between 1 and 65535")

    def execute(self) -> dict[str, Any]:
        sources = Sources(find_stores(self.folders))
        page = importlib.import_module("ailot_ray.report.page.app")  # no other verb should wait for a web framework
        states = Counter(run.state for run in sources.read().runs)
        found = ", ".join(f"{number:,} {state}" for state, number in states.most_common()) or "no trials yet: they appear here"

        def ready() -> None:
            print(f"results of {', '.join(map(str, sources.stores))} ({found}): http://localhost:{self.port}", flush=True)

        try:
            page.serve(page.build(sources, Requests()), self.port, ready)
        except KeyboardInterrupt:  # the way to end it
            print()
        return {"stores": [str(store) for store in sources.stores], "port": self.port}


class Requests:
    """Makes portraits and videos for the page, each in a process of its own, which may import what the page does not."""

    def __init__(self) -> None:
        self._running: dict[tuple[Path, str], tuple[str, subprocess.Popen[bytes], IO[bytes]]] = {}

    def start(self, run: Trial, what: str) -> None:
        """Begin to make the portrait or the video of a run, unless something of it is being made already."""
        key = (run.root, run.short)
        if key in self._running and self._running[key][1].poll() is None:
            return
        command = [sys.executable, "-m", "ailot_ray", "portrait", "--store", str(run.root), "--trials", run.short]
        told = tempfile.TemporaryFile()  # noqa: SIM115 - open while the process writes into it
        command += ["--video"] if what == "video" else []
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told)
        self._running[key] = what, process, told

    def status(self, run: Trial) -> str:
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


@dataclass(frozen=True)
class Portrait:
    """Draw what the results page shows of a trial: rewards along trajectories, couplings, time-isometry, on mazes the map."""

    store: Path = Path("store")
    """Folder of artefacts."""
    trials: tuple[str, ...] = ()
    """Digests of the trials' scores, or their beginnings: what their folders' names end in. Default: the first seed of each
    configuration."""
    data: Path | None = None
    """The data file, where it lies elsewhere than when the trial ran."""
    video: bool = False
    """Record a video of the policy in place of the portrait."""
    json: bool = False
    """End with one JSON object on the last line of standard output."""

    def execute(self) -> dict[str, Any]:
        (store,) = find_stores([self.store])[:1]
        runs = [run for run in Sources([store]).read().runs if run.done]
        if not runs:
            raise ConfigError(f"--store {store} has no finished trial yet: evaluate one first")
        made: dict[str, str] = {}
        for run in _chosen(runs, self.trials):
            if not self.trials and not get_method(run.method).aligned and not self.video:
                continue  # nothing is aligned there
            experiment, seed = reopen(run, store, self.data)
            if self.video:
                path = video_path(store, _folder(run))
                record_policy(experiment, seed, path)
            else:
                path = diagnose(experiment, [seed])[0].folder
            made[run.short] = str(path)
            print(f"{run.short}: {path}")
        return {"made": made}


def _folder(run: Trial) -> Path:
    assert run.done
    return run.folder


def _chosen(runs: list[Trial], wanted: tuple[str, ...]) -> list[Trial]:
    if not wanted:
        first = {(run.task, run.data_digest, run.method, repr(sorted(run.config.items()))): run for run in reversed(runs)}
        return sorted(first.values(), key=runs.index)
    found = []
    for digest in wanted:
        matches = [run for run in runs if run.short.startswith(digest[:SHORT])]
        if len(matches) != 1:
            many = f"{len(matches)} trials begin so" if matches else "no finished trial has it"
            raise ConfigError(f"--trials {digest}: {many}; the folders in scores/ end in their digests")
        found += matches
    return found


def reopen(run: Trial, store: Path, data: Path | None = None) -> tuple[Experiment, int]:
    """The experiment that a finished run came from, and its seed. Raises DataError where its data are not there any more."""
    artefact = open_artefact("scores", _folder(run))
    record = read_record(artefact.path(TRIAL), TrialRecord)
    made = artefact.run
    source = record.data.source or (made.sources["data"] if made else SOURCE)
    config = Config(task=run.task, method=record.method, device="cpu")
    settings = dict(record.config)
    if data is not None or (record.data.substituted and source != SOURCE):
        settings["data"] = str(data or source)
    elif source != SOURCE:
        settings["data_dir"] = str(Path(source).parent)
    try:
        experiment = Experiment.open(with_settings(config, settings), Store(store))
    except AilotError as error:
        where = "--data FILE names its data where they lie now"
        raise DataError(f"trial {run.short} cannot be opened again: {error}; {where}") from error
    seed = record.seed
    if experiment.dataset.digest != run.data_digest:
        raise DataError(f"{experiment.dataset.source} is not the file of trial {run.short}: give that one with --data FILE")
    return experiment, seed
