"""A resolved configuration with its data and its store at hand: what every stage takes."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ailot_ray.config import Config, PlayedPhysics
from ailot_ray.data import load_dataset
from ailot_ray.data.experts import choose_experts
from ailot_ray.data.trajectories import Dataset, Expert
from ailot_ray.methods import Method, get_method
from ailot_ray.records import DataFacts
from ailot_ray.resolve import relevant_settings, resolve
from ailot_ray.runtime import choose_device, reproducible
from ailot_ray.stages import Facts, get_stage, keys_to
from ailot_ray.store import Artefact, Key, Store, digest_of
from ailot_ray.tasks import Task, get_task

Build = Callable[[Sequence[int], Sequence[Path]], None]
"""Makes the artefacts of these seeds in these work folders, one each."""


@dataclass(frozen=True)
class Experiment:
    """What every stage takes: settings without a None, the dataset, the store and the device.

    Opening one changes nothing outside of it. Stages limit torch to one thread while they compute, and give it back.

    >>> experiment = Experiment.open(Config(task="hopper-builtin", method="otr"), "store")
    >>> scores = evaluate(experiment, seeds=[0, 1])
    """

    config: Config
    task: Task
    dataset: Dataset
    store: Store
    device: torch.device

    @classmethod
    def open(cls, config: Config, store: Store | Path | str) -> "Experiment":
        """Resolve `config` and load its data. Raises ConfigError, DataError or StoreError."""
        resolved = resolve(config)
        opened = store if isinstance(store, Store) else Store(store)
        return cls(resolved, get_task(resolved.task), load_dataset(resolved), opened, choose_device(config.device))

    def with_config(self, config: Config) -> "Experiment":
        """An experiment of another configuration, which shares this one's dataset where that is of the same file."""
        same = ("task", "data", "data_dir", "data_from")
        resolved = resolve(config)
        if any(getattr(resolved, name) != getattr(self.config, name) for name in same):
            return Experiment.open(config, self.store)
        return Experiment(resolved, self.task, self.dataset, self.store, choose_device(config.device))

    @cached_property
    def experts(self) -> tuple[Expert, ...]:
        return choose_experts(self.config, self.dataset)

    @property
    def method(self) -> Method:
        return get_method(self.config.method)

    @property
    def uses_intents(self) -> bool:
        """Whether the alignment compares intents, so that rewards depend on the seed."""
        return self.facts.uses_intents

    @cached_property
    def facts(self) -> Facts:
        return facts_with(self.config, self.task, self.data_facts)

    @property
    def data_facts(self) -> DataFacts:
        """What keys hold of the data."""
        experts = [_array_digest(expert) for expert in self.experts] if self.method.aligned else []
        data = self.dataset
        return DataFacts(data.source, data.digest, data.substituted, data.trajectories, experts)

    @property
    def physics(self) -> PlayedPhysics:
        """The physics that policies are played in."""
        return self.facts.physics

    def settings(self) -> dict[str, object]:
        """What a result depends on, by path, with the physics as they are played: the columns of a results table."""
        return settings_of(self.facts)

    def keys(self, seed: int, verb: str = "evaluate") -> dict[str, Key]:
        """The keys of every artefact that a verb needs for one seed, by kind, in the order in which they are made."""
        return keys_to(verb, self.facts, seed)

    def digest(self, kind: str, seed: int) -> str:
        """The digest that the artefact of this kind has, or is going to have."""
        return digest_of(kind, self.keys(seed)[kind])

    def make(self, verb: str, seeds: Sequence[int], build: Build) -> list[Artefact]:
        """A stage's artefacts of `seeds`, one each: those that exist are read back, `build` makes the others.

        On a GPU the missing seeds of a learner are handed to `build` in one call, to be trained stacked. On a CPU stacking
        gains nothing (the arithmetic bounds it), so they go one by one, and a seed's bytes do not depend on its company.
        """
        stage = get_stage(verb)
        kind, name = stage.artefact, self.task.name
        keys = {seed: self.keys(seed, verb)[kind] for seed in seeds}
        found = {digest_of(kind, key): self.store.find(kind, name, key) for key in keys.values()}
        missing = {digest: seed for seed in reversed(keys) if not found[digest := digest_of(kind, keys[seed])]}
        left = sorted(missing.values(), key=list(keys).index)
        groups = [left] if stage.seeded and left and self.device.type == "cuda" else [[seed] for seed in left]
        for group in groups:
            with reproducible():
                wanted = [keys[seed] for seed in group]
                work = functools.partial(build, group)
                made = self.store.produce_all(kind, name, wanted, work, stage.amount(self.facts), self._sources())
            found |= {artefact.digest: artefact for artefact in made}
        artefacts = (found[digest_of(kind, key)] for key in keys.values())
        return [artefact for artefact in artefacts if artefact is not None]

    def _sources(self) -> dict[str, str]:
        """Where the data lie: noted beside an artefact, and no part of it."""
        experts = self.experts if self.method.aligned else ()
        return {"data": self.dataset.source} | {f"expert {i}": expert.origin for i, expert in enumerate(experts)}


def facts_with(config: Config, task: Task, data: DataFacts) -> Facts:
    """The facts of a resolved configuration on these data."""
    return Facts(config, task, data.digest, not data.substituted, data.trajectories, tuple(data.experts))


def settings_of(facts: Facts) -> dict[str, object]:
    return relevant_settings(facts.config) | {"evaluation.physics": facts.physics}


def _array_digest(expert: Expert) -> str:
    return hashlib.sha256(expert.observations.tobytes() + expert.next_observations.tobytes()).hexdigest()
