"""The verbs that make artefacts: pretrain, relabel, train, evaluate, run. Each prints what it did and returns it as a dict."""

import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from msgspec import to_builtins

from ailot_ray.cli.jobs import perform_all
from ailot_ray.cli.showing import show_results
from ailot_ray.cluster.options import ClusterOptions, Stage
from ailot_ray.config import Config
from ailot_ray.envs import make_env
from ailot_ray.errors import ConfigError, SimulatorError
from ailot_ray.files import replacing
from ailot_ray.mazes import MAZES
from ailot_ray.methods import METHODS, aligned_methods, get_method
from ailot_ray.pipeline import Experiment, evaluate, load_report, load_rewards, record_policy, relabel
from ailot_ray.report.maps import plot_rewards_on_maze
from ailot_ray.report.page.runs import video_path
from ailot_ray.report.record import load_trials
from ailot_ray.report.relabel import format_relabel_report
from ailot_ray.store import Artefact, Store
from ailot_ray.tasks import get_task


@dataclass(frozen=True)
class _Work:
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    seeds: tuple[int, ...] = (0,)
    """Every seed is a trial of its own: pretraining, learning and evaluation all start from it."""
    store: Path = Path("store")
    """Folder of artefacts. What is finished there is read back; what was killed goes on."""
    cluster: Annotated[ClusterOptions, tyro.conf.arg(name="")] = field(default_factory=ClusterOptions)
    json: bool = False
    """End with one JSON object on the last line of standard output."""

    def __post_init__(self) -> None:
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"--seeds {' '.join(map(str, self.seeds))} must be one or more different numbers, none negative")

    def _perform(self, stage: Stage, methods: tuple[str, ...] = ()) -> list[Artefact]:
        chosen = methods or (self.config.method,)
        get_task(self.config.task_name)  # before the store makes its folder
        for method in chosen:  # a flag or a file that cannot work is told now, and once
            experiment = Experiment.open(replace(self.config, method=method), Store(self.store))
            if stage == "evaluate":
                make_env(experiment.task, simulator=experiment.config.evaluation.simulator).close()
        return perform_all(stage, self.config, chosen, self.seeds, self.store, self.cluster)

    def _folders(self, artefacts: list[Artefact]) -> dict[str, Any]:
        for seed, artefact in zip(self.seeds, artefacts, strict=True):
            print(f"seed {seed}: {artefact.folder}")
        return {"artefacts": {str(seed): str(made.folder) for seed, made in zip(self.seeds, artefacts, strict=True)}}


@dataclass(frozen=True)
class Pretrain(_Work):
    """Learn the intents (ICVF)."""

    def execute(self) -> dict[str, Any]:
        return self._folders(self._perform("pretrain"))


@dataclass(frozen=True)
class Relabel(_Work):
    """Align the dataset with the expert and turn costs into rewards; prints a report of what to think of them."""

    map: Path | None = None
    """Also draw expert, trajectories and the first seed's rewards over the maze here, a PNG file (AntMaze only)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.map is None:
            return
        if self.map.suffix != ".png":
            raise ConfigError(f"--map {self.map} must name a file that ends in .png")
        if get_task(self.config.task_name).environment not in MAZES:
            raise ConfigError(f"--map draws over a maze, and {self.config.task_name} has none: leave it out")

    def execute(self) -> dict[str, Any]:
        if not get_method(self.config.method).aligned:
            raise ConfigError(f"--method {self.config.method} has nothing to relabel: choose {aligned_methods()}")
        result = self._folders(self._perform("relabel"))
        experiment = Experiment.open(self.config, Store(self.store))
        seeds = self.seeds if experiment.uses_intents else self.seeds[:1]
        reports = {str(seed): to_builtins(load_report(experiment, seed)) for seed in seeds}
        for seed, report in reports.items():
            print(f"\nseed {seed}" if experiment.uses_intents else "\nall seeds")
            print(format_relabel_report(report))
        if self.map:
            draw_rewards(experiment, seeds[0], self.map)
        return result | {"reports": reports, "map": str(self.map) if self.map else None}


@dataclass(frozen=True)
class Train(_Work):
    """Learn the policies, with whatever comes before them."""

    def execute(self) -> dict[str, Any]:
        return self._folders(self._perform("train"))


@dataclass(frozen=True)
class Evaluate(_Work):
    """Roll the policies out in the simulator and print their scores."""

    video: Path | None = None
    """Also write an mp4 of the first seed's policy here."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_mp4(self.video, self.config)

    def execute(self) -> dict[str, Any]:
        result = self._folders(self._perform("evaluate"))
        digests = {artefact: seed for seed, artefact in zip(self.seeds, result["artefacts"].values(), strict=True)}
        scores = {}
        for trial in load_trials(self.store):
            seed = digests.get(str(trial.folder))
            if seed is not None:
                scores[str(seed)] = trial.score
                print(f"seed {seed}: normalised score {trial.score:.1f}")
        if self.video:
            show_policy(self, self.config.method, self.seeds[0], self.video)
        return result | {"scores": scores, "video": str(self.video) if self.video else None}


@dataclass(frozen=True)
class Run(_Work):
    """All of it, for one method or several; ends in the table of results and a plot."""

    methods: tuple[str, ...] = ()
    """Methods to compare in place of --method: any of ailot, otr, seabo, bc, iql."""
    video: Path | None = None
    """Also write an mp4 of the first seed of AILOT (or of the first method there is), where the machine can draw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_mp4(self.video, self.config)

    def execute(self) -> dict[str, Any]:
        methods = tuple(dict.fromkeys(self.methods)) or (self.config.method,)
        self._perform("evaluate", methods)
        result = show_results(load_trials(self.store), self.store)
        if self.video:
            method = max(
                methods, key=lambda name: (get_method(name).aligned, [*METHODS].index(name))
            )  # AILOT before any baseline
            try:
                show_policy(self, method, self.seeds[0], self.video)
                result["video"] = str(self.video)
            except SimulatorError as error:  # a machine that cannot draw still has its table
                print(f"ailot_ray: no video: {error}", file=sys.stderr)
                result["video"] = None
        return result


def _require_mp4(video: Path | None, config: Config) -> None:
    if video is not None and video.suffix != ".mp4":
        raise ConfigError(f"--video {video} must name a file that ends in .mp4")
    if video is not None and config.evaluation.simulator != "gymnasium":
        raise ConfigError(
            f"--video is drawn by the default simulator only: leave it out with --simulator {config.evaluation.simulator}"
        )


def draw_rewards(experiment: Experiment, seed: int, path: Path) -> None:
    """Draw the relabelled rewards of one seed over the task's maze."""
    dataset, rewards = experiment.dataset, load_rewards(relabel(experiment, [seed])[0])
    experts = [expert.observations[:, :2] for expert in experiment.experts]
    title = (
        f"{experiment.task.name}  {Path(dataset.source).name} ({dataset.digest[:8]})  {experiment.config.method}, seed {seed}"
    )
    maze = MAZES[experiment.task.environment]
    plot_rewards_on_maze(maze, dataset.observations[:, :2], rewards, dataset.offsets, experts, path, title)
    print(f"map of the rewards, seed {seed}: {path}")


def show_policy(work: _Work, method: str, seed: int, path: Path) -> None:
    """Write a video of a trained policy's first episode, and keep it where the results page looks for it."""
    experiment = Experiment.open(replace(work.config, method=method), Store(work.store))
    episode = record_policy(experiment, seed, path)
    with replacing(video_path(work.store, evaluate(experiment, [seed])[0].folder)) as temporary:
        shutil.copyfile(path, temporary)
    print(f"video of {method}, seed {seed}: {path} ({episode.length} steps, return {episode.undiscounted_return:.0f})")
