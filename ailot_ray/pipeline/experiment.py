"""A resolved configuration with its data at hand, and the keys that name its artefacts."""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch

from ailot_ray.config import Config
from ailot_ray.data import load_dataset
from ailot_ray.data.experts import choose_experts
from ailot_ray.data.trajectories import Dataset, Expert
from ailot_ray.methods import Method, get_method
from ailot_ray.resolve import resolve
from ailot_ray.runtime import set_up_torch
from ailot_ray.store import Artefact, Key, Store, digest_of
from ailot_ray.tasks import Task, get_task

FORMAT = 3
"""Part of every key: raised when the code changes what a key leads to, so that no older artefact is taken for a new one."""


@dataclass(frozen=True)
class Experiment:
    """What every stage takes: settings without a None, the dataset, the store and the device."""

    config: Config
    task: Task
    dataset: Dataset
    store: Store
    device: torch.device

    @classmethod
    def open(cls, config: Config, store: Store) -> "Experiment":
        """Resolve `config`, load its data and set torch up. Raises ConfigError or DataError."""
        resolved = resolve(config)
        return cls(resolved, get_task(config.task), load_dataset(resolved), store, set_up_torch(config.device))

    def sibling(self, config: Config) -> "Experiment":
        """An experiment of another configuration, which shares this one's dataset where it is of the same file."""
        same = ("task", "data", "data_dir", "data_from")
        if any(getattr(config, name) != getattr(self.config, name) for name in same):
            return Experiment.open(config, self.store)
        return Experiment(resolve(config), self.task, self.dataset, self.store, set_up_torch(config.device))

    @cached_property
    def experts(self) -> tuple[Expert, ...]:
        return choose_experts(self.config, self.dataset)

    @property
    def method(self) -> Method:
        return get_method(self.config.method)

    @property
    def aligned(self) -> bool:
        """Whether the method's rewards come from an alignment."""
        return self.method.aligned

    @property
    def uses_intents(self) -> bool:
        return self.aligned and self.config.transport.space == "intent"

    def _data_key(self) -> Key:
        key: Key = {"format": FORMAT, "file": self.dataset.digest, "domain": self.task.domain}
        if self.task.action_low is not None:  # what the file's actions are in ±1
            key["actions"] = [self.task.action_low, self.task.action_high]
        return key

    def intents_key(self, seed: int) -> Key:
        return {"data": self._data_key(), "icvf": asdict(self.config.icvf), "seed": seed}

    def alignment_key(self, intents: str | None) -> Key:
        """`intents` is the digest of the encoder, None where states are compared."""
        experts = [_array_digest(expert) for expert in self.experts]
        return {
            "data": self._data_key(),
            "experts": experts,
            "transport": asdict(self.config.transport),
            "intents": intents,
        }

    def rewards_key(self, alignment: str | None) -> Key:
        """`alignment` is None for IQL on the dataset's own rewards."""
        return {"data": self._data_key(), "alignment": alignment, "reward": asdict(self.config.reward)}

    def policy_key(self, rewards: str | None, seed: int) -> Key:
        """`rewards` is None for behaviour cloning."""
        return {"data": self._data_key(), "rewards": rewards, "iql": asdict(self.config.iql), "seed": seed}

    def scores_key(self, policy: str) -> Key:
        about: Key = {"task": self.task.name, "method": self.config.method, "source": self.dataset.source}
        if self.task.domain == "custom":  # unlike the table's, its definition may change from day to day
            about |= {"definition": {name: value for name, value in asdict(self.task).items() if name != "data"}}
        evaluation = asdict(self.config.evaluation)
        if evaluation["simulator"] == "gymnasium":
            del evaluation["simulator"]  # scores from before there was another keep their names
        if evaluation["target"] is None:
            del evaluation["target"]
        if evaluation["actions"] == "mean":
            del evaluation["actions"]
        return {**about, "policy": policy, "evaluation": evaluation}

    def keys(self, seed: int) -> dict[str, Key]:
        """The keys of all artefacts that one seed's score needs, by kind, in the order in which they are made."""
        keys: dict[str, Key] = {}
        if self.uses_intents:
            keys["intents"] = self.intents_key(seed)
        if self.aligned:
            keys["alignment"] = self.alignment_key(_digest(keys, "intents"))
        if self.method.rewarded:
            keys["rewards"] = self.rewards_key(_digest(keys, "alignment"))
        keys["policies"] = self.policy_key(_digest(keys, "rewards"), seed)
        keys["scores"] = self.scores_key(digest_of("policies", keys["policies"]))
        return keys

    def produce_members(
        self, kind: str, keys: Mapping[int, Key], train: Callable[[Sequence[int], list[Path]], None]
    ) -> list[Artefact]:
        """The artefacts of several seeds: those that exist are read back, the others are handed to `train` with their folders.

        On a GPU they train stacked, in one call. On a CPU stacking gains nothing (the arithmetic bounds it), so seeds go one by
        one, and a seed's bytes do not depend on its company.
        """
        name = self.task.name
        found = {seed: self.store.find(kind, name, key) for seed, key in keys.items()}
        missing = [seed for seed, artefact in found.items() if artefact is None]
        groups = [missing] if self.device.type == "cuda" and missing else [[seed] for seed in missing]
        for group in groups:
            group_keys = [keys[seed] for seed in group]
            made = self.store.produce_all(kind, name, group_keys, functools.partial(train, group))
            found |= dict(zip(group, made, strict=True))
        return [artefact for artefact in found.values() if artefact is not None]


def _digest(keys: Mapping[str, Key], kind: str) -> str | None:
    return digest_of(kind, keys[kind]) if kind in keys else None


def _array_digest(expert: Expert) -> str:
    return hashlib.sha256(expert.observations.tobytes() + expert.next_observations.tobytes()).hexdigest()
