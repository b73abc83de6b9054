"""Make a small dataset of OGBench's by its own recipe, where that takes no trained policy: point mazes, cubes, the scene.

The recipes are those of OGBench's `data_gen_scripts` (in its repository, not in its package): in a point maze a planner walks
to one drawn goal after another (navigate) under action noise of 0.5; an arm follows OGBench's scripted oracles, a plan (play)
or a reaction to each state with every tenth action at random (noisy).

    python experiments/tools/make_ogbench.py --task cube-single-play-singletask-task1-v0 --episodes 10 --output-dir data
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import trange

from ailot_ray.errors import ConfigError
from ailot_ray.files import replacing
from ailot_ray.ogbench_tasks import global_draws, make_original
from ailot_ray.tasks import get_task

_POINT_NOISE, _ARM_NOISE, _RANDOM = 0.5, 0.1, 0.1
_STACKING = {"single": (0.0, 0.0), "double": (0.0, 0.25), "triple": (0.05, 0.35), "quadruple": (0.1, 0.5), "scene": (0.5, 0.5)}
"""Range of the probability that a cube's next place is on another one."""
Rows = dict[str, list[Any]]


class Walker:
    """Walks a point from goal to goal."""

    def __init__(self, env: Any, draws: np.random.Generator) -> None:
        self.env, self.raw, self.draws = env, env.unwrapped, draws
        free = self.raw.maze_map == 0
        self.cells = [(int(i), int(j)) for i, j in np.argwhere(free)]
        sides = {(i, j): (free[i - 1, j], free[i + 1, j], free[i, j - 1], free[i, j + 1]) for i, j in self.cells}
        self.goals = [cell for cell in self.cells if sides[cell] not in ((1, 1, 0, 0), (0, 0, 1, 1))]  # not in a corridor

    def start(self) -> NDArray[np.float64]:
        task = {"init_ij": self.cells[self.draws.integers(len(self.cells))], "goal_ij": self._goal()}
        return np.array(self.env.reset(options={"task_info": task})[0])

    def _goal(self) -> tuple[int, int]:
        return self.goals[self.draws.integers(len(self.goals))]

    def act(self, observation: NDArray[np.float64]) -> NDArray[np.float64]:
        way = self.raw.get_oracle_subgoal(self.raw.get_xy(), self.raw.cur_goal_xy)[0] - self.raw.get_xy()
        return np.asarray(way / (np.linalg.norm(way) + 1e-6) + self.draws.normal(0.0, _POINT_NOISE, 2))

    def after(self, info: dict[str, Any]) -> None:
        if info["success"]:
            self.raw.set_goal(self._goal())


class Arm:
    """Moves an arm from one small task to the next by OGBench's oracles."""

    def __init__(self, env: Any, kind: str, draws: np.random.Generator) -> None:
        self.env, self.raw, self.kind, self.draws = env, env.unwrapped, kind, draws
        name = env.spec.id.removesuffix("-v0")
        self.stacking = _STACKING[name.removeprefix("cube-")]
        style = "plan" if kind == "play" else "markov"
        options: dict[str, Any] = {"noise": _ARM_NOISE, "noise_smoothing": 0.5} if style == "plan" else {"min_norm": 0.4}
        self.oracles = {}
        for part in ("cube", "button", "drawer", "window") if name == "scene" else ("cube",):
            module = importlib.import_module(f"ogbench.manipspace.oracles.{style}.{part}_{style}")
            patience = {"max_step": 100} if (style, part, name) == ("markov", "cube", "scene") else {}
            self.oracles[part] = getattr(module, f"{part.title()}{style.title()}Oracle")(env=env, **options, **patience)

    def start(self) -> NDArray[np.float64]:
        observation, self.info = self.env.reset()
        self.p_stack = self.draws.uniform(*self.stacking)
        self.noise = self.draws.uniform(0.0, _ARM_NOISE)
        self._next(observation, self.info)
        return np.array(observation)

    def _next(self, observation: Any, info: dict[str, Any]) -> None:
        self.oracle = self.oracles[info["privileged/target_task"]]
        self.oracle.reset(observation, info)

    def act(self, observation: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.kind == "noisy" and self.draws.random() < _RANDOM:
            return self.draws.uniform(-1.0, 1.0, 5)
        action = np.asarray(self.oracle.select_action(observation, self.info))
        return action if self.kind == "play" else action + self.draws.normal(0.0, self.noise * np.array([1, 1, 1, 3, 10]))

    def after(self, info: dict[str, Any]) -> None:
        self.info = info
        if self.oracle.done:
            self._next(*self.raw.set_new_target(p_stack=self.p_stack))


def make(task: str, episodes: int = 10, steps: int = 1001, seed: int = 0, output_dir: Path = Path("data")) -> Path:
    """Write `episodes` trajectories of `steps` states, under the published name; return where the file lies.

    OGBench's own have 500 to 5,000 trajectories. Raises ConfigError for a task whose data take a trained policy.
    """
    wanted = get_task(task)
    file = str(wanted.file_name)
    name, kind = file.removesuffix("-v0.npz").rsplit("-", 1) if wanted.domain == "ogbench" else ("", "")
    point = name.startswith("pointmaze") and kind == "navigate"
    if not (point or name.startswith(("cube", "scene"))):
        raise ConfigError(f"--task {task}: take a navigate task of a pointmaze, or a task of cube or scene")
    options: dict[str, Any] = {} if point else {"mode": "data_collection"}
    options |= {"terminate_at_goal": False, "max_episode_steps": steps}
    env = make_original(f"{name}-v0", ConfigError, "make_ogbench", **options)
    draws = np.random.default_rng(seed)
    env.unwrapped.action_space.seed(seed)
    with global_draws(np.random.RandomState(seed)):
        env.reset(seed=seed)
        actor = Walker(env, draws) if point else Arm(env, kind, draws)
        played: list[Rows] = []
        for _ in trange(episodes, desc=file, unit="episode", disable=None):
            while not _healthy(name, rows := play(env, actor)):
                pass
            played.append(rows)
    types: dict[str, type] = {"terminals": np.bool_, "button_states": np.int64}
    columns: dict[str, NDArray[Any]] = {
        key: np.array([row for rows in played for row in rows[key]], types.get(key, np.float32)) for key in played[0]
    }
    with replacing(output_dir / file) as temporary:
        np.savez_compressed(temporary, **columns)  # type: ignore[arg-type]
    return output_dir / file


def play(env: Any, actor: Walker | Arm) -> Rows:
    """One trajectory, a row a state."""
    observation, done, rows = actor.start(), False, Rows()
    while not done:
        action = np.clip(actor.act(observation), -1.0, 1.0)
        following, _, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        row = {"observations": observation, "actions": action, "terminals": done}
        row |= {key: info[f"prev_{key}"] for key in ("qpos", "qvel", "button_states") if f"prev_{key}" in info}
        for key, value in row.items():
            rows.setdefault(key, []).append(value)
        actor.after(info)
        observation = np.array(following)
    return rows


def _healthy(name: str, rows: Rows) -> bool:
    """Whether the scene's cube stays in sight, or in the drawer."""
    y, z = np.array(rows["qpos"])[:, 15:17].T if name == "scene" else np.zeros((2, 1))
    return not ((y >= 0.29) | ((y <= -0.3) & ((z < 0.06) | (z > 0.08)))).any()


if __name__ == "__main__":
    print(tyro.cli(make))
