"""Verb register."""

import json as jsonlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ailot_ray.cli.options import Verb
from ailot_ray.errors import ConfigError
from ailot_ray.files import replacing
from ailot_ray.lazy import Lazy
from ailot_ray.parts import told
from ailot_ray.progress import progress_bar
from ailot_ray.task_files import names_in
from ailot_ray.tasks import Task, get_task

if TYPE_CHECKING:
    import numpy as np

    from ailot_ray import envs, runtime
    from ailot_ray.envs import custom
    from ailot_ray.pipeline import mixture
else:
    np = Lazy("numpy")
    envs = Lazy("ailot_ray.envs")
    custom = Lazy("ailot_ray.envs.custom")
    mixture = Lazy("ailot_ray.pipeline.mixture")
    runtime = Lazy("ailot_ray.runtime")


@dataclass(frozen=True, kw_only=True)
class Register(Verb):
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
        task = custom.describe_environment(self.env, self.horizon)
        low = self._measure(task, mixture.RANDOM) if self.reference_min is None else self.reference_min
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
        actor = mixture.load_actors([mixture.parse_member(policy)], task)[0]
        play = actor.with_noise(np.random.default_rng(self.seed))
        with runtime.reproducible(), progress_bar(self.episodes, f"return of {policy}", "episode") as bar:

            def ended(index: int) -> None:
                bar.update()

            games = envs.roll_out(task, play, self.episodes, self.seed, on_episode=ended)
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
        order = [f"# observations are {told(task.parts)}"] if task.parts else []
        return "\n".join([head, *order, *(f"{key} = {jsonlib.dumps(value)}" for key, value in fields.items())]) + "\n"
