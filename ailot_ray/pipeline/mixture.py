"""The policies that a dataset is collected with, each with its share and its noise.

A policy is written ``WHAT[,share=S][,noise=σ][,epsilon=ε][,step=N][,sample=true]``, where WHAT is ``random``, a folder of the
store's policies (``store/policies/hopper-builtin-…``), or a model of Stable-Baselines3 (``….zip``).
"""

import contextlib
import importlib
import io
import json
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.scaling import to_unit
from ailot_ray.errors import ConfigError, DataError
from ailot_ray.files import sha256_of
from ailot_ray.method.iql import DeterministicPolicy
from ailot_ray.pipeline.fit import load_tensors
from ailot_ray.pipeline.train import snapshot_name
from ailot_ray.store import open_artefact
from ailot_ray.tasks import Task

if TYPE_CHECKING:
    from ailot_ray.envs import Policy

RANDOM = "random"
_ALGORITHMS = {"clip_range": "PPO", "target_entropy": "SAC", "target_policy_noise": "TD3", "gae_lambda": "A2C"}
"""A setting that tells which algorithm of Stable-Baselines3 a model is of; the first that is there decides."""


@dataclass(frozen=True)
class Member:
    """One policy of a mixture."""

    what: str
    share: float = 1.0
    """Its part of the transitions, relative to the other members'."""
    noise: float = 0.0
    """Standard deviation of the Gaussian noise on each action component, where the actions span ±1; clipped there."""
    epsilon: float = 0.0
    """Probability of a uniformly random action in place of the policy's."""
    step: int | None = None
    """The snapshot of one of our policies, by its gradient steps; the last by default."""
    sample: bool = False
    """Draw the actions of a Stable-Baselines3 policy in place of taking the likeliest."""


def parse_member(text: str) -> Member:
    """Read ``WHAT,key=value,…``. Raises ConfigError, naming the part that is wrong."""
    what, *settings = text.split(",")
    given: dict[str, Any] = {}
    kinds: dict[str, Callable[[str], Any]] = {
        "share": float,
        "noise": float,
        "epsilon": float,
        "step": int,
        "sample": {"true": True, "false": False}.__getitem__,
    }
    for setting in settings:
        key, _, value = setting.partition("=")
        try:
            given[key] = kinds[key](value)
        except (KeyError, ValueError):
            known = ", ".join(f"{field.name}=…" for field in fields(Member) if field.name != "what")
            raise ConfigError(f"--policy {text}: {setting} is not a setting of a policy; there are {known}") from None
    member = Member(what, **given)
    rules = {
        "share": (0 < member.share < np.inf, "above 0"),
        "noise": (0 <= member.noise < np.inf, "0 or more"),
        "epsilon": (0 <= member.epsilon <= 1, "between 0 and 1"),
    }
    for key, (holds, rule) in rules.items():
        if not holds:
            raise ConfigError(f"--policy {text}: {key} is {getattr(member, key)}, but it must be {rule}")
    if what == RANDOM and any(given.get(key) for key in ("noise", "epsilon", "step", "sample")):
        raise ConfigError(f"--policy {text}: {RANDOM} is nothing but noise, it takes a share alone")
    if not what:
        raise ConfigError(f"--policy {text} names no policy: begin with random, a folder of policies or a .zip of SB3")
    return member


@dataclass(frozen=True)
class Actor:
    """A member with its policy loaded."""

    member: Member
    task: Task
    digest: str | None
    """SHA-256 of the file the policy came from."""
    policy: "Policy | None"
    """Observations (B, o) to actions (B, a) in ±1; None is uniformly random."""

    def with_noise(self, rng: np.random.Generator) -> "Policy":
        """The policy with the member's noise, drawn from `rng`."""

        def act(observations: NDArray[np.float32]) -> NDArray[np.float32]:
            shape = (len(observations), self.task.action_size)
            uniform = rng.uniform(-1.0, 1.0, shape).astype(np.float32)
            if self.policy is None:
                return uniform
            noise, random = rng.normal(size=shape), rng.uniform(size=(len(observations), 1)) < self.member.epsilon
            actions = self.policy(observations)
            if self.member.noise:
                actions = np.clip(actions + self.member.noise * noise, -1.0, 1.0)
            return np.where(random, uniform, actions).astype(np.float32)

        return act


def load_actors(members: Sequence[Member], task: Task) -> list[Actor]:
    """Load the policies of a mixture. Raises ConfigError or DataError where one is missing or of another task's sizes."""
    return [_load(member, task) for member in members]


def _load(member: Member, task: Task) -> Actor:
    path = Path(member.what)
    if member.what == RANDOM:
        return Actor(member, task, None, None)
    if path.is_dir():
        return _load_own(member, path, task)
    if path.suffix == ".zip" and path.is_file():
        return Actor(member, task, sha256_of(path), _load_sb3(path, member, task))
    reason = "no such file" if path.suffix == ".zip" else f"neither {RANDOM}, nor a folder of the store's policies, nor a .zip"
    raise ConfigError(f"--policy {member.what}: {reason}")


def _load_own(member: Member, folder: Path, task: Task) -> Actor:
    if member.sample:
        raise ConfigError(f"--policy {member.what}: sample is for .zip files of SB3; give our policies noise or epsilon")
    artefact = open_artefact("policies", folder)
    steps = sorted(int(path.stem.removeprefix("actor-")) for path in folder.glob("actor-*.safetensors"))
    step = steps[-1] if member.step is None and steps else member.step
    if step not in steps:
        raise ConfigError(f"--policy {member.what}: no snapshot of step {step}; there are {', '.join(map(str, steps))}")
    path = artefact.path(snapshot_name(step))
    parameters = load_tensors(path)[0]
    _require_sizes(member, parameters["mean.layers.0.weight"].shape[-2], parameters["log_std"].shape[-1], task)
    return Actor(member, task, sha256_of(path), DeterministicPolicy(parameters))


def _load_sb3(path: Path, member: Member, task: Task) -> "Policy":
    """A model of Stable-Baselines3. Its file holds pickles, which loading executes: only those of one's own, or of friends."""
    if member.step is not None:
        raise ConfigError(f"--policy {member.what}: step is for folders of policies; a .zip holds one policy")
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # where an old gym is installed, importing prints its notice
            library = importlib.import_module("stable_baselines3")
    except ModuleNotFoundError as error:
        raise ConfigError(f"--policy {member.what} needs {error.name}: run `pip install stable-baselines3==2.9.2`") from error
    try:
        with zipfile.ZipFile(path) as archive:
            settings = json.loads(archive.read("data"))
        algorithm = next((name for key, name in _ALGORITHMS.items() if key in settings), None)
        if algorithm is None or settings["policy_class"].get("__module__", "").startswith("sb3_contrib"):
            raise DataError(f"--policy {path} is of an algorithm that cannot be read: use PPO, A2C, SAC, TD3 or DDPG")
        model = getattr(library, algorithm).load(path, device="cpu")
    except DataError:
        raise
    except Exception as error:  # whatever a file that is none makes of zipfile, json, pickle or torch
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"--policy {path} cannot be read as a model of Stable-Baselines3 ({reason})") from error
    observations, actions = (math.prod(space.shape or (0,)) for space in (model.observation_space, model.action_space))
    _require_sizes(member, observations, actions, task)

    def act(observations: NDArray[np.float32]) -> NDArray[np.float32]:
        actions, _ = model.predict(observations, deterministic=not member.sample)
        return to_unit(np.asarray(actions, np.float32), task)

    return act


def _require_sizes(member: Member, observations: int, actions: int, task: Task) -> None:
    if (observations, actions) != (task.observation_size, task.action_size):
        raise ConfigError(
            f"--policy {member.what} maps {observations} observations to {actions} actions, but {task.environment} has "
            f"{task.observation_size} and {task.action_size}: it belongs to another environment"
        )
