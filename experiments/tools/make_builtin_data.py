"""Make the built-in dataset: the training history of a PPO agent on MuJoCo Hopper, and one expert trajectory.

    python experiments/tools/make_builtin_data.py collect --out DIR               # train, record every step (10 minutes)
    python experiments/tools/make_builtin_data.py pack --source DIR --until STEP  # thin it, write the package's files

D4RL's hopper-medium-replay is everything an agent lived through until it was medium; this is the same recipe at a smaller
size. The agent is Stable-Baselines3's PPO (requirements-dev.txt) on normalised states and rewards; the simulator is
gymnasium's Hopper-v4.
"""

import argparse
import itertools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from builtin_files import choose_episodes, write_builtin
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from ailot_ray.data.builtin import FOLDER

ENVIRONMENT = "Hopper-v4"
KINDS = {
    "observations": np.float32,
    "actions": np.float32,
    "rewards": np.float32,
    "terminals": np.bool_,
    "timeouts": np.bool_,
    "next_observations": np.float32,
}
log = logging.getLogger("make_builtin_data")


class Recorder(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps every transition of an environment in D4RL's fields, before anything is normalised."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.columns: dict[str, list[Any]] = {name: [] for name in KINDS}
        self.observation: Any = None

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        self.observation, info = self.env.reset(**options)
        return self.observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        successor, reward, terminated, truncated, info = self.env.step(action)
        row = (self.observation, np.copy(action), reward, terminated, truncated and not terminated, successor)
        for column, value in zip(self.columns.values(), row, strict=True):
            column.append(value)
        self.observation = successor
        return successor, reward, terminated, truncated, info

    def save(self, path: Path) -> None:
        arrays: dict[str, Any] = {name: np.asarray(column, KINDS[name]) for name, column in self.columns.items()}
        np.savez(path, allow_pickle=False, **arrays)


class Saver(BaseCallback):
    """Saves the history every `interval` steps, and says how good the agent has become."""

    def __init__(self, out: Path, interval: int, history: Recorder) -> None:
        super().__init__()
        self.out, self.interval, self.history = out, interval, history

    def _on_step(self) -> bool:
        if self.num_timesteps % self.interval == 0:
            self.history.save(self.out / "history.npz")
            columns = {name: np.asarray(self.history.columns[name]) for name in ("rewards", "terminals", "timeouts")}
            recent = [columns["rewards"][episode].sum() for episode in episodes(columns)[-50:]]
            log.info("step %d: the last %d episodes returned %.0f", self.num_timesteps, len(recent), np.mean(recent))
        return True


def episodes(columns: Mapping[str, Any]) -> list[slice]:
    """The rows of each finished episode."""
    stops = np.flatnonzero(columns["terminals"] | columns["timeouts"]) + 1
    return [slice(start, stop) for start, stop in itertools.pairwise([0, *stops.tolist()])]


def collect(out: Path, steps: int, seed: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    history = Recorder(gymnasium.make(ENVIRONMENT))
    normaliser = VecNormalize(DummyVecEnv([lambda: history]))
    model = PPO(
        "MlpPolicy", normaliser, seed=seed, device="cpu"
    )  # the library's own settings: others tried learnt to stand still
    model.learn(steps, callback=Saver(out, 50_000, history))


def pack(source: Path, out: Path, transitions: int, until: int, seed: int) -> None:
    """Thin the first `until` steps of the history in `source` to about `transitions`, and write both Parquet files.

    The expert is the best episode of the whole history, which lies beyond `until` or is one of the few best before it.
    """
    history = {**np.load(source / "history.npz")}
    rows = choose_episodes(history["terminals"] | history["timeouts"], transitions=transitions, until=until, seed=seed)
    thinned = {name: column[rows] for name, column in history.items()}
    best = max(episodes(history), key=lambda episode: float(history["rewards"][episode].sum()))
    expert = {name: column[best] for name, column in history.items()}
    provenance = {"environment": ENVIRONMENT, "agent": "stable_baselines3 PPO", "until": until, "seed": seed}
    write_builtin(thinned, expert, provenance, out)
    size = sum(path.stat().st_size for path in out.glob("*.parquet"))
    log.info("%d transitions and an expert of %d steps, %.1f MB", len(rows), len(expert["rewards"]), size / 1e6)
    log.info("mean return %.0f, expert %.0f", thinned["rewards"].sum() / len(episodes(thinned)), expert["rewards"].sum())


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    collecting = verbs.add_parser("collect")
    collecting.add_argument("--out", type=Path, required=True)
    collecting.add_argument("--steps", type=int, default=500_000)
    collecting.add_argument("--seed", type=int, default=1)
    packing = verbs.add_parser("pack")
    packing.add_argument("--source", type=Path, required=True, help="the folder `collect` wrote")
    packing.add_argument("--out", type=Path, default=FOLDER, help="default: inside the package")
    packing.add_argument("--transitions", type=int, default=60_000)
    packing.add_argument("--until", type=int, required=True, help="the step at which the agent became medium (collect tells)")
    packing.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.verb == "pack":
        pack(arguments.source, arguments.out, arguments.transitions, arguments.until, arguments.seed)
    else:
        collect(arguments.out, arguments.steps, arguments.seed)


if __name__ == "__main__":
    main()
