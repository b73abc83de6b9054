"""The record: one configuration and seed, planned, running, failed or finished. Tables, figures and page read nothing else."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ailot_ray.errors import StoreError, one_line
from ailot_ray.records import EPISODES, TRIAL, CodeVersion, RunRecord, TrialRecord, read_record
from ailot_ray.store import MANIFEST, SHORT, open_artefact, read_run

State = Literal["running", "waiting", "done", "failed", "stopped", "interrupted"]
STATES: tuple[State, ...] = ("running", "waiting", "done", "failed", "stopped", "interrupted")


_NO_STEPS, _NO_NUMBERS = np.zeros(0, np.int64), np.zeros(0, np.float64)


@dataclass(frozen=True)
class Trial:
    """One task, dataset, configuration and seed. N evaluation episodes, those of every snapshot together; none until done."""

    task: str
    method: str
    seed: int | None
    """None of a failed trial that left no plan."""
    config: Mapping[str, Any]
    """The settings, by path, that its result depends on."""
    state: State = "done"
    digest: str = ""
    """Names it: the digest of its scores, shortened until they are there; else its sweep and a number."""
    data: str = ""
    """Name of the data file, or ``built-in``."""
    data_digest: str = ""
    """SHA-256 of that file, which tells datasets apart wherever they lie."""
    substituted: bool = False
    """Whether the data stand in for the task's own, so that scores do not compare with published ones."""
    normalised: bool = True
    """False where the task has no reference returns: then every score is the return itself."""
    dataset_score: float | None = None
    """Mean normalised score of the dataset's episodes; None where the file has no rewards."""
    steps: NDArray[np.int64] = field(default_factory=lambda: _NO_STEPS, compare=False, repr=False)
    """Gradient steps of the snapshot behind each episode, (N,)."""
    returns: NDArray[np.float64] = field(default_factory=lambda: _NO_NUMBERS, compare=False, repr=False)
    """Undiscounted return of each episode, (N,)."""
    scores: NDArray[np.float64] = field(default_factory=lambda: _NO_NUMBERS, compare=False, repr=False)
    """Normalised score of each episode, (N,)."""
    folder: Path = Path()
    """The scores artefact."""
    finished: str = ""
    """When it was evaluated, in UTC."""
    code: CodeVersion | None = None
    """Which code evaluated it; None of stores from before manifests told."""
    artefacts: Mapping[str, str] = field(default_factory=dict)
    """Folder names of the artefacts behind it, by kind."""
    labelling: float | None = None
    """Seconds that its rewards took, with the intents and the alignment behind them; None where nothing tells them."""
    source: str = ""
    """Where the data lay."""
    detail: str = ""
    """What it is at, or why it failed."""
    sweeps: tuple[str, ...] = ()
    log: Path | None = None
    """Folder of a failed trial's log."""
    root: Path = Path()
    """The store."""

    @property
    def done(self) -> bool:
        return self.state == "done"

    @property
    def short(self) -> str:
        """Its name on the page and in folders."""
        return self.digest[:SHORT] if self.done else self.digest

    @property
    def final(self) -> NDArray[np.bool_]:
        """The episodes of the final policy, (N,)."""
        return np.asarray(self.steps == self.steps.max())

    @property
    def trained(self) -> int:
        """Gradient steps of the final policy."""
        return int(self.steps.max())

    @property
    def score(self) -> float:
        """Of a trial that is done: the mean over the final policy's episodes."""
        return float(self.scores[self.final].mean())

    def curve(self) -> dict[int, float]:
        """Mean score of each snapshot by its gradient steps, in their order."""
        return {int(step): float(self.scores[self.steps == step].mean()) for step in np.unique(self.steps)}


def load_trials(store: Path) -> list[Trial]:
    """Read every finished score artefact of `store`, sorted by task, data, method and seed.

    A folder without a manifest is not finished and left out; a store that does not exist holds nothing. Raises StoreError for
    a damaged artefact.
    """
    finished = (path.parent for path in (store / "scores").glob(f"*/{MANIFEST}"))
    # A name with a dot in front is another process's temporary folder.
    trials = [read_trial(folder) for folder in finished if not folder.name.startswith(".")]
    return sorted(trials, key=_order)


def read_trial(folder: Path) -> Trial:
    """Read one finished score artefact. Raises StoreError where it is damaged."""
    artefact = open_artefact("scores", folder)
    try:
        record = read_record(folder / TRIAL, TrialRecord)
        episodes = pq.ParquetFile(folder / EPISODES).read()
        if not len(episodes):
            raise ValueError("episodes.parquet holds no episode")
        run = artefact.run
        source = record.data.source or (run.sources.get("data", "") if run else "")
        return Trial(
            task=record.task,
            method=record.method,
            seed=record.seed,
            config=record.config,
            digest=artefact.digest,
            data=Path(source).name or record.data.digest[:8],
            data_digest=record.data.digest,
            substituted=record.data.substituted,
            normalised=record.normalised,
            dataset_score=record.data.mean_score,
            steps=episodes.column("step").to_numpy().astype(np.int64),
            returns=episodes.column("return").to_numpy().astype(np.float64),
            scores=episodes.column("score").to_numpy().astype(np.float64),
            folder=folder,
            finished=run.finished if run else "",
            code=artefact.code,
            artefacts=record.artefacts,
            labelling=_labelling(folder.parent.parent, record.artefacts),
            source=source,
            root=folder.parent.parent,
        )
    except (KeyError, ValueError, TypeError, OSError, pa.ArrowException) as error:
        missing = f"{error.args[0]} is missing" if isinstance(error, KeyError) else one_line(error)
        raise StoreError(
            f"artefact {folder} is damaged ({missing}): delete the folder and run the same command again"
        ) from error


_LABELLING = ("intents", "alignment", "rewards")


def _labelling(root: Path, artefacts: Mapping[str, str]) -> float | None:
    runs = [_run_of(root / kind / artefacts[kind]) for kind in _LABELLING if kind in artefacts]
    known = [run.seconds for run in runs if run]
    return sum(known) if known and len(known) == len(runs) else None


@functools.lru_cache(maxsize=10_000)
def _run_of(folder: Path) -> RunRecord | None:
    """Of artefacts that many trials share, and that never change."""
    return read_run(folder)


def values_of(runs: Sequence[Trial], path: str) -> list[Any]:
    """The different values that runs have at `path`, numbers in their order, then words; None is left out."""
    values = {value_of(run, path) for run in runs} - {None}
    return sorted(values, key=lambda value: (isinstance(value, str), value if not isinstance(value, str) else 0, str(value)))


def value_of(run: Trial, path: str) -> Any:
    """A run's value at a configuration path, or at one of its own fields (`task`, `method`, `seed`, `state`, `data`, …)."""
    if path in run.config and path not in ("task", "method", "data"):
        value = run.config[path]
        return value if isinstance(value, str | int | float | None) else json.dumps(value)
    if path == "score" and not run.done:
        return None
    value = getattr(run, path, None)
    return value if isinstance(value, str | int | float) else None


def _order(trial: Trial) -> tuple[Any, ...]:
    return trial.task, trial.data, trial.data_digest, trial.method, trial.seed or 0, trial.digest
