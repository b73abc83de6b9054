"""evaluate ─► scores: every episode of the final policy and of its snapshots, and what the number was made of."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ailot_ray.config import Target
from ailot_ray.envs import Episode, record_video, roll_out
from ailot_ray.method.iql import DeterministicPolicy
from ailot_ray.progress import progress_bar
from ailot_ray.stages.align import align
from ailot_ray.stages.fit import load_tensors
from ailot_ray.stages.learn import learn, snapshot_name, snapshot_steps
from ailot_ray.stages.pretrain import pretrain
from ailot_ray.stages.relabel import relabel
from ailot_ray.stages.study import Study
from ailot_ray.store import CHECKPOINTS, Artefact, write_json, write_parquet

EPISODES, TRIAL = "episodes.parquet", "trial.json"


def load_policy(policies: Artefact, step: int) -> DeterministicPolicy:
    """The policy after `step` gradient steps."""
    return DeterministicPolicy(load_tensors(policies.path(snapshot_name(step)))[0])


def evaluate(study: Study, seed: int) -> Artefact:
    """Roll the policies of one seed out, or read the scores back; trains whatever is missing first.

    The last snapshot is the score. Earlier ones are played for fewer episodes and make the learning curve. What
    `score_snapshot` has played already is not played again.
    """
    policies = learn(study, [seed])[0]

    def build(folder: Path) -> None:
        played = [
            _play(study, seed, step, folder, load_policy(policies, step)) for step, episodes in _plan(study).items() if episodes
        ]
        write_parquet(folder / EPISODES, pa.concat_tables(played).combine_chunks())
        write_json(folder / TRIAL, _trial(study, seed, policies))

    return study.store.produce("scores", study.task.name, study.scores_key(policies.digest), build)


def record_policy(study: Study, seed: int, path: Path) -> Episode:
    """Write a video of the first episode that scores a seed's final policy; trains whatever is missing first."""
    policy = load_policy(learn(study, [seed])[0], study.config.iql.steps)
    return record_video(study.task, policy, path, seed, target=_target(study), noise=_noise(study, policy))


def _target(study: Study) -> Target:
    return study.config.evaluation.target or "centre"


def _noise(study: Study, policy: DeterministicPolicy) -> NDArray[np.float32] | None:
    return policy.std if study.config.evaluation.actions == "sample" else None


def score_snapshot(study: Study, seed: int, policies: str, step: int, actor: Path) -> float | None:
    """Play a snapshot while its learner still learns; returns its mean normalised score, None where no episode is asked for.

    `policies` is the digest that the policies artefact is going to have, `actor` the file of the snapshot. The episodes are
    kept as part of the scores to come.
    """
    if not _plan(study)[step]:
        return None
    folder = study.store.work_folder("scores", study.scores_key(policies))
    folder.mkdir(parents=True, exist_ok=True)
    played = _play(study, seed, step, folder, DeterministicPolicy(load_tensors(actor)[0]))
    return float(played["score"].to_numpy().mean())


def _plan(study: Study) -> dict[int, int]:
    """Episodes to play of each snapshot, by its step."""
    config, total = study.config.evaluation, study.config.iql.steps
    assert config.episodes is not None
    steps = snapshot_steps(total, study.config.iql.snapshots)
    return {step: config.episodes if step == total else config.curve_episodes for step in steps}


def _play(study: Study, seed: int, step: int, folder: Path, policy: DeterministicPolicy) -> pa.Table:
    """The episodes of one snapshot, read back where the work folder has them."""
    part = folder / CHECKPOINTS / f"episodes-{step:08d}.parquet"
    if not part.exists():
        episodes = _plan(study)[step]
        label = f"evaluation {study.config.method} {study.task.name} seed {seed} step {step}"
        with progress_bar(episodes, label, "episode") as bar:

            def ended(index: int) -> None:
                bar.update()

            simulator, noise = study.config.evaluation.simulator, _noise(study, policy)
            games = roll_out(study.task, policy, episodes, seed, ended, simulator, _target(study), noise)
        write_parquet(part, _table(study, step, games))
    return pq.read_table(part)


def _table(study: Study, step: int, games: list[Episode]) -> pa.Table:
    rows = [
        {
            "step": step,
            "episode": number,
            "return": episode.undiscounted_return,
            "length": episode.length,
            "score": study.task.score(episode.undiscounted_return),
        }
        for number, episode in enumerate(games)
    ]
    return pa.Table.from_pylist(rows)


def _trial(study: Study, seed: int, policies: Artefact) -> dict[str, Any]:
    """What a row of the results table says beside the scores."""
    dataset, task = study.dataset, study.task
    artefacts = {"policies": policies}
    if study.config.method != "bc":
        artefacts["rewards"] = relabel(study, seed)
    if study.aligned:
        artefacts["alignment"] = align(study, seed)
    if study.uses_intents:
        artefacts["intents"] = pretrain(study, [seed])[0]
    data: dict[str, Any] = {
        "source": dataset.source,
        "digest": dataset.digest,
        "substituted": dataset.substituted,
        "episodes": dataset.trajectories,
        "mean_return": None,
        "mean_score": None,
        "best_score": None,
    }
    if dataset.rewards is not None:
        returns = dataset.returns()
        data["mean_return"] = float(returns.mean())
        data["mean_score"] = task.score(float(returns.mean()))
        data["best_score"] = task.score(float(returns.max()))
    experts = study.experts if study.aligned else ()
    return {
        "task": task.name,
        "normalised": task.normalised,
        "data": data,
        "expert": [{"origin": expert.origin, "true_return": expert.true_return} for expert in experts],
        "method": study.config.method,
        "seed": seed,
        "config": study.relevant_settings(),
        "artefacts": {kind: artefact.folder.name for kind, artefact in artefacts.items()},
    }
