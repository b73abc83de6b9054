"""Is today's simulator D4RL's? The same actions from the same states in both, and the same policies' scores.

    experiments/install_d4rl_simulator.sh                # D4RL's own simulator, once
    python experiments/tools/compare_simulators.py             # nine environments: errors after 1, 10 and 100 steps
    python experiments/tools/compare_simulators.py --tasks hopper-builtin --policies store/policies/NAME/actor-1000.safetensors

Each sequence starts in a state of D4RL's own reset; random actions, held for 5 steps each and the same in both, lead on from
there. An error is the largest absolute difference over the components of the observation; the table has its median and largest
over the sequences that have ended in neither simulator, and the largest difference of the step's reward. Ours has D4RL's bodies
and contacts unless `--physics mujoco` asks for today's. Policies are then played from the same starts in D4RL's simulator and
in both of ours; a score is mean ± standard error, and so is the difference of two. Without `--policies` they are two that need
no training: zero and one fixed linear feedback. Prints Markdown tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import tyro
from numpy.typing import NDArray

from ailot_ray.config import PlayedPhysics
from ailot_ray.envs import Policy, make_env
from ailot_ray.envs.d4rl.client import D4RLEnv
from ailot_ray.envs.rollout import episode_seed
from ailot_ray.envs.simulators import Env
from ailot_ray.method.iql import DeterministicPolicy
from ailot_ray.pipeline.fit import load_tensors
from ailot_ray.tasks import Task, get_task

TASKS = (
    *("halfcheetah-medium-v2", "hopper-medium-v2", "walker2d-medium-v2"),
    *("antmaze-umaze-v2", "antmaze-medium-diverse-v2", "antmaze-large-play-v2"),
    *("pen-human-v0", "door-human-v0", "hammer-human-v0", "relocate-human-v0"),
)
STEPS, HOLD = (1, 10, 100), 5
PHYSICS: tuple[PlayedPhysics, ...] = ("d4rl", "mujoco")
MOVED = ("body_pos", "body_quat", "site_pos")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Arguments:
    tasks: tuple[str, ...] = TASKS
    sequences: int = 20
    """Action sequences of each task."""
    episodes: int = 10
    """Episodes of each policy in each simulator; 0 leaves the scores out."""
    policies: tuple[Path, ...] = ()
    """Policies in the store, whose task is the only one of --tasks."""
    physics: PlayedPhysics = "d4rl"
    """Our bodies and contacts."""
    tolerance: float | None = None
    """Of both solvers, in place of 1e-8: whether what is left is theirs."""
    seed: int = 0


def copy_state(state: dict[str, Any], env: Env) -> Array:
    """Put our environment into the state of D4RL's; returns the observation there."""
    inner: Any = env.unwrapped
    for field in MOVED:
        kind = mujoco.mjtObj.mjOBJ_BODY if field.startswith("body") else mujoco.mjtObj.mjOBJ_SITE
        for name, value in state[field].items():
            number = mujoco.mj_name2id(inner.model, kind, name)
            if number >= 0:
                getattr(inner.model, field)[number] = value
    if "target" in state:
        env.reset(options={"target": state["target"]})
    mujoco.mj_resetData(inner.model, inner.data)
    inner.data.qpos[:], inner.data.qvel[:] = state["qpos"], state["qvel"]
    mujoco.mj_forward(inner.model, inner.data)
    return observe(inner)


def observe(inner: Any) -> Array:
    return np.asarray(inner.state_vector() if hasattr(inner, "maze") else inner._get_obs())


def compare(task: Task, arguments: "Arguments") -> dict[int, tuple[Array, Array]]:
    """Errors of observation and reward after each of STEPS, one value a sequence that has not ended."""
    theirs, mine = D4RLEnv(task), make_env(task, physics=arguments.physics)
    if arguments.tolerance is not None:
        theirs.set_tolerance(arguments.tolerance)
        mine.unwrapped.model.opt.tolerance = arguments.tolerance  # type: ignore[attr-defined]
    found: dict[int, list[tuple[float, float]]] = {step: [] for step in (0, *STEPS)}
    generator = np.random.default_rng(arguments.seed)
    for sequence in range(arguments.sequences):
        theirs.reset(seed=sequence)
        mine.reset(seed=sequence)
        state = theirs.state()
        found[0].append((float(np.abs(theirs.set_state(state) - copy_state(state, mine)).max()), 0.0))
        for step in range(1, max(STEPS) + 1):
            if step % HOLD == 1:
                action = generator.uniform(-1, 1, task.action_size).astype(np.float32)
            there, here = theirs.step(action), mine.step(action)
            if step in STEPS:
                found[step].append((float(np.abs(there[0] - here[0]).max()), abs(float(there[1]) - float(here[1]))))
            if there[2] or here[2]:
                break
    mine.close()
    return {step: tuple(np.array(rows).reshape(-1, 2).T) for step, rows in found.items()}  # type: ignore[misc]


def zero(task: Task) -> Policy:
    return lambda observations: np.zeros((len(observations), task.action_size), np.float32)


def linear(task: Task) -> Policy:
    weights = np.random.default_rng(1).normal(size=(task.observation_size, task.action_size)) / np.sqrt(task.observation_size)
    return lambda observations: np.tanh(np.tanh(observations) @ weights).astype(np.float32)


def learned(path: Path) -> Callable[[Task], Policy]:
    return lambda task: DeterministicPolicy(load_tensors(path)[0])


def play(task: Task, policy: Policy, episodes: int, seed: int) -> Array:
    """Returns of the same starts in D4RL's simulator, in ours with D4RL's physics and in ours with today's, (episodes, 3)."""
    theirs = D4RLEnv(task)
    mine = [make_env(task, physics=physics) for physics in PHYSICS]
    returns = np.zeros((episodes, 3))
    for episode in range(episodes):
        theirs.reset(seed=episode_seed(seed, episode))
        state = theirs.state()
        running: dict[int, Env] = dict(enumerate((theirs, *mine)))
        observations = {0: theirs.set_state(state)}
        for number, env in enumerate(mine, 1):
            env.reset(seed=episode)
            observations[number] = copy_state(state, env)
        while running:
            batch = np.stack([observations[number] for number in running]).astype(np.float32)
            for (number, env), action in zip(list(running.items()), np.clip(policy(batch), -1, 1), strict=True):
                observations[number], reward, terminated, truncated, _ = env.step(action)
                returns[episode, number] += float(reward)
                if terminated or truncated:
                    del running[number]
    for env in mine:
        env.close()
    return returns


def scores(task: Task, policy: Policy, episodes: int, seed: int) -> list[str]:
    values = np.vectorize(task.score)(play(task, policy, episodes, seed))
    pairs = [*values.T, *(values[:, 1:] - values[:, :1]).T]
    return [f"{one.mean():.2f} ± {one.std(ddof=1) / np.sqrt(episodes):.2f}" for one in pairs]


def main(arguments: Arguments) -> None:
    print(
        "| task | sequences that reach 100 steps | observation: at the start | "
        + " | ".join(f"after {step}: median, largest" for step in STEPS)
        + " | reward: "
        + ", ".join(f"after {step}" for step in STEPS)
        + " (largest) |"
    )
    print("|---" * (len(STEPS) + 4) + "|", flush=True)
    for name in arguments.tasks:
        errors = compare(get_task(name), arguments)
        cells = [f"{np.median(errors[s][0]):.1e}, {errors[s][0].max():.1e}" if len(errors[s][0]) else "–" for s in STEPS]
        rewards = ", ".join(f"{errors[s][1].max():.1e}" if len(errors[s][1]) else "–" for s in STEPS)
        print(
            f"| {name} | {len(errors[STEPS[-1]][0])} | {errors[0][0].max():.1e} | {' | '.join(cells)} | {rewards} |", flush=True
        )
    if not arguments.episodes:
        return
    print("\n| task | policy | D4RL's simulator | ours, d4rl | ours, mujoco | d4rl less D4RL's | mujoco less D4RL's |")
    print("|---" * 7 + "|", flush=True)
    makers = {path.parent.name: learned(path) for path in arguments.policies} or {"zero": zero, "linear feedback": linear}
    for name in arguments.tasks:
        for label, make in makers.items():
            task = get_task(name)
            print(
                f"| {name} | {label} | {' | '.join(scores(task, make(task), arguments.episodes, arguments.seed))} |", flush=True
            )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
