"""The stores behind a page, read again only where something has changed."""

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ailot_ray.errors import StoreError
from ailot_ray.report.grouping import WITHOUT_EFFECT
from ailot_ray.report.page.runs import marks, with_sweeps
from ailot_ray.report.record import Trial, read_trial, value_of, values_of
from ailot_ray.store import MANIFEST

_SIGNS = (".locks", "scores", "sweeps", "policies", "rewards")
"""Folders by which a store is known."""
_BOOKKEEPING = (*WITHOUT_EFFECT, "iql.snapshots")
"""Paths that are no question to a figure: without effect on the final score."""
_FIRST = ("reward.tau", "reward.alpha", "transport.k")
"""The method's own settings, asked about before any other."""


@dataclass(frozen=True)
class Snapshot:
    """Everything the stores hold at one moment."""

    version: str
    """Changes when anything else here does."""
    runs: tuple[Trial, ...]
    problems: tuple[str, ...] = ()
    """Files and artefacts that cannot be read, a line each: they are left out."""

    def find(self, digest: str) -> Trial | None:
        """The run of this shortened digest."""
        return next((run for run in self.runs if run.short == digest), None)


def find_stores(folders: Sequence[Path]) -> list[Path]:
    """The stores that `folders` name: each is a store or holds some. Raises StoreError for a folder that is neither."""
    stores: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise StoreError(f"{folder} is not there: give the folder of a store, such as the --store of a run")
        found = [folder] if _is_store(folder) else sorted(inner for inner in folder.iterdir() if _is_store(inner))
        if not found:
            raise StoreError(
                f"{folder} is no store and holds none: give the --store of a run, or begin with "
                f"`python -m ailot_ray run --store {folder}`"
            )
        stores += [store for store in found if store not in stores]
    return stores


def _is_store(folder: Path) -> bool:
    return folder.is_dir() and any((folder / sign).is_dir() for sign in _SIGNS)


class Sources:
    """Reads stores for a page. Finished artefacts never change, so each is read once; calls may come from several threads."""

    def __init__(self, stores: Sequence[Path]) -> None:
        self.stores = tuple(stores)
        self._lock = threading.Lock()
        self._trials: dict[Path, tuple[float, Trial | str]] = {}
        self._snapshot = Snapshot("", ())

    def read(self) -> Snapshot:
        """The stores as they are now."""
        with self._lock:
            version = hashlib.sha256(repr([sorted(marks(store)) for store in self.stores]).encode()).hexdigest()[:16]
            if version != self._snapshot.version:
                runs: dict[str, Trial] = {}
                problems: list[str] = []
                for store in self.stores:
                    done, damaged = self._finished(store)
                    # what two stores have is one run, and done where one of them has finished it
                    runs_here, unreadable = with_sweeps(store, done)
                    for run in runs_here:
                        if run.short not in runs or not runs[run.short].done:
                            runs[run.short] = run
                    problems += damaged + unreadable
                self._snapshot = Snapshot(version, tuple(sorted(runs.values(), key=_order)), tuple(problems))
            return self._snapshot

    def _finished(self, store: Path) -> tuple[dict[str, Trial], list[str]]:
        done, damaged = {}, []
        for manifest in (store / "scores").glob(f"[!.]*/{MANIFEST}"):
            folder, changed = manifest.parent, manifest.stat().st_mtime
            if self._trials.get(folder, (None,))[0] != changed:
                self._trials[folder] = changed, _read(folder)
            known = self._trials[folder][1]
            if isinstance(known, str):
                damaged.append(known)
            else:
                done[known.short] = known
        return done, damaged


def _read(folder: Path) -> Trial | str:
    try:
        return read_trial(folder)
    except StoreError as error:
        return str(error)


def _order(run: Trial) -> tuple[Any, ...]:
    return run.task, run.data, run.method, json.dumps(dict(run.config), sort_keys=True), run.seed or 0, run.short


def varying_paths(runs: Sequence[Trial]) -> list[str]:
    """Configuration paths with more than one value among `runs`, in the configuration's order."""
    paths = dict.fromkeys(path for run in runs for path in run.config)
    return [path for path in paths if path not in _BOOKKEEPING and len(values_of(runs, path)) > 1]


def swept_paths(runs: Sequence[Trial]) -> list[str]:
    """Paths in which runs of one method differ, AILOT's own first. Methods differ from each other in nearly all of theirs."""
    found: dict[str, None] = {}
    for method in dict.fromkeys(run.method for run in runs):
        found |= dict.fromkeys(varying_paths([run for run in runs if run.method == method]))
    return sorted(found, key=lambda path: _FIRST.index(path) if path in _FIRST else len(_FIRST))


def matching(runs: Sequence[Trial], conditions: Sequence[str]) -> list[Trial]:
    """The runs that meet all `conditions`, each ``path=value`` as JSON: of one path any value will do, of several paths all."""
    wanted: dict[str, list[Any]] = {}
    for condition in conditions:
        path, _, text = condition.partition("=")
        wanted.setdefault(path, []).append(json.loads(text))
    return [run for run in runs if all(_meets(run, path, values) for path, values in wanted.items())]


def _meets(run: Trial, path: str, values: Sequence[Any]) -> bool:
    if path == "sweep":
        return any(sweep in values for sweep in run.sweeps)
    return value_of(run, path) in values


def conditions(runs: Sequence[Trial]) -> list[tuple[str, str]]:
    """Every condition that tells some of `runs` from others, as (what is shown, ``path=value``)."""
    found = [("sweep", name) for name in sorted({sweep for run in runs for sweep in run.sweeps})]
    for path in ("task", "data", "method", "state", *varying_paths(runs), "seed"):
        values = values_of(runs, path)
        found += [(path, value) for value in values] if len(values) > 1 else []
    return [(f"{path} = {value}", f"{path}={json.dumps(value)}") for path, value in found]
