"""collect ─► a file in D4RL's schema: episodes of a mixture of policies, with where they came from."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ailot_ray.data.export import require_free, write_d4rl
from ailot_ray.envs import make_env
from ailot_ray.envs.recording import Columns, record_episode
from ailot_ray.envs.rollout import episode_seed
from ailot_ray.errors import DataError
from ailot_ray.files import replacing
from ailot_ray.pipeline.mixture import Actor, Member, load_actors
from ailot_ray.progress import progress_bar
from ailot_ray.runtime import reproducible
from ailot_ray.store import write_json
from ailot_ray.tasks import Task

PART = 5_000
"""Transitions after which whole episodes are put by; a killed run loses no more than those, and one episode."""
PLAN = "plan.json"
MEMBER = "infos/policy"
"""Column of the member that played each row, by its place in the provenance's `policies`."""


@dataclass(frozen=True)
class Collection:
    """What to collect: `transitions` rows, the last episode cut off there, or `episodes` whole episodes."""

    task: Task
    members: tuple[Member, ...]
    transitions: int | None = None
    episodes: int | None = None
    seed: int = 0

    def left(self, rows: int, episodes: int) -> int:
        """How many transitions the next episode may have; 0 where all is there."""
        if self.episodes is not None:
            return self.task.horizon if episodes < self.episodes else 0
        assert self.transitions is not None
        return min(self.task.horizon, self.transitions - rows)


@reproducible()
def collect_dataset(collection: Collection, output: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Play the episodes and write `output`; returns what each policy played (`policies`: episodes, transitions, mean return).

    Each episode goes to the member that is furthest behind its share of the transitions. Episode i depends on the collection's
    seed, on i and on its member alone. Finished episodes lie in ``OUTPUT.parts`` until all are there: after a kill the same
    call goes on, to the same bytes. The file appears complete or not at all.

    Raises DataError where `output` exists (and `overwrite` is not set) or its parts belong to another collection, and what
    loading the policies and stepping the environment raise.
    """
    require_free(output, overwrite)
    env = make_env(collection.task)
    try:
        actors = load_actors(collection.members, collection.task)
        provenance = _provenance(collection, actors)
        folder = output.with_name(f"{output.name}.parts")
        parts = _open_parts(folder, provenance)
        unit, total = ("episode", collection.episodes) if collection.episodes else ("transition", collection.transitions)
        tally = _Tally.of(parts, len(actors))
        done = tally.episodes if collection.episodes else int(tally.rows.sum())
        with progress_bar(int(total or 0), f"collecting {collection.task.name}", unit, done) as bar:
            pending: list[Columns] = []
            while left := collection.left(int(tally.rows.sum()), tally.episodes):
                chosen = tally.furthest_behind([member.share for member in collection.members])
                episode = _play(collection, env, actors[chosen], tally.episodes, left)
                length = len(episode["rewards"])
                pending.append(episode | {MEMBER: np.full(length, chosen, np.int16)})
                tally.add(chosen, length)
                bar.update(1 if collection.episodes else length)
                if sum(len(columns["rewards"]) for columns in pending) >= PART:
                    parts.append(_put_by(folder, len(parts), pending))
                    pending = []
    finally:
        env.close()
    columns = _joined([*parts, *pending])
    about = {"environment": collection.task.environment, "provenance": json.dumps(provenance, sort_keys=True)}
    write_d4rl(output, columns, about)
    shutil.rmtree(folder)
    return {"file": str(output), "transitions": len(columns["rewards"]), "policies": _summary(columns, collection.members)}


def _provenance(collection: Collection, actors: Sequence[Actor]) -> dict[str, Any]:
    """All that the bytes depend on."""
    task = collection.task
    return {
        "environment": task.environment,
        "options": task.options,
        "horizon": task.horizon,
        "action_low": task.action_low,
        "action_high": task.action_high,
        "policies": [asdict(actor.member) | {"sha256": actor.digest} for actor in actors],
        "transitions": collection.transitions,
        "episodes": collection.episodes,
        "seed": collection.seed,
        "packages": {name: metadata.version(name) for name in ("gymnasium", "mujoco", "numpy", "torch")},
    }


def _play(collection: Collection, env: Any, actor: Actor, index: int, most: int) -> Columns:
    seeds = np.random.SeedSequence([collection.seed, index, 1])  # the environment has its own, without the 1
    with torch.random.fork_rng(devices=[]):  # a sampled policy of Stable-Baselines3 draws from torch's global generator
        torch.manual_seed(episode_seed(collection.seed, index))
        policy = actor.with_noise(np.random.default_rng(seeds))
        return record_episode(collection.task, env, policy, collection.seed, index, most)


class _Tally:
    """How many transitions each member has played, and how many episodes there are."""

    def __init__(self, rows: NDArray[np.int64], episodes: int) -> None:
        self.rows, self.episodes = rows, episodes

    @classmethod
    def of(cls, parts: Sequence[Columns], members: int) -> "_Tally":
        rows = np.zeros(members, np.int64)
        for part in parts:
            rows += np.bincount(part[MEMBER], minlength=members)
        return cls(rows, sum(int((part["terminals"] | part["timeouts"]).sum()) for part in parts))

    def add(self, member: int, length: int) -> None:
        self.rows[member] += length
        self.episodes += 1

    def furthest_behind(self, shares: Sequence[float]) -> int:
        return int(np.argmin(self.rows / np.array(shares)))


def _open_parts(folder: Path, provenance: dict[str, Any]) -> list[Columns]:
    """The parts that an earlier, killed run left, in their order. Raises DataError where they are of another collection."""
    plan = folder / PLAN
    wanted = json.loads(json.dumps(provenance))
    try:
        if plan.exists() and json.loads(plan.read_text()) != wanted:
            raise DataError(f"{folder} holds parts of another collection; delete it or choose another --output")
        write_json(plan, wanted)
        return [dict(np.load(path)) for path in sorted(folder.glob("part-*.npz"))]
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{folder} cannot be gone on from ({error}); delete it to collect from the start") from error


def _put_by(folder: Path, number: int, episodes: Sequence[Columns]) -> Columns:
    part = _joined(episodes)
    with replacing(folder / f"part-{number:06d}.npz") as temporary:
        np.savez(temporary, **part)  # type: ignore[arg-type]
    return part


def _joined(episodes: Sequence[Columns]) -> Columns:
    return {key: np.concatenate([columns[key] for columns in episodes]) for key in episodes[0]}


def _summary(columns: Columns, members: Sequence[Member]) -> list[dict[str, Any]]:
    """What each member played. A broken-off last episode counts as transitions only."""
    ends = np.flatnonzero(columns["terminals"] | columns["timeouts"])
    returns = np.add.reduceat(columns["rewards"].astype(np.float64), np.concatenate([[0], ends[:-1] + 1])[: len(ends)])
    if len(ends):  # the last sum runs to the end of the file
        returns[-1] -= columns["rewards"][ends[-1] + 1 :].sum(dtype=np.float64)
    played = columns[MEMBER][ends]
    return [
        {
            "policy": member.what,
            "transitions": int((columns[MEMBER] == number).sum()),
            "episodes": int((played == number).sum()),
            "mean_return": float(returns[played == number].mean()) if (played == number).any() else None,
        }
        for number, member in enumerate(members)
    ]
