"""One episode as the rows of a file in D4RL's schema."""

from typing import Any

import numpy as np
from gymnasium.wrappers import RescaleAction
from numpy.typing import NDArray

from ailot_ray.envs.rollout import Policy, choose_actions, episode_seed
from ailot_ray.envs.simulators import Env
from ailot_ray.tasks import Task

Columns = dict[str, NDArray[Any]]
"""Rows by D4RL's keys."""


def record_episode(task: Task, env: Env, policy: Policy, seed: int, index: int, most: int) -> Columns:
    """Play episode `index` of `seed` in `env` (of :func:`ailot_ray.envs.make_env`) and return its T ≤ `most` transitions.

    observations, next_observations (T, o), actions (T, a) and rewards (T,) in float32, terminals and timeouts (T,), and where
    the simulator is MuJoCo infos/qpos and infos/qvel: the state in which the action was taken, in float64, so that one step
    from it gives `next_observations`. Actions are those that the environment itself took, in its own units. An episode that
    `most` breaks off has neither flag on its last row. Raises SimulatorError where an action is not a finite number.
    """
    inner = env.env if isinstance(env, RescaleAction) else env
    rows: dict[str, list[Any]] = {}
    observation, _ = env.reset(seed=episode_seed(seed, index))
    ended = False
    while not ended and len(rows.get("actions", ())) < most:
        unit = choose_actions(task, env, policy, observation[None].astype(np.float32))[0]
        action = np.asarray(env.action(unit), np.float32) if isinstance(env, RescaleAction) else unit
        row: dict[str, Any] = {"observations": observation, "actions": action} | _state(env)
        observation, reward, terminated, truncated, _ = inner.step(action)
        row |= {"next_observations": observation, "rewards": float(reward)}
        row |= {"terminals": terminated, "timeouts": truncated and not terminated}
        for key, value in row.items():
            rows.setdefault(key, []).append(value)
        ended = terminated or truncated
    return {key: np.array(values, _dtype(key)) for key, values in rows.items()}


def _state(env: Env) -> Columns:
    data = getattr(env.unwrapped, "data", None)
    if data is None or not (hasattr(data, "qpos") and hasattr(data, "qvel")):
        return {}
    return {"infos/qpos": np.array(data.qpos), "infos/qvel": np.array(data.qvel)}


def _dtype(key: str) -> type:
    if key in ("terminals", "timeouts"):
        return np.bool_
    return np.float64 if key.startswith("infos/") else np.float32
