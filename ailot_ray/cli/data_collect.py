"""Verb data collect."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ailot_ray.cli.options import Verb
from ailot_ray.errors import ConfigError
from ailot_ray.lazy import Lazy
from ailot_ray.tasks import get_task

if TYPE_CHECKING:
    from ailot_ray.envs import custom
    from ailot_ray.pipeline import collect, mixture
else:
    custom = Lazy("ailot_ray.envs.custom")
    collect = Lazy("ailot_ray.pipeline.collect")
    mixture = Lazy("ailot_ray.pipeline.mixture")


@dataclass(frozen=True, kw_only=True)
class Collect(Verb):
    """Roll policies out, with noise and in mixtures, into a dataset in D4RL's HDF5 schema."""

    output: Path
    """The HDF5 file to write."""
    task: str | None = None
    """The task whose environment is played."""
    env: str | None = None
    """A gymnasium id in place of a task; `module:Id` imports the module first."""
    horizon: int | None = None
    """Steps after which an episode of --env is cut off; by default its own limit."""
    policy: tuple[str, ...] = ("random",)
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
        members = tuple(mixture.parse_member(text) for text in self.policy)
        task = get_task(self.task) if self.task is not None else custom.describe_environment(str(self.env), self.horizon)
        if task.domain == "ogbench":
            raise ConfigError(f"--task {task.name}: OGBench's data are NPZ; make some with experiments/tools/make_ogbench.py")
        count = None if self.episodes else self.transitions or 10_000
        collection = collect.Collection(task, members, count, self.episodes, self.seed)
        report = collect.collect_dataset(collection, self.output, overwrite=self.overwrite)
        for text, played in zip(self.policy, report["policies"], strict=True):
            mean = "–" if played["mean_return"] is None else f"{played['mean_return']:.1f}"
            print(f"{text}: {played['transitions']:,} transitions, {played['episodes']} whole episodes, mean return {mean}")
        print(f"{report['transitions']:,} transitions of {task.environment}: {self.output}")
        return report
