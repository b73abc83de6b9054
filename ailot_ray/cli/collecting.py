"""The verbs for environments of one's own: data collect, which makes a dataset, and register, which makes a task."""

import json as jsonlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ailot_ray.envs import Policy, roll_out
from ailot_ray.envs.custom import describe_environment
from ailot_ray.errors import ConfigError
from ailot_ray.files import replacing
from ailot_ray.pipeline import Collection, collect_dataset
from ailot_ray.pipeline.mixture import RANDOM, load_actors, parse_member
from ailot_ray.progress import progress_bar
from ailot_ray.task_files import names_in
from ailot_ray.tasks import Task, get_task


@dataclass(frozen=True)
class Collect:
    """Roll policies out, with noise and in mixtures, into a dataset in D4RL's HDF5 schema."""

    output: Path
    """The HDF5 file to write."""
    task: str | None = None
    """The task whose environment is played."""
    env: str | None = None
    """A gymnasium id in place of a task; `module:Id` imports the module first."""
    horizon: int | None = None
    """Steps after which an episode of --env is cut off; by default its own limit."""
    policy: tuple[str, ...] = (RANDOM,)
    """Who plays: WHAT[,share=S][,noise=σ][,epsilon=ε][,step=N][,sample=true], several for a mixture. WHAT is random, a folder
    of the store's policies, or a Stable-Baselines3 .zip (a pickle: load only files you trust). S: part of the transitions; σ:
    Gaussian noise, where actions span ±1; ε: probability of a random action; N: a snapshot of a folder; sample: draw its
    actions from a .zip's distribution."""
    transitions: int | None = None
    """How many; the last episode is cut off there. By default 10,000, unless --episodes says otherwise."""
    episodes: int | None = None
    """How many whole episodes, in place of --transitions."""
    seed: int = 0
    """The same seed gives the same file."""
    overwrite: bool = False
    """Replace the file if it is there."""
    json: bool = False
    """End with one JSON object on the last line of standard output."""

    def __post_init__(self) -> None:
        for name in ("horizon", "transitions", "episodes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name} is {value}, but it must be 1 or more")
        if self.seed < 0:
            raise ConfigError(f"--seed is {self.seed}, but it must be 0 or more")
        if self.transitions is not None and self.episodes is not None:
            raise ConfigError("--transitions and --episodes both say how much to collect: give one of them")
        if (self.task is None) == (self.env is None):
            raise ConfigError("say where to play: either --task TASK or --env ID, a gymnasium environment")
        if self.task is not None and self.horizon is not None:
            raise ConfigError("--horizon is for --env: a task has its own")
        if not self.policy:
            raise ConfigError("--policy names none: give random, a folder of policies or a .zip of SB3")

    def execute(self) -> dict[str, Any]:
        members = tuple(parse_member(text) for text in self.policy)
        task = get_task(self.task) if self.task is not None else describe_environment(str(self.env), self.horizon)
        count = None if self.episodes else self.transitions or 10_000
        collection = Collection(task, members, count, self.episodes, self.seed)
        report = collect_dataset(collection, self.output, overwrite=self.overwrite)
        for text, played in zip(self.policy, report["policies"], strict=True):
            mean = "–" if played["mean_return"] is None else f"{played['mean_return']:.1f}"
            print(f"{text}: {played['transitions']:,} transitions, {played['episodes']} whole episodes, mean return {mean}")
        print(f"{report['transitions']:,} transitions of {task.environment}: {self.output}")
        return report


@dataclass(frozen=True)
class Register:
    """Write a task for any gymnasium environment with Box spaces into a file of your own, reference returns measured."""

    file: Path
    """The TOML file to add it to; made where it is not there."""
    name: str
    """The task is then --task FILE:NAME."""
    env: str
    """The gymnasium id; `module:Id` imports the module first."""
    expert: str | None = None
    """The policy whose mean return is score 100, written as for `data collect`."""
    reference_max: float | None = None
    """The return that is score 100, in place of --expert."""
    reference_min: float | None = None
    """The return that is score 0; by default the mean return of random actions."""
    data: str | None = None
    """The task's dataset: a file in D4RL's schema, seen from the TOML file, or minari:ID."""
    horizon: int | None = None
    """Steps after which an episode is cut off; by default the environment's own limit."""
    like: Literal["locomotion", "antmaze", "adroit"] = "locomotion"
    """The domain of D4RL whose settings it takes."""
    episodes: int = 100
    """Episodes behind each measured return."""
    seed: int = 0
    """Seed of these episodes."""
    json: bool = False
    """End with one JSON object on the last line of standard output."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", self.name):
            raise ConfigError(f"--name {self.name} must be made of letters, digits, - _ and . alone")
        if self.file.suffix != ".toml":
            raise ConfigError(f"--file {self.file} must end in .toml")
        if (self.expert is None) == (self.reference_max is None):
            raise ConfigError("say what score 100 is: either --reference-max RETURN or --expert POLICY, which is measured")
        if self.episodes < 1 or self.seed < 0:
            raise ConfigError("--episodes must be 1 or more, and --seed 0 or more")

    def execute(self) -> dict[str, Any]:
        reference = f"{self.file}:{self.name}"
        if self.file.exists() and reference in names_in(self.file):
            raise ConfigError(f"{self.file} has a task [{self.name}] already: choose another --name, or edit the file")
        torch.set_num_threads(1)
        task = describe_environment(self.env, self.horizon)
        low = self._measure(task, RANDOM) if self.reference_min is None else self.reference_min
        high = self._measure(task, self.expert) if self.expert is not None else self.reference_max
        if high is None or low >= high:
            raise ConfigError(f"score 100 is a return of {high:.1f}, not above score 0, {low:.1f}: choose a better --expert")
        text = self._table(task, low, high)
        before = self.file.read_text(encoding="utf-8").rstrip() + "\n\n" if self.file.exists() else ""
        with replacing(self.file) as temporary:
            temporary.write_text(before + text, encoding="utf-8")
            get_task(f"{temporary}:{self.name}")  # nothing is left that cannot be read back
        print(text)
        print(f"in {self.file}; use it with --task {reference}")
        return {"task": reference, "reference_min": low, "reference_max": high}

    def _measure(self, task: Task, policy: str) -> float:
        """The mean return of a policy."""
        actor = load_actors([parse_member(policy)], task)[0]
        play: Policy = actor.with_noise(np.random.default_rng(self.seed))
        with progress_bar(self.episodes, f"return of {policy}", "episode") as bar:

            def ended(index: int) -> None:
                bar.update()

            games = roll_out(task, play, self.episodes, self.seed, on_episode=ended)
        return float(np.mean([game.undiscounted_return for game in games]))

    def _table(self, task: Task, low: float, high: float) -> str:
        fields: dict[str, Any] = {
            "environment": task.environment,
            "observation_size": task.observation_size,
            "action_size": task.action_size,
            "horizon": task.horizon,
            "reference_min": round(low, 4),
            "reference_max": round(high, 4),
        }
        if task.action_low is not None and task.action_high is not None:
            fields |= {"action_low": list(task.action_low), "action_high": list(task.action_high)}
        if self.data is not None:
            fields["data"] = self.data
        if self.like != "locomotion":
            fields["like"] = self.like
        head = f'["{self.name}"]' if "." in self.name else f"[{self.name}]"
        # TOML's strings, numbers and lists of numbers are written as JSON's
        return "\n".join([head, *(f"{key} = {jsonlib.dumps(value)}" for key, value in fields.items())]) + "\n"
