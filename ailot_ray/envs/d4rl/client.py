"""D4RL's original environments (mujoco-py, MuJoCo 2.1.0) as gymnasium environments: `--simulator d4rl`.

They run in a process of another interpreter (:mod:`ailot_ray.envs.d4rl.worker`), because what they need does not go together
with what this platform needs: gym 0.23 (d3rlpy refuses it), a second libmujoco with the same symbols, `LD_LIBRARY_PATH` set
before the start. One worker serves all environments of this process. Nothing here imports mujoco-py, gym or d4rl.

The interpreter is `AILOT_D4RL_PYTHON`, or the one that experiments/install_d4rl_simulator.sh makes in `.venv-d4rl`.
"""

import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ailot_ray.envs.adroit import ADROIT
from ailot_ray.errors import SimulatorError
from ailot_ray.tasks import Task

PYTHON = "AILOT_D4RL_PYTHON"
_WORKER = Path(__file__).with_name("worker.py")
_OWN = Path(__file__).parents[3] / ".venv-d4rl" / "bin" / "python"
_REMEDY = f"build it with `experiments/install_d4rl_simulator.sh`, or set {PYTHON} to the interpreter that has it"
_NAMES = {"hopper-builtin": "hopper-medium-v2"}
"""D4RL's environment for tasks that carry a name of our own; its datasets of one body share one environment."""

Message = dict[str, Any]


def interpreter() -> Path:
    """The interpreter of D4RL's simulator. Raises SimulatorError where there is none."""
    path = Path(os.environ.get(PYTHON) or _OWN)
    if not path.is_file():
        where = f"{PYTHON}={path}" if os.environ.get(PYTHON) else str(path)
        raise SimulatorError(f"--simulator d4rl: D4RL's simulator is not installed ({where} is not there): {_REMEDY}")
    return path


class Worker:
    """A running worker process. Raises SimulatorError where it cannot start or does not answer."""

    def __init__(self, python: Path) -> None:
        home = python.parent.parent / "mujoco210"
        libraries = f"{home / 'bin'}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")
        own = {"MUJOCO_PY_MUJOCO_PATH": str(home), "LD_LIBRARY_PATH": libraries} if home.is_dir() else {}
        path = f"{python.parent}:{os.environ.get('PATH', '')}"
        reading, writing = os.pipe()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the worker)
        try:
            self._process = subprocess.Popen(
                [str(python), "-I", str(_WORKER), str(writing)],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(writing,),
                env={**os.environ, **own, "PATH": path, "MUJOCO_PY_FORCE_CPU": "1"},
                text=True,
            )
        except OSError as error:
            os.close(reading)
            raise SimulatorError(f"--simulator d4rl: {python} cannot be started ({error.strerror}): {_REMEDY}") from error
        finally:
            os.close(writing)
        self._replies = os.fdopen(reading)
        if not self._replies.readline():
            raise SimulatorError(f"--simulator d4rl: {python} cannot run D4RL's environments ({self._last_words()}): {_REMEDY}")

    def ask(self, do: str, **about: Any) -> Message:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **about}) + "\n")
            self._process.stdin.flush()
            line = self._replies.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            _worker.cache_clear()  # the next environment starts another
            raise SimulatorError(
                f"--simulator d4rl: the process of D4RL's simulator has ended ({self._last_words()}): run again"
            )
        reply: Message = json.loads(line)
        if "error" in reply:
            raise SimulatorError(f"--simulator d4rl: D4RL's {do} failed: {reply['error']}")
        return reply

    def _last_words(self) -> str:
        """The last line the worker wrote, or its status."""
        status = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        return next((" ".join(line.split()) for line in reversed(lines) if line.strip()), f"status {status}")


@functools.cache
def _worker(python: Path, process: int) -> Worker:
    """The worker of this process; a fork of it must start its own, hence `process`."""
    return Worker(python)


class D4RLEnv(gymnasium.Env[NDArray[np.float64], NDArray[np.float32]]):
    """D4RL's environment of a task, with its TimeLimit.

    A reset seeds the environment and, for AntMaze -v2, the target that D4RL draws. AntMaze -v0 draws its target when it is
    made: here always the same one. ``info["success"]`` counts as D4RL's `evaluate_success` does in Adroit (the goal held for
    more than 25 steps, pen 20), and is the reward in AntMaze; locomotion has none.
    """

    def __init__(self, task: Task) -> None:
        if task.url is None and task.name not in _NAMES:
            raise SimulatorError(f"--simulator d4rl: D4RL has no task {task.name}; leave --simulator out")
        self.task = task
        self._worker = _worker(interpreter(), os.getpid())
        made = self._worker.ask("make", name=_NAMES.get(task.name, task.name))
        self._number: int = made["number"]
        sizes = made["observation_size"], made["action_size"], made["horizon"]
        if sizes != (task.observation_size, task.action_size, task.horizon):
            raise SimulatorError(
                f"--simulator d4rl: task {task.name} is not D4RL's: observations, actions, horizon are {sizes}"
            )
        self.observation_space = spaces.Box(-np.inf, np.inf, (task.observation_size,), np.float64)
        self.action_space = spaces.Box(-1.0, 1.0, (task.action_size,), np.float32)
        self._steps_to_hold = ADROIT[task.environment][1] if task.environment in ADROIT else 0
        self._steps_held = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        super().reset(seed=seed)
        self._steps_held = 0
        chosen = int(self.np_random.integers(2**31)) if seed is None else seed
        return np.array(self._worker.ask("reset", number=self._number, seed=chosen)["observation"]), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        reply = self._worker.ask("step", number=self._number, action=np.asarray(action, np.float32).tolist())
        info: dict[str, Any] = {}
        if self.task.domain == "adroit":
            self._steps_held += reply["goal_achieved"]
            info["success"] = self._steps_held > self._steps_to_hold
        elif self.task.domain == "antmaze":
            info["success"] = reply["reward"] > 0
        return np.array(reply["observation"]), reply["reward"], reply["terminated"], reply["truncated"], info

    def state(self) -> Message:
        """qpos, qvel, by name where bodies and sites stand, and AntMaze's target."""
        return self._worker.ask("state", number=self._number)

    def model(self) -> Message:
        """The compiled model's numbers by field, options as ``opt.…``."""
        return self._worker.ask("model", number=self._number)

    def set_tolerance(self, tolerance: float) -> None:
        """Set what the constraint solver stops at; it is 1e-8."""
        self._worker.ask("set_tolerance", number=self._number, tolerance=tolerance)

    def set_state(self, state: Message) -> NDArray[np.float64]:
        """Set what `state` names, in the form of :meth:`state`; returns the observation there."""
        return np.array(self._worker.ask("set_state", number=self._number, state=state)["observation"])

    def close(self) -> None:
        self._worker.ask("close", number=self._number)
