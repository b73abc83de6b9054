"""What the page knows of one configuration and seed: finished, on its way, to come, or failed. Read off a store's files.

sweeps/<name>/plan.json             which runs a sweep wants, and the digests of their artefacts
sweeps/<name>/ended/<trial>.json    which of its trials failed or were stopped
sweeps/<name>/sweep.json            the same once it is over, of sweeps that left no plan
.locks/<kind>-<digest>.lock         held by the process that makes the artefact, so also: is it still at it
"""

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ailot_ray.report.record import Trial
from ailot_ray.stages import STAGES

_DOING = {stage.artefact: stage.doing for stage in STAGES if stage.verb != "diagnose"}
"""What a run is at, by the kind of the artefact that is being made."""


def with_sweeps(store: Path, done: Mapping[str, Trial]) -> list[Trial]:
    """`done` by their digests, with the sweeps that asked for them, and the runs which those sweeps still miss.

    A plan that cannot be read, because it is damaged, counts as none.
    """
    runs = dict(done)
    working = _working(store)
    for folder in sorted((store / "sweeps").glob("*")):
        plan = _read(folder / "plan.json")
        if plan is None:
            runs |= {run.short: run for run in _failures(store, folder)}
            continue
        live = _held(store / ".locks" / f"sweep-{folder.name}.lock")
        for entry in plan.get("trials", ()):
            ended = _read(folder / "ended" / f"{entry['trial']}.json")
            for seed, artefacts in entry["seeds"].items():
                digest = artefacts["scores"]
                known = runs.get(digest)
                if known is None:
                    known = _coming(store, entry, int(seed), artefacts, ended, live, working)
                runs[digest] = replace(known, sweeps=(*known.sweeps, folder.name))
    return list(runs.values())


def marks(store: Path) -> Iterator[tuple[str, float]]:
    """Names and times that change whenever a run's state may have changed: cheap to look at every few seconds."""
    for pattern in ("scores/*", "sweeps/*/*.json", "sweeps/*/ended/*", ".work/*", "diagnostics/*", "videos/*.mp4"):
        for path in store.glob(pattern):
            with contextlib.suppress(OSError):
                yield str(path), path.stat().st_mtime
    sweeps = (path.name for path in (store / ".locks").glob("sweep-*.lock"))
    for name in (*sweeps, *(f"{path.name}.lock" for path in (store / ".work").glob("*"))):
        yield name, float(_held(store / ".locks" / name))


def log_tail(folder: Path, lines: int = 60) -> str:
    """The end of what a failed trial left in Tune's folder: its traceback, else the last of its reports."""
    for name in ("error.txt", "result.json"):
        with contextlib.suppress(OSError):
            text = (folder / name).read_text(errors="replace").rstrip().splitlines()[-lines:]
            if text:
                return "\n".join(text)
    return ""


def _coming(
    store: Path,
    entry: Mapping[str, Any],
    seed: int,
    artefacts: Mapping[str, str],
    ended: Mapping[str, Any] | None,
    live: bool,
    working: set[str],
) -> Trial:
    run = Trial(
        root=store,
        state="waiting" if live else "interrupted",
        task=entry["task"],
        method=entry["method"],
        seed=seed,
        config=entry["config"],
        digest=artefacts["scores"],
        data=Path(entry["source"]).name,
        data_digest=entry["data_digest"],
        substituted=entry["substituted"],
    )
    if ended is not None:
        # a relative path is inside the store; an absolute one stays as it is
        return replace(run, state=ended["state"], detail=ended["reason"], log=store / ended["log"])
    for kind in reversed(_DOING):
        name = f"{kind}-{artefacts.get(kind)}"
        if name in working:
            return replace(run, state="running", detail=_DOING[kind] + _progress(store / ".work" / name, entry["config"], kind))
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
    return f", {int(snapshots[-1]) / total:.0%}" if kind == "policies" and snapshots and total else ""


def _failures(store: Path, folder: Path) -> Iterator[Trial]:
    """What failed in a sweep that is over and left no plan."""
    for number, failure in enumerate((_read(folder / "sweep.json") or {}).get("failures", ())):
        settings = failure["settings"]
        yield Trial(
            root=store,
            state="failed",
            task=str(settings.get("task", "")),
            method=str(settings.get("method", "")),
            seed=None,
            config=settings,
            digest=f"{folder.name}-{number}",
            detail=" ".join(str(failure["reason"]).split()),
            sweeps=(folder.name,),
            log=Path(failure["log"]),
        )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
