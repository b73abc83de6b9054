"""Roll-outs: whole episodes of a policy, several environments behind one policy call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ailot_ray.config import PlayedPhysics, Simulator, Target
from ailot_ray.envs.ends import why_ended
from ailot_ray.envs.simulators import Env, make_env
from ailot_ray.errors import SimulatorError
from ailot_ray.tasks import Task

Policy = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Maps observations (B, o) to actions (B, a)."""

MAX_ENVIRONMENTS = 16
"""Environments alive at once; more episodes are played in waves of so many, which caps memory."""


@dataclass(frozen=True)
class Episode:
    """One evaluation episode."""

    index: int
    """Which episode of its seed: episode `index` of a seed always starts in the same state."""
    undiscounted_return: float
    """Sum of the environment's rewards, before normalisation (:meth:`ailot_ray.tasks.Task.score`)."""
    length: int
    """Steps taken."""
    success: bool | None
    """Whether the task was solved; None where the environment does not say (locomotion)."""
    end: str = ""
    """Why it ended (:func:`ailot_ray.envs.ends.why_ended`)."""


def episode_seed(seed: int, index: int) -> int:
    """The seed that episode `index` of roll-out `seed` resets its environment with."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def noise_generator(seed: int, index: int) -> np.random.Generator:
    """What the noise of episode `index` is drawn from: other draws than its reset's."""
    return np.random.default_rng([seed, index, 1])


def choose_actions(
    task: Task,
    env: Env,
    policy: Policy,
    observations: NDArray[np.float32],
    noise: NDArray[np.float32] | None = None,
    generators: Sequence[np.random.Generator] = (),
) -> NDArray[np.float32]:
    """The policy's actions at `observations` (B, o), clipped to the action space of `env`, (B, a).

    `noise` (a,) is the standard deviation of what is added first, row by row from the B `generators`.

    Raises SimulatorError where an action is not a finite number, which MuJoCo would answer by silently resetting itself.
    """
    space = env.action_space
    actions = np.asarray(policy(observations), dtype=np.float32)
    if actions.shape != (len(observations), task.action_size):
        raise ValueError(f"the policy gave actions of shape {actions.shape}, not {(len(observations), task.action_size)}")
    if not np.isfinite(actions).all():
        raise SimulatorError(f"task {task.name}: the policy gave an action that is not a number; lower --iql.learning-rate")
    if noise is not None:
        actions = actions + noise * np.stack([generator.standard_normal(len(noise), np.float32) for generator in generators])
    return np.clip(actions, space.low, space.high)  # type: ignore[attr-defined]


def finish(
    task: Task, index: int, total: float, length: int, last: NDArray[np.float64], terminated: bool, info: Mapping[str, Any]
) -> Episode:
    """The episode that is over with the observation `last` (o,), for which the simulator told `terminated` and `info`."""
    success = bool(info["success"]) if "success" in info else None
    return Episode(index, total, length, success, why_ended(task.environment, last, not terminated, success))


def roll_out(
    task: Task,
    policy: Policy,
    episodes: int,
    seed: int,
    on_episode: Callable[[int], None] | None = None,
    simulator: Simulator = "gymnasium",
    target: Target = "centre",
    noise: NDArray[np.float32] | None = None,
    physics: PlayedPhysics = "mujoco",
) -> list[Episode]:
    """Play `episodes` whole episodes of `policy` in a simulator (AntMaze: with this `target`) and return them by index.

    At most 16 environments run at once, in waves; one policy call serves all that still run, and finished ones are not stepped
    any more. `on_episode` is called with the index of each episode as it ends. `noise` (a,) is the standard deviation of a
    normal deviate that is added to each action before it is clipped, drawn from a generator of the episode's own.

    Episode i depends on (`seed`, i) and the policy alone, not on how many are played beside it. What a batched policy computes
    for a row can still differ in the last bits with the number of rows (a matrix product rounds differently), and a long
    episode amplifies that; the same call repeated gives bit-identical episodes.

    Raises SimulatorError as :func:`ailot_ray.envs.make_env` does, and where an action is not a finite number.
    """
    # A list of environments, not gymnasium's SyncVectorEnv: with autoreset disabled that refuses to step while any member is
    # finished, and otherwise it goes on playing members whose episode is over.
    envs: list[Env] = []
    played: list[Episode] = []
    try:
        made = min(episodes, MAX_ENVIRONMENTS)
        envs.extend(make_env(task, simulator=simulator, target=target, physics=physics) for _ in range(made))
        for first in range(0, episodes, MAX_ENVIRONMENTS):
            indices = range(first, min(first + MAX_ENVIRONMENTS, episodes))
            played += _play_wave(task, policy, envs, indices, seed, on_episode, noise)
    finally:
        for env in envs:
            env.close()
    return sorted(played, key=lambda episode: episode.index)


def _play_wave(
    task: Task,
    policy: Policy,
    envs: list[Env],
    indices: range,
    seed: int,
    on_episode: Callable[[int], None] | None,
    noise: NDArray[np.float32] | None,
) -> list[Episode]:
    """Play the episodes `indices`, one in each environment; they come in the order in which they end."""
    ended: list[Episode] = []
    running = dict(zip(indices, envs, strict=False))
    observations = {index: env.reset(seed=episode_seed(seed, index))[0] for index, env in running.items()}
    returns = dict.fromkeys(running, 0.0)
    generators = {index: noise_generator(seed, index) for index in running}
    length = 0
    while running:
        batch = np.stack([observations[index] for index in running]).astype(np.float32)
        actions = choose_actions(task, envs[0], policy, batch, noise, [generators[index] for index in running])
        length += 1
        for (index, env), action in zip(list(running.items()), actions, strict=True):
            observations[index], reward, terminated, truncated, info = env.step(action)
            returns[index] += float(reward)
            if terminated or truncated:
                ended.append(finish(task, index, returns[index], length, observations[index], terminated, info))
                del running[index]
                if on_episode is not None:
                    on_episode(index)
    return ended
