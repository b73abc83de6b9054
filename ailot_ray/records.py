"""What is written as JSON in one place and read in another: the types of those files, and the one way to read them."""

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from ailot_ray.errors import StoreError

R = TypeVar("R")
EPISODES, TRIAL, POLICY_REPORT = "episodes.parquet", "trial.json", "policy.json"  # the files of a scores artefact


def read_record(path: Path, kind: type[R]) -> R:
    """Read a JSON file of this type. Raises StoreError naming the file, the field and the remedy."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{path} cannot be read ({error}): delete the folder {path.parent} and run again") from error


class CodeVersion(msgspec.Struct, frozen=True):
    """Which code made an artefact."""

    version: str
    """Of the package."""
    commit: str | None = None
    """Of git; None where the package is installed from elsewhere."""
    dirty: bool = False
    """Whether files had changed since that commit."""


class Manifest(msgspec.Struct, frozen=True):
    """An artefact's ``manifest.json``."""

    kind: str
    digest: str
    """SHA-256 of the kind and the key, in hexadecimal."""
    key: dict[str, Any]
    files: dict[str, str]
    """SHA-256 of each file beside the manifest."""
    code: CodeVersion | None = None


class RunRecord(msgspec.Struct, frozen=True):
    """An artefact's ``run.json``: when, where and with what it was made, which is no part of it."""

    finished: str
    seconds: float
    """Of the last, uninterrupted run only."""
    host: str = ""
    machine: str = ""
    python: str = ""
    packages: dict[str, str | None] = {}
    amount: int = 1
    """Gradient steps, or solves: what `seconds` grows with (:attr:`ailot_ray.stages.Stage.amount`)."""
    sources: dict[str, str] = {}
    """Where the data lay, by role (``data``, ``expert 0``, …), as the user named them."""
    stamps: dict[str, tuple[int, int]] = {}
    """Size and time of change (ns) of each file when its SHA-256 was last seen to be right."""


class DataFacts(msgspec.Struct, frozen=True):
    """What keys hold of a dataset and of the experts chosen for it, kept in the store so that a plan opens no data."""

    source: str
    digest: str
    """SHA-256 of its file, in hexadecimal."""
    substituted: bool
    trajectories: int
    experts: list[str] = []
    """SHA-256 of each expert's states; none of a method without an alignment."""


class DataRecord(msgspec.Struct, frozen=True):
    """The dataset behind a trial."""

    digest: str
    """SHA-256 of its file, in hexadecimal."""
    substituted: bool
    """Whether it stands in for the task's own, so that scores do not compare with published ones."""
    episodes: int
    mean_return: float | None
    mean_score: float | None
    best_score: float | None
    source: str = ""
    """Where it lay; of stores made before run.json told."""


class ExpertRecord(msgspec.Struct, frozen=True):
    """One expert trajectory of an alignment."""

    true_return: float | None
    steps: int = 0
    origin: str = ""
    """The file and the trajectory it came from."""


class TrialRecord(msgspec.Struct, frozen=True):
    """A scores artefact's ``trial.json``: what a row of the results table says beside the scores."""

    task: str
    data: DataRecord
    method: str
    seed: int
    config: dict[str, Any]
    """The settings, by path, that the result depends on."""
    artefacts: dict[str, str]
    """Folder names of the artefacts behind it, by kind."""
    expert: list[ExpertRecord] = []
    normalised: bool = True
    """False where the task has no reference returns: then every score is the return itself."""


class PlannedTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A trial of a sweep before it has run."""

    trial: str
    """Its digest (:func:`ailot_ray.cluster.planning.trial_digest`)."""
    task: str
    method: str
    source: str
    """Where its data lie."""
    data_digest: str
    substituted: bool
    settings: dict[str, Any]
    """What the sweep gives it, by path."""
    config: dict[str, Any]
    """The settings, by path, that its result depends on."""
    seeds: dict[int, dict[str, str]]
    """By seed, the shortened digests of the artefacts that it needs, by kind."""


class SweepPlan(msgspec.Struct, frozen=True):
    """A sweep's ``plan.json``."""

    sweep: str
    trials: list[PlannedTrial]
    samples: int | None = None
    """Trials that a search is going to draw; None of a grid."""


class EndedTrial(msgspec.Struct, frozen=True):
    """A sweep's ``ended/<trial>.json``: a trial that came to no scores."""

    state: Literal["failed", "stopped"]
    reason: str
    log: str
    """Folder of its log, below the store where it is there."""
    time: float = 0.0


class DrawnTrajectory(msgspec.Struct, frozen=True):
    """A trajectory that a diagnosis draws."""

    name: Literal["expert", "best", "worst"]
    steps: int = 0
    true_return: float | None = None
    trajectory: int | None = None
    """Its number in the dataset; None for the expert."""


class Diagnosis(msgspec.Struct, frozen=True):
    """A diagnosis' ``diagnostics.json``."""

    lines: list[DrawnTrajectory]
    environment: str = ""
    by: str = ""
    """What the best and the worst were chosen by."""


class RankCorrelation(msgspec.Struct, frozen=True):
    """Spearman's ρ of new and true rewards over trajectories; None where it is not defined."""

    of_return: float | None = msgspec.field(name="return", default=None)
    mean_reward_per_step: float | None = None
    length_control: float | None = None
    """Of the new return with the length alone: what the first figure must beat."""


class MarginalError(msgspec.Struct, frozen=True):
    mean: float
    worst: float


class Spread(msgspec.Struct, frozen=True):
    min: float
    mean: float
    max: float


class CoherenceRecord(msgspec.Struct, frozen=True):
    """Order of time in the couplings with each trajectory's chosen expert."""

    correlation: float | None
    backward: float | None


class Source(msgspec.Struct, frozen=True):
    source: str
    digest: str


class IntentValue(msgspec.Struct, frozen=True):
    """How far ICVF's value has come, means over the samples that it trains on."""

    reached: float
    """V(s, g, z) over the last tenth of the training; it starts near 0."""
    pace: float
    """What it is for whoever goes at the data's own pace (:meth:`ailot_ray.method.goals.GoalSampler.pace`)."""


class RelabelReport(msgspec.Struct, frozen=True):
    """A rewards artefact's ``report.json``: how good the alignment is, and whether the rewards say anything."""

    task: str
    trajectories: int
    transitions: int
    experts: list[ExpertRecord]
    rank_correlation: RankCorrelation
    marginal_error: MarginalError | None
    solves: int
    unconverged: int
    collapse_share: float
    """Share of the rewards near 0."""
    saturation_share: float
    """Share of the rewards near α."""
    cost_scale: float
    """s of α·exp(−τ·cost/s)."""
    reward: Spread
    coherence: CoherenceRecord | None
    isometry: dict[str, dict[str, float | None]]
    """Rank correlation of distance and steps apart, by space and horizon."""
    look_ahead_distance: float | None
    """Mean squared distance k steps ahead, over that of any two states of a trajectory."""
    short_trajectories: int
    """Trajectories that are no longer than the look-ahead."""
    value: IntentValue | None = None
    """None where no intents are compared, or they are untrained."""
    warnings: list[str] = []
    # what the key does not hold, filled in when it is read
    data: Source | None = None
    method: str = ""
    seed: int | None = None
    """None where all seeds share the rewards."""
    seconds_per_trajectory: float | None = None


HORIZON, GOAL = "horizon", "goal"
"""The ends of an episode that are no failure."""


class EpisodeEnd(msgspec.Struct, frozen=True):
    """The evaluation episodes that end for one reason."""

    end: str
    """:func:`ailot_ray.envs.ends.why_ended`."""
    episodes: int
    shortest: int
    """Steps, as are the other two."""
    median: float
    longest: int


class DataPart(msgspec.Struct, frozen=True):
    """What a policy makes of one part of its data."""

    name: str
    of_data: float
    """Its share of the transitions."""
    of_weight: float | None
    """Its share of the advantage weights; None of a policy that weighs nothing."""
    action_error: float
    """Mean squared difference of the policy's mean action from the data's, over components in ±1."""


class EpisodeKind(msgspec.Struct, frozen=True):
    """Evaluation episodes whose scores lie together, far from the others."""

    episodes: int
    score: float
    """Their mean."""


class PolicyReport(msgspec.Struct, frozen=True):
    """A scores artefact's ``policy.json``: why a policy scores what it does."""

    episodes: int
    ends: list[EpisodeEnd]
    kinds: list[EpisodeKind]
    """Two, or none where the scores are of one kind."""
    parts: list[DataPart]
    own_variance: float
    """Of π(a|s), mean over components: an action error below it is within what the policy takes for noise."""
    effective_share: float | None
    """Of the advantage weights (:func:`ailot_ray.method.iql.effective_share`); None of a policy that weighs nothing."""
    warnings: list[str] = []
