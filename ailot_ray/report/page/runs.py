"""What the page knows of one configuration and seed: finished, on its way, to come, or failed. Read off a store's files.

sweeps/<name>/plan.json             which runs a sweep wants, and the digests of their artefacts
sweeps/<name>/ended/<trial>.json    which of its trials failed or were stopped
.locks/<kind>-<digest>.lock         held by the process that makes the artefact, so also: is it still at it
"""

import contextlib
import fcntl
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ailot_ray.errors import StoreError
from ailot_ray.files import own_file
from ailot_ray.records import EndedTrial, PlannedTrial, SweepPlan, read_record
from ailot_ray.report.record import Trial
from ailot_ray.stages import STAGES

R = TypeVar("R")

_DOING = {stage.artefact: stage.doing for stage in STAGES if stage.verb != "diagnose"}
"""What a run is at, by the kind of the artefact that is being made."""


def with_sweeps(store: Path, done: Mapping[str, Trial]) -> tuple[list[Trial], list[str]]:
    """`done` by their digests, with the sweeps that asked for them, and the runs which those sweeps still miss.

    Second, a line for each file of a sweep that cannot be read: it is left out.
    """
    runs, problems = dict(done), []

    def read(path: Path, kind: type[R]) -> R | None:
        try:
            return read_record(path, kind) if path.exists() else None
        except StoreError as error:
            problems.append(str(error))
            return None

    working = _working(store)
    for folder in sorted((store / "sweeps").glob("*")):
        plan = read(folder / "plan.json", SweepPlan)
        live = _held(store / ".locks" / f"sweep-{folder.name}.lock")
        for entry in plan.trials if plan else ():
            ended = read(folder / "ended" / f"{Path(entry.trial).name}.json", EndedTrial)
            for seed, artefacts in entry.seeds.items():
                digest = artefacts.get("scores")
                if digest is None:
                    continue
                known = runs.get(digest)
                if known is None:
                    known = _coming(store, entry, seed, artefacts, ended, live, working)
                runs[digest] = replace(known, sweeps=(*known.sweeps, folder.name))
    return list(runs.values()), problems


def marks(store: Path) -> Iterator[tuple[str, float]]:
    """Names and times that change whenever a run's state may have changed: cheap to look at every few seconds."""
    for pattern in ("scores/*", "sweeps/*/*.json", "sweeps/*/ended/*", ".work/*", "diagnostics/*", "videos/*.mp4"):
        for path in store.glob(pattern):
            with contextlib.suppress(OSError):
                yield str(path), path.stat().st_mtime
    sweeps = (path.name for path in (store / ".locks").glob("sweep-*.lock"))
    for name in (*sweeps, *(f"{path.name}.lock" for path in (store / ".work").glob("*"))):
        yield name, float(_held(store / ".locks" / name))


def log_tail(run: Trial, lines: int = 60) -> str:
    """The end of what a failed trial left in Tune's folder, inside of its store: its traceback, else its last reports."""
    for name in ("error.txt", "result.json") if run.log else ():
        path = own_file(run.root, Path(str(run.log)) / name)
        with contextlib.suppress(OSError):
            text = path.read_text(errors="replace").rstrip().splitlines()[-lines:] if path else []
            if text:
                return "\n".join(text)
    return ""


def _coming(
    store: Path,
    entry: PlannedTrial,
    seed: int,
    artefacts: Mapping[str, str],
    ended: EndedTrial | None,
    live: bool,
    working: set[str],
) -> Trial:
    run = Trial(
        root=store,
        state="waiting" if live else "interrupted",
        task=entry.task,
        method=entry.method,
        seed=seed,
        config=entry.config,
        digest=artefacts["scores"],
        data=Path(entry.source).name,
        data_digest=entry.data_digest,
        substituted=entry.substituted,
    )
    if ended is not None:
        # a relative path is inside the store; an absolute one stays as it is
        return replace(run, state=ended.state, detail=ended.reason, log=store / ended.log)
    for kind in reversed(_DOING):
        name = f"{kind}-{artefacts.get(kind)}"
        if name in working:
            return replace(run, state="running", detail=_DOING[kind] + _progress(store / ".work" / name, entry.config, kind))
    return run


def _working(store: Path) -> set[str]:
    """Artefacts that a process is making now. A work folder whose lock is free is what a killed process left."""
    folders = (path.name for path in (store / ".work").glob("*"))
    return {name for name in folders if _held(store / ".locks" / f"{name}.lock")}


def _held(lock: Path) -> bool:
    """Whether another process holds the file lock; asks without ever taking it for longer than the question."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _progress(work: Path, config: Mapping[str, Any], kind: str) -> str:
    """How far a training is, by its last snapshot."""
    snapshots = sorted(path.stem.rpartition("-")[2] for path in work.glob("actor-*.safetensors"))
    total = config.get("iql.steps")
    if kind != "policies" or not snapshots or not isinstance(total, int) or total < 1:
        return ""
    return f", {int(snapshots[-1]) / total:.0%}"
