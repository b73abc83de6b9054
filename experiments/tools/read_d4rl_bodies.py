"""Write ailot_ray/envs/d4rl_bodies.json: what bodies weigh in D4RL's own simulator, and in today's MuJoCo.

    experiments/install_d4rl_simulator.sh                # D4RL's own simulator, once
    python experiments/tools/read_d4rl_bodies.py         # prints every field in which the compiled models differ, too

`--check` writes nothing, and fails where the file has other figures.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import tyro

from ailot_ray.envs.bodies import FIELDS, FIGURES, body_of, read_figures
from ailot_ray.envs.d4rl.client import D4RLEnv
from ailot_ray.envs.simulators import make_env
from ailot_ray.tasks import get_task

TASKS = ("halfcheetah-medium-v2", "hopper-medium-v2", "walker2d-medium-v2", "antmaze-umaze-v2")
ADROIT = ("pen-human-v0", "door-human-v0", "hammer-human-v0", "relocate-human-v0")


@dataclass(frozen=True)
class Arguments:
    check: bool = False
    """Compare with the file instead of writing it."""


def compiled(name: str) -> tuple[dict[str, Any], mujoco.MjModel]:
    """The fields of D4RL's compiled model, and today's."""
    task = get_task(name)
    theirs, mine = D4RLEnv(task), make_env(task)
    theirs.reset(seed=0)
    return theirs.model(), mine.unwrapped.model  # type: ignore[attr-defined]


def differing(theirs: dict[str, Any], mine: mujoco.MjModel) -> list[str]:
    """The fields of numbers that both models have, in the same shape, with other values."""
    found = []
    for field, value in theirs.items():
        part = mine.opt if field.startswith("opt.") else mine
        own, there = getattr(part, field.removeprefix("opt."), None), np.asarray(value, np.float64)
        if own is not None and np.shape(own) == there.shape and there.size:
            error = float(np.abs(np.asarray(own, np.float64) - there).max())
            found += [f"{field} {error:.1g}"] if error > 1e-12 else []
    return found


def main(arguments: Arguments) -> int:
    bodies = {}
    read_figures().clear()  # so that bodies of another MuJoCo are not refused
    for name in (*TASKS, *ADROIT):
        theirs, mine = compiled(name)
        environment = get_task(name).environment
        print(f"{environment}: {', '.join(differing(theirs, mine))}", flush=True)
        if name in TASKS:
            today = {field: getattr(mine, field).tolist() for field in FIELDS}
            bodies[body_of(environment)] = {"d4rl": {field: theirs[field] for field in FIELDS}, "mujoco": today}
    versions = {"d4rl": "MuJoCo 2.1.0, read through mujoco-py", "mujoco": f"MuJoCo {mujoco.__version__}"}
    text = json.dumps({"compiled_by": versions, "bodies": bodies}) + "\n"
    if arguments.check:
        return int(text != FIGURES.read_text())
    FIGURES.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments)))
