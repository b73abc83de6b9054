"""What the verbs that make artefacts share: doing it, printing the folders, tables, plots, maps and videos."""

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ailot_ray.cli.options import Work
from ailot_ray.cluster.sweep import Sweep
from ailot_ray.config import Config
from ailot_ray.errors import ConfigError
from ailot_ray.files import replacing
from ailot_ray.lazy import Lazy, MissingExtraError
from ailot_ray.mazes import MAZES
from ailot_ray.minari_fetch import no_download
from ailot_ray.tasks import get_task

if TYPE_CHECKING:
    import ailot_ray.cluster.planning as planning
    from ailot_ray import envs, pipeline
    from ailot_ray.cli import jobs
    from ailot_ray.report import grouping, portraits, results, tables
    from ailot_ray.report.figures import maps, overview
    from ailot_ray.report.layout import Style
    from ailot_ray.report.record import Trial
    from ailot_ray.stages import Verb
    from ailot_ray.store import Artefact
else:
    jobs, planning = Lazy("ailot_ray.cli.jobs"), Lazy("ailot_ray.cluster.planning")
    envs = Lazy("ailot_ray.envs")
    pipeline = Lazy("ailot_ray.pipeline")
    grouping = Lazy("ailot_ray.report.grouping")
    maps = Lazy("ailot_ray.report.figures.maps")
    overview = Lazy("ailot_ray.report.figures.overview")
    results = Lazy("ailot_ray.report.results")
    tables = Lazy("ailot_ray.report.tables")
    portraits = Lazy("ailot_ray.report.portraits")

_LOGGER = logging.getLogger(__name__)


def show_plan(work: Work, plan: "planning.Plan", prices: Mapping[str, float] = {}, title: str = "") -> dict[str, Any]:
    """Print what there is to do and how long it may take; the same as plain data."""
    workers = work.cluster.workers or (1 if work.cluster.address else os.cpu_count() or 1)
    print(plan.format(workers, prices, title), flush=True)
    counts = {kind: {"distinct": len(steps), "to_do": len(plan.missing(kind))} for kind, steps in plan.steps.items()}
    return {"plan": counts, "seconds": plan.seconds}


def planned(work: Work, stage: "Verb", methods: tuple[str, ...] = ()) -> "planning.Plan":
    """What a stage for every method and seed takes."""
    get_task(work.config.task_name)  # before the store makes its folder
    grid = {"method": methods or (work.config.method,)}
    return planning.plan(Sweep(stage, work.config, grid=grid, seeds=work.seeds), work.store, stage)


def show_dry_run(work: Work, stage: "Verb", methods: tuple[str, ...] = ()) -> dict[str, Any]:
    with no_download():
        return show_plan(work, planned(work, stage, methods), title=stage)


def perform(work: Work, stage: "Verb", methods: tuple[str, ...] = ()) -> "list[Artefact]":
    """Do a stage for every method and seed, its plan printed first; what cannot work is told before anything starts."""
    chosen = methods or (work.config.method,)
    ahead = planned(work, stage, methods)
    for method in chosen if stage == "evaluate" else ():
        experiment = pipeline.Experiment.open(replace(work.config, method=method), work.store)
        simulator = experiment.config.evaluation.simulator
        envs.make_env(experiment.task, simulator=simulator, physics=experiment.physics).close()
    if ahead.seconds:
        show_plan(work, ahead, title=stage)
    return jobs.run_all(stage, work.config, chosen, work.seeds, work.store, work.cluster)


def show_folders(work: Work, artefacts: "list[Artefact]") -> dict[str, Any]:
    """Print where each seed's artefact lies."""
    for seed, artefact in zip(work.seeds, artefacts, strict=True):
        print(f"seed {seed}: {artefact.folder}")
    return {"artefacts": {str(seed): str(made.folder) for seed, made in zip(work.seeds, artefacts, strict=True)}}


def show_results(
    trials: "Sequence[Trial]", folder: Path, style: "Style" = "text", sort: str | None = None, columns: Sequence[str] = ()
) -> dict[str, Any]:
    """Print the results table of `trials`, and write results.parquet and the plots into `folder`, where that may be written."""
    rows = grouping.group(trials)
    rows = grouping.sorted_by(rows, sort) if sort else rows
    print(tables.format_table(rows, style, columns))
    if not rows:
        return {"rows": []}
    if not os.access(folder, os.W_OK):
        _LOGGER.warning("%s may only be read: results.parquet and the plots are left out", folder)
        return {"rows": tables.as_json(rows)}
    parquet = results.write_results(trials, folder)
    curves, scores = folder / "learning_curves.png", folder / "scores.png"
    try:
        overview.plot_learning_curves(rows, curves)
        overview.plot_scores(rows, scores)
    except MissingExtraError as error:  # the table and the file stand without them
        _LOGGER.warning("the plots are left out: %s", error)
        return {"rows": tables.as_json(rows), "results": str(parquet), "plots": []}
    if style == "text":
        print(f"\n{parquet}, one row a trial\n{curves}\n{scores}")
    return {"rows": tables.as_json(rows), "results": str(parquet), "plots": [str(curves), str(scores)]}


def require_mp4(video: Path | None, config: Config) -> None:
    if video is not None and video.suffix != ".mp4":
        raise ConfigError(f"--video {video} must name a file that ends in .mp4")
    if video is not None and config.evaluation.simulator != "gymnasium":
        raise ConfigError(
            f"--video is drawn by the default simulator only: leave it out with --simulator {config.evaluation.simulator}"
        )


def draw_rewards(experiment: "pipeline.Experiment", seed: int, path: Path) -> None:
    """Draw the relabelled rewards of one seed over the task's maze."""
    dataset, rewards = experiment.dataset, pipeline.load_rewards(pipeline.relabel(experiment, [seed])[0])
    experts = [expert.observations[:, :2] for expert in experiment.experts]
    title = (
        f"{experiment.task.name}  {Path(dataset.source).name} ({dataset.digest[:8]})  {experiment.config.method}, seed {seed}"
    )
    maze = MAZES[experiment.task.environment]
    maps.plot_rewards_on_maze(maze, dataset.observations[:, :2], rewards, dataset.offsets, experts, path, title)
    print(f"map of the rewards, seed {seed}: {path}")


def show_policy(work: Work, method: str, seed: int, path: Path) -> None:
    """Write a video of a trained policy's first episode, and keep it where the results page looks for it."""
    experiment = pipeline.Experiment.open(replace(work.config, method=method), work.store)
    episode = pipeline.record_policy(experiment, seed, path)
    with replacing(portraits.video_path(work.store, pipeline.evaluate(experiment, [seed])[0].folder)) as temporary:
        shutil.copyfile(path, temporary)
    print(f"video of {method}, seed {seed}: {path} ({episode.length} steps, return {episode.undiscounted_return:.0f})")
