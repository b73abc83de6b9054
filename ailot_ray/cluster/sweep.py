"""A sweep: one question asked of several configurations. A trial is one configuration with all of its seeds."""

import itertools
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ailot_ray.config import Config, flatten, with_settings
from ailot_ray.errors import ConfigError

Over = Literal["study", "mean", "iqm"]


@dataclass(frozen=True)
class Range:
    """A range that a search draws from: uniform, or log-uniform, or in whole numbers."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ConfigError(f"a range from {self.low:g} to {self.high:g} is empty, or not positive and logarithmic")


@dataclass(frozen=True)
class Sweep:
    """What is to be compared. Paths are those of the configuration (``reward.tau``); `method` and `task` are paths too."""

    name: str
    base: Config = field(default_factory=Config)
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values of each path; every combination is a trial."""
    cases: Sequence[Mapping[str, Any]] = ({},)
    """Settings that belong together, where a grid would be too much; each is combined with the whole grid."""
    space: Mapping[str, Range | Sequence[Any]] = field(default_factory=dict)
    """Ranges and choices that a search draws `samples` trials from, in place of a grid."""
    seeds: tuple[int, ...] = (0, 1, 2)
    samples: int = 20
    """Settings that a search draws, in each of its studies."""
    over: Over = "study"
    """What a search over several tasks (the grid's) looks for: for each its best setting, or one for all, by the mean or the
    interquartile mean of the tasks' scores."""
    scheduler: Literal["fifo", "asha"] = "fifo"
    """asha stops the trials whose mean score is behind at the same number of gradient steps."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ConfigError(f"a sweep's name may have letters, digits, dots, dashes and underscores, not {self.name!r}")
        if self.space and (self.grid.keys() - {"task"} or any(self.cases)):
            raise ConfigError(f"sweep {self.name} has both a grid and a search space: choose one")
        if not self.cases:
            raise ConfigError(f"sweep {self.name} has no case to try")
        empty = [path for path, values in self.grid.items() if not values]
        if empty:
            raise ConfigError(f"sweep {self.name}: the grid has no value of {empty[0]}")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"--seeds {' '.join(map(str, self.seeds))} must be one or more different numbers, none negative")
        if self.samples < 1:
            raise ConfigError(f"--samples is {self.samples}, but it must be 1 or more")

    def settings(self) -> list[dict[str, Any]]:
        """The grid's combinations with each case, mappings of paths to values, in the order in which they are run.

        A case's own value takes the place of the grid's, and the grid's other values of it do not make the same trial twice.
        """
        combined = (
            dict(zip(self.grid, values, strict=True)) | dict(case)
            for values in itertools.product(*self.grid.values())
            for case in self.cases
        )
        distinct: dict[Any, dict[str, Any]] = {}
        for settings in combined:
            named = ((path, value if isinstance(value, Hashable) else repr(value)) for path, value in settings.items())
            distinct.setdefault(tuple(sorted(named)), settings)
        return list(distinct.values())

    @property
    def trials(self) -> int:
        """How many trials it has in all."""
        return len(self.settings()) * (self.samples if self.space else 1)

    @property
    def varied(self) -> frozenset[str]:
        """The paths that trials take from the sweep itself, whatever its base says."""
        return frozenset(self.grid) | frozenset(self.space) | frozenset.intersection(*map(frozenset, self.cases))

    def varying(self, path: str, values: Sequence[Any]) -> "Sweep":
        """The sweep with these values of a path in place of its own, or beside what it varies; of cases those that have one.

        Raises ConfigError for an unknown path, a value that cannot be, or values that no case has.
        """
        typed = tuple(flatten(self.config({path: value}))[path] for value in values)
        if self.space and path != "task":
            return replace(self, space={**self.space, path: typed})
        if not any(path in case for case in self.cases):
            return replace(self, grid={**self.grid, path: typed})
        of_cases = [case.get(path, flatten(self.base)[path]) for case in self.cases]
        kept = [case for case, value in zip(self.cases, of_cases, strict=True) if value in typed]
        if not kept:
            own = ", ".join("none (the method's)" if value is None else str(value) for value in dict.fromkeys(of_cases))
            raise ConfigError(f"sweep {self.name} has no case with {path}={','.join(map(str, typed))}: choose of {own}")
        return replace(self, cases=kept)

    def config(self, settings: Mapping[str, Any]) -> Config:
        """The configuration of one trial. Raises ConfigError for an unknown path or a value that cannot be."""
        return with_settings(self.base, settings)
