"""evaluate ─► scores: every episode of the final policy and of its snapshots, and what the number was made of."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ailot_ray.config import Config, Target, with_settings
from ailot_ray.data.builtin import SOURCE
from ailot_ray.data.trajectories import scores
from ailot_ray.errors import AilotError, DataError, StoreError
from ailot_ray.lazy import Lazy, require
from ailot_ray.method.iql import DeterministicPolicy
from ailot_ray.pipeline.behaviour import policy_report
from ailot_ray.pipeline.experiment import Experiment
from ailot_ray.pipeline.fit import load_tensors
from ailot_ray.pipeline.train import snapshot_name, snapshot_steps, train
from ailot_ray.progress import progress_bar
from ailot_ray.records import EPISODES, POLICY_REPORT, TRIAL, DataRecord, ExpertRecord, TrialRecord, read_record
from ailot_ray.store import CHECKPOINTS, Artefact, open_artefact, write_json, write_parquet

if TYPE_CHECKING:
    from ailot_ray.envs import rollout, video
else:  # simulators, which rewards and policies do without
    rollout, video = Lazy("ailot_ray.envs.rollout"), Lazy("ailot_ray.envs.video")

_LOGGER = logging.getLogger(__name__)


def load_policy(folder: Path | str, step: int | None = None) -> DeterministicPolicy:
    """The policy in a policies artefact's folder, after `step` gradient steps; the last one by default.

    Called with observations (n, o), in the units of the dataset, it gives its mean actions (n, a) within ±1. Raises StoreError
    where the folder holds no such snapshot.

    >>> policy = load_policy("store/policies/hopper-builtin-0123456789ab")
    >>> action = policy(observation[None])[0]
    """
    found = sorted(Path(folder).glob("actor-*.safetensors")) if step is None else [Path(folder) / snapshot_name(step)]
    if not found or not found[-1].exists():
        which = "" if step is None else f" of step {step}"
        raise StoreError(f"{folder} holds no policy{which}: name a folder below STORE/policies")
    return DeterministicPolicy(load_tensors(found[-1])[0])


def evaluate(experiment: Experiment, seeds: Sequence[int]) -> list[Artefact]:
    """Roll the policies of `seeds` out, or read the scores back; trains whatever is missing first.

    The last snapshot is the score. Earlier ones are played for fewer episodes and make the learning curve. What
    `score_snapshot` has played already is not played again.
    """
    policies = dict(zip(seeds, train(experiment, seeds), strict=True))

    def build(missing: Sequence[int], folders: Sequence[Path]) -> None:
        (seed,), (folder,) = missing, folders
        _warn_of_physics(experiment)
        played = [
            _play(experiment, seed, step, folder, load_policy(policies[seed].folder, step))
            for step, episodes in _plan(experiment).items()
            if episodes
        ]
        write_parquet(folder / EPISODES, pa.concat_tables(played).combine_chunks())
        write_json(folder / TRIAL, _trial(experiment, seed))
        report = policy_report(experiment, load_policy(policies[seed].folder), policies[seed].folder, played[-1])
        write_json(folder / POLICY_REPORT, report)

    return experiment.make("evaluate", seeds, build)


def reopen(scores: Path, data: Path | None = None) -> tuple[Experiment, int]:
    """The experiment that a finished scores artefact came from, on the CPU, and its seed.

    `data` is the data file where it lies elsewhere by now. Raises DataError where it is not there any more, or is another.
    """
    artefact = open_artefact("scores", scores)
    record, run = read_record(artefact.path(TRIAL), TrialRecord), artefact.run
    source = record.data.source or (run.sources.get("data", SOURCE) if run else SOURCE)
    settings = {path: value for path, value in record.config.items() if not path.startswith("task.")}
    if "evaluation.physics" not in settings:  # of before there was a choice
        settings["evaluation.physics"] = "d4rl" if settings.get("evaluation.simulator") == "d4rl" else "mujoco"
    if data is not None or (record.data.substituted and source != SOURCE):
        settings["data"] = str(data or source)
    elif source != SOURCE:
        settings["data_dir"] = str(Path(source).parent)
    try:
        config = with_settings(Config(task=record.task, method=record.method, device="cpu"), settings)
        experiment = Experiment.open(config, scores.parent.parent)
    except AilotError as error:
        where = "--data FILE names its data where they lie now"
        raise DataError(f"trial {scores.name} cannot be opened again: {error}; {where}") from error
    if experiment.dataset.digest != record.data.digest:
        raise DataError(f"{experiment.dataset.source} is not the file of trial {scores.name}: give that one with --data FILE")
    return experiment, record.seed


def record_policy(experiment: Experiment, seed: int, path: Path) -> "rollout.Episode":
    """Write a video of the first episode that scores a seed's final policy; trains whatever is missing first."""
    policy = load_policy(train(experiment, [seed])[0].folder)
    noise, played = _noise(experiment, policy), experiment.physics
    return video.record_video(experiment.task, policy, path, seed, target=_target(experiment), noise=noise, physics=played)


def _warn_of_physics(experiment: Experiment) -> None:
    """Say where a few steps of the data repeat in the other physics than the policy is to be played in."""
    told = require("ailot_ray.pipeline.physics").told_physics(experiment.dataset)
    played = experiment.physics
    if told is not None and told != played:
        _LOGGER.warning(
            "%s was recorded in other physics (%s) than policies are played in (%s): "
            "--evaluation.physics %s plays them in the file's",
            experiment.dataset.source,
            told,
            played,
            told,
        )


def _target(experiment: Experiment) -> Target:
    return experiment.config.evaluation.target or "centre"


def _noise(experiment: Experiment, policy: DeterministicPolicy) -> NDArray[np.float32] | None:
    return policy.std if experiment.config.evaluation.actions == "sample" else None


def score_snapshot(experiment: Experiment, seed: int, step: int, actor: Path) -> float | None:
    """Play a snapshot while its learner still learns; returns its mean normalised score, None where no episode is asked for.

    `actor` is the file of the snapshot. The episodes are kept as part of the scores to come.
    """
    if not _plan(experiment)[step]:
        return None
    folder = experiment.store.work_folder("scores", experiment.keys(seed)["scores"])
    folder.mkdir(parents=True, exist_ok=True)
    played = _play(experiment, seed, step, folder, DeterministicPolicy(load_tensors(actor)[0]))
    return float(played["score"].to_numpy().mean())


def _plan(experiment: Experiment) -> dict[int, int]:
    """Episodes to play of each snapshot, by its step."""
    config, total = experiment.config.evaluation, experiment.config.iql.steps
    assert config.episodes is not None
    steps = snapshot_steps(total, experiment.config.iql.snapshots)
    return {step: config.episodes if step == total else config.curve_episodes for step in steps}


def _play(experiment: Experiment, seed: int, step: int, folder: Path, policy: DeterministicPolicy) -> pa.Table:
    """The episodes of one snapshot, read back where the work folder has them."""
    part = folder / CHECKPOINTS / f"episodes-{step:08d}.parquet"
    if not part.exists() or "end" not in pq.read_schema(part).names:  # an older version's do not tell why they ended
        episodes = _plan(experiment)[step]
        label = f"evaluation {experiment.config.method} {experiment.task.name} seed {seed} step {step}"
        with progress_bar(episodes, label, "episode") as bar:

            def ended(index: int) -> None:
                bar.update()

            simulator, noise = experiment.config.evaluation.simulator, _noise(experiment, policy)
            where = simulator, _target(experiment)
            games = rollout.roll_out(experiment.task, policy, episodes, seed, ended, *where, noise, experiment.physics)
        write_parquet(part, _table(experiment, step, games))
    return pq.read_table(part)


def _table(experiment: Experiment, step: int, games: "list[rollout.Episode]") -> pa.Table:
    rows = [
        {
            "step": step,
            "episode": number,
            "return": episode.undiscounted_return,
            "length": episode.length,
            "score": experiment.task.score(episode.undiscounted_return),
            "end": episode.end,
        }
        for number, episode in enumerate(games)
    ]
    return pa.Table.from_pylist(rows)


def _trial(experiment: Experiment, seed: int) -> TrialRecord:
    """What a row of the results table says beside the scores."""
    dataset, task = experiment.dataset, experiment.task
    returns = dataset.returns() if dataset.rewards is not None else None
    scored = None if returns is None else scores(dataset, task)
    data = DataRecord(
        digest=dataset.digest,
        substituted=dataset.substituted,
        episodes=dataset.trajectories,
        mean_return=None if returns is None else float(returns.mean()),
        mean_score=None if scored is None else float(scored.mean()),
        best_score=None if scored is None else float(scored.max()),
    )
    experts = experiment.experts if experiment.method.aligned else ()
    keys = experiment.keys(seed, "train")
    return TrialRecord(
        task=task.name,
        normalised=task.normalised,
        data=data,
        expert=[ExpertRecord(true_return=expert.true_return, steps=len(expert.observations)) for expert in experts],
        method=experiment.config.method,
        seed=seed,
        config=experiment.settings(),
        artefacts={kind: experiment.store.folder(kind, task.name, key).name for kind, key in keys.items()},
    )
