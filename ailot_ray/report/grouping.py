"""The one grouping of trials: by task, data, method, configuration and gradient steps, each over its seeds.

Tables, CSV, LaTeX, figures, the page and the shared file all draw these groups. A trial is told from others by its task, the
digest of its data (not their path), its method, the settings that the method reads, its gradient steps and its seed; where
that was evaluated more than once, the latest evaluation counts.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ailot_ray.methods import method_table
from ailot_ray.report import statistics
from ailot_ray.report.look import DATASET, label_of, rank_of
from ailot_ray.report.record import Trial, value_of
from ailot_ray.tasks import TASKS, Reference

WITHOUT_EFFECT = ("task", "data", "method", "device", "data_dir", "data_from", "evaluation.curve_episodes", "iql.steps")
"""Paths that are no settings of a group: told elsewhere (steps stand in its name), or without effect on the final score."""
_SECTIONS = ("icvf.", "transport.", "reward.", "iql.", "evaluation.", "expert")
_SIMULATOR, _PHYSICS = "evaluation.simulator", "evaluation.physics"
_NAMED = {_SIMULATOR: "gymnasium", _PHYSICS: "mujoco"}
"""Paths that groups name wherever they have another value; trials from before there was a choice do not have them."""


@dataclass(frozen=True)
class Group:
    """A configuration of a method on one dataset over its seeds, or (`method` ``dataset``) the dataset itself."""

    task: str
    data: str
    data_digest: str
    substituted: bool
    normalised: bool
    """False where the task has no reference returns: then every score is the return itself."""
    method: str
    mean: float | None
    """Mean normalised score over seeds; None where the dataset has no rewards."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The paths in which the method's groups on the same data, of as many steps, differ; and the simulator where it is not
    the default one, and the physics where they are not today's."""
    usual: dict[str, Any] = field(default_factory=dict)
    """Of those paths the values that more than half of the method's groups on the same data have."""
    steps: int | None = None
    """Gradient steps of the final policies."""
    names_steps: bool = False
    """Whether the groups beside it have other gradient steps, so that its name must tell its own."""
    seeds: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    """One score a seed, in the order of `seeds`."""
    std: float | None = None
    """Sample standard deviation over seeds; None for a single seed."""
    interquartile_mean: float | None = None
    interval: tuple[float, float] | None = None
    """95 % interval of the mean over seeds (:func:`ailot_ray.report.statistics.mean_interval`); None for a single seed."""
    labelling: float | None = None
    """Median over the trials of the seconds that their rewards took; None where not told."""
    references: tuple[Reference, ...] = ()
    """The method's published scores; none where the data stand in for D4RL's own."""
    trials: tuple[Trial, ...] = field(default=(), compare=False, repr=False)
    """One trial a seed, in the order of `seeds`."""

    @property
    def published(self) -> float | None:
        """The published score, of the first source that has one."""
        return self.references[0].score if self.references else None

    @property
    def place(self) -> tuple[str, str]:
        """The task and the digest of the data."""
        return self.task, self.data_digest

    @property
    def label(self) -> str:
        """The method's name in reports."""
        return label_of(self.method)

    @property
    def title(self) -> str:
        """The method's name, with the gradient steps where groups of others stand beside it."""
        return f"{self.label} ({self.steps:,} steps)" if self.names_steps and self.steps is not None else self.label

    @property
    def settings_text(self) -> str:
        """What sets the group apart, ``reward.tau=0.1 transport.k=0``: the differing settings without the usual ones."""
        apart = self.departures | (self.settings.keys() - self.usual.keys())
        return format_settings({path: value for path, value in self.settings.items() if path in apart})

    @property
    def name(self) -> str:
        """The title and what sets the group apart from the method's others: no two on the same data have the same name."""
        return f"{self.title} {self.settings_text}".rstrip()

    @property
    def departures(self) -> frozenset[str]:
        """The paths at which the group has another value than the usual one."""
        return frozenset(path for path, value in self.usual.items() if self.settings.get(path, value) != value)

    @property
    def data_text(self) -> str:
        """File name and the first 8 characters of its digest, marked where scores are not what they are elsewhere."""
        marks = f"{' *' if self.substituted else ''}{'' if self.normalised else ' †'}"
        return f"{self.data} ({self.data_digest[:8]}){marks}"

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of the score artefacts behind it."""
        return tuple(trial.digest for trial in self.trials)

    @property
    def best(self) -> tuple[int, float] | None:
        """The seed with the highest score, and that score."""
        return max(zip(self.seeds, self.scores, strict=True), key=lambda pair: pair[1], default=None)

    @property
    def worst(self) -> tuple[int, float] | None:
        """The seed with the lowest score, and that score."""
        return min(zip(self.seeds, self.scores, strict=True), key=lambda pair: pair[1], default=None)


def format_settings(settings: Mapping[str, Any]) -> str:
    """Settings as they are typed, such as ``reward.tau=0.1 transport.k=0``."""
    return " ".join(f"{path}={_value_text(value)}" for path, value in settings.items())


def settings_of(trial: Trial) -> dict[str, Any]:
    """The settings that tell trials of a method apart: without what it never reads, its steps, and where it ran."""
    method = method_table().get(trial.method)
    read = method.paths_read(trial.config.get("transport.space", "intent")) if method else _SECTIONS
    settings = {
        path: value
        for path, value in trial.config.items()
        if path not in WITHOUT_EFFECT and (path.startswith(read) or not path.startswith(_SECTIONS))
    }
    settings |= {path: settings.get(path) or default for path, default in _NAMED.items()}
    if settings[_SIMULATOR] == "d4rl":  # D4RL's own simulator has no other physics
        del settings[_PHYSICS]
    return settings


def differing_paths(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """The paths at which configurations that have them differ; one that lacks a path says nothing of it."""
    paths = dict.fromkeys(path for settings in configurations for path in settings)
    return [path for path in paths if len({_key(settings[path]) for settings in configurations if path in settings}) > 1]


def distinct(trials: Sequence[Trial]) -> list[Trial]:
    """The trials in their order, of finished ones that are the same trial the latest alone."""
    latest: dict[tuple[Any, ...], Trial] = {}
    for trial in trials:
        if trial.done:
            known = latest.setdefault(_identity(trial), trial)
            if (trial.finished, not trial.substituted) > (known.finished, not known.substituted):
                latest[_identity(trial)] = trial
    return [trial for trial in trials if not trial.done or latest[_identity(trial)] is trial]


def group(trials: Sequence[Trial]) -> list[Group]:
    """Group finished trials (others are left out), ordered by task, data and method; the dataset itself comes first in each."""
    places: dict[tuple[str, str], list[Trial]] = {}
    for trial in distinct([trial for trial in trials if trial.done]):
        places.setdefault((trial.task, trial.data_digest), []).append(trial)
    unequal = len({trial.trained for inside in places.values() for trial in inside}) > 1
    found: list[Group] = []
    for inside in places.values():
        first = min(inside, key=lambda trial: trial.substituted)
        about = {name: getattr(first, name) for name in ("task", "data", "data_digest", "substituted", "normalised")}
        found.append(Group(**about, method=DATASET, mean=first.dataset_score))
        # what sets a configuration apart is asked among those of equal steps: steps themselves stand in the name
        for method, steps in sorted({(trial.method, trial.trained) for trial in inside}, key=lambda pair: -pair[1]):
            alike = [trial for trial in inside if (trial.method, trial.trained) == (method, steps)]
            found += _of_method(alike, about, unequal)
    # The sort is stable: a method's longest trained configurations stand first, then the order of their settings.
    return sorted(found, key=_order)


def sorted_by(groups: Sequence[Group], path: str) -> list[Group]:
    """Groups in the order of their datasets, inside each by the mean score, best first, or by the setting at `path`."""
    places = list(dict.fromkeys(one.place for one in groups))

    def rank(one: Group) -> tuple[Any, ...]:
        if path == "score":
            return -np.inf if one.mean is None else -one.mean, ""
        return _rank(value_of(one.trials[0], path)) if one.trials else _rank(None)

    return sorted(groups, key=lambda one: (places.index(one.place), one.method != DATASET, rank(one)))


Curve = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]


def mean_curve(trials: Sequence[Trial]) -> Curve:
    """Steps, mean score, its sample standard deviation (0 of one trial) and the number of trials, (S,) each.

    S: the steps at which any trial was evaluated.
    """
    curves = [trial.curve() for trial in trials]
    steps = sorted(set().union(*curves))
    scores = [[curve[step] for curve in curves if step in curve] for step in steps]
    spread = [statistics.std(values) if len(values) > 1 else 0.0 for values in scores]
    means = [statistics.mean(values) for values in scores]
    return np.array(steps, np.int64), np.array(means), np.array(spread), np.array([len(values) for values in scores])


def _identity(trial: Trial) -> tuple[Any, ...]:
    return (trial.task, trial.data_digest, trial.method, *_configuration(trial), trial.seed)


def _configuration(trial: Trial) -> tuple[Any, ...]:
    return trial.trained, tuple(sorted((path, _key(value)) for path, value in settings_of(trial).items()))


def _key(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _order(one: Group) -> tuple[Any, ...]:
    tasks = list(TASKS)
    task = tasks.index(one.task) if one.task in tasks else len(tasks)
    return task, one.task, one.data, one.data_digest, *rank_of(one.method)


def _of_method(trials: Sequence[Trial], about: dict[str, Any], unequal: bool) -> list[Group]:
    grouped: dict[tuple[Any, ...], list[Trial]] = {}
    for trial in trials:
        grouped.setdefault(_configuration(trial), []).append(trial)
    configurations = [settings_of(members[0]) for members in grouped.values()]
    differing = differing_paths(configurations)
    usual = _usual(configurations, differing)
    found = []
    for settings, members in zip(configurations, grouped.values(), strict=True):
        members.sort(key=lambda trial: trial.seed or 0)
        scores, several = tuple(trial.score for trial in members), len(members) > 1
        task = TASKS.get(about["task"])
        found.append(
            Group(
                **about,
                method=members[0].method,
                mean=statistics.mean(scores),
                settings=_shown(settings, differing),
                usual=usual,
                steps=members[0].trained,
                names_steps=unequal,
                seeds=tuple(trial.seed or 0 for trial in members),
                scores=scores,
                std=statistics.std(scores) if several else None,
                interquartile_mean=statistics.interquartile_mean(scores),
                interval=statistics.mean_interval([scores], np.random.default_rng(0)) if several else None,
                labelling=_median([trial.labelling for trial in members]),
                references=() if task is None or about["substituted"] else task.references_of(members[0].method),
                trials=tuple(members),
            )
        )
    # before all variants what they are variants of
    ranks = {one.name: [_rank(one.settings.get(path)) for path in differing] for one in found}
    return sorted(found, key=lambda one: (one.settings_text != "", ranks[one.name]))


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _usual(configurations: Sequence[Mapping[str, Any]], paths: Sequence[str]) -> dict[str, Any]:
    """By path the value of more than half of the configurations that have the path, where there is such a value."""
    usual = {}
    for path in paths:
        values = [settings[path] for settings in configurations if path in settings]
        value, number = Counter(map(_key, values)).most_common(1)[0]
        named_always = path in _NAMED and value != _NAMED[path]
        if 2 * number > len(values) and not named_always:
            usual[path] = value
    return usual


def _shown(settings: Mapping[str, Any], differing: Sequence[str]) -> dict[str, Any]:
    shown = {path: settings[path] for path in differing if path in settings}
    return shown | {path: settings[path] for path, default in _NAMED.items() if settings.get(path, default) != default}


def _rank(value: Any) -> tuple[int, float, str]:
    """A sort key of settings of any type: none, then numbers, then words."""
    if isinstance(value, bool | int | float):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))


def _value_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)
