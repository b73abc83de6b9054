"""What D4RL's physics cost: milliseconds a step in D4RL's and in today's, side by side, and their ratio.

    python experiments/tools/bench_physics.py
    python experiments/tools/bench_physics.py --tasks antmaze-umaze-v2 --steps 2000

The same random actions, held for 5 steps each, in both; an episode that ends starts anew. Rounds alternate between the two; the
median of the rounds is printed. Resets are not timed. Prints a Markdown table.
"""

import time
from dataclasses import dataclass

import numpy as np
import tyro

from ailot_ray.config import PlayedPhysics
from ailot_ray.envs import make_env
from ailot_ray.envs.simulators import Env
from ailot_ray.tasks import get_task

PHYSICS: tuple[PlayedPhysics, ...] = ("d4rl", "mujoco")
HOLD = 5


@dataclass(frozen=True)
class Arguments:
    tasks: tuple[str, ...] = ("halfcheetah-medium-v2", "hopper-medium-v2", "antmaze-umaze-v2", "pen-human-v0", "door-human-v0")
    steps: int = 1000
    """Steps of each round."""
    rounds: int = 5
    seed: int = 0


def milliseconds(env: Env, steps: int, actions: np.random.Generator) -> float:
    """Mean time of one step over `steps` steps from a reset."""
    space = env.action_space
    env.reset(seed=0)
    spent = 0.0
    for step in range(steps):
        if step % HOLD == 0:
            action = actions.uniform(-1, 1, space.shape).astype(np.float32)
        start = time.perf_counter()
        _, _, terminated, truncated, _ = env.step(action)
        spent += time.perf_counter() - start
        if terminated or truncated:
            env.reset()
    return 1000 * spent / steps


def main(arguments: Arguments) -> None:
    print("| task | d4rl, ms a step | mujoco, ms a step | ratio |\n|---|---|---|---|", flush=True)
    for name in arguments.tasks:
        envs = [make_env(get_task(name), physics=physics) for physics in PHYSICS]
        times = np.array(
            [
                [milliseconds(env, arguments.steps, np.random.default_rng(arguments.seed + number)) for env in envs]
                for number in range(arguments.rounds)
            ]
        )
        for env in envs:
            env.close()
        ours, todays = np.median(times, axis=0)
        print(f"| {name} | {ours:.2f} | {todays:.2f} | {np.median(times[:, 0] / times[:, 1]):.1f} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
