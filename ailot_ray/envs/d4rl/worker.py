"""D4RL's own environments behind a pipe. Run by the interpreter that has mujoco-py, not imported by the platform.

    python -I worker.py DESCRIPTOR  requests on standard input, replies on the file descriptor, one JSON object a line
    python -I worker.py --check     make one environment of each kind and step it

What mujoco-py, gym and d4rl print goes to standard output and is nobody's reply. The worker ends with its standard input, so it
does not outlive the process that started it. -I keeps the modules beside this file from standing in for others of their names.
Python's JSON writes floats so that they are read back exactly.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import types
import warnings
from typing import Any, TextIO

import gym
import mujoco_py
import numpy as np
from gym import spaces
from gym.utils import seeding

Message = dict[str, Any]
_MOVED = ("body_pos", "body_quat", "site_pos")
"""What Adroit's resets move beside positions and velocities."""


class MujocoEnv(gym.Env):  # type: ignore[misc]
    """Stands in for `mjrl.envs.mujoco_env.MujocoEnv`, which D4RL's Adroit builds on and no package index has.

    Keeps mjrl's order of things, which D4RL's subclasses rely on: the model is loaded and stepped once with zeros, then the
    spaces are made of the actuators' ranges and of that step's observation.
    """

    def __init__(self, model_path: str, frame_skip: int) -> None:
        self.model = mujoco_py.load_model_from_path(model_path)
        self.sim = mujoco_py.MjSim(self.model)
        self.data = self.sim.data
        self.frame_skip = frame_skip
        self.init_qpos, self.init_qvel = self.data.qpos.ravel().copy(), self.data.qvel.ravel().copy()
        observation = self.step(np.zeros(self.model.nu))[0]
        low, high = self.model.actuator_ctrlrange.astype(np.float32).T
        self.action_space = spaces.Box(low, high, dtype=np.float32)
        self.observation_space = spaces.Box(-np.inf, np.inf, shape=observation.shape, dtype=np.float32)
        self.seed()

    def seed(self, seed: int | None = None) -> list[int]:
        self.np_random, used = seeding.np_random(seed)
        return [used]

    def reset(self) -> Any:
        self.sim.reset()
        self.sim.forward()
        return self.reset_model()

    def set_state(self, qpos: Any, qvel: Any) -> None:
        old = self.sim.get_state()
        self.sim.set_state(mujoco_py.MjSimState(old.time, qpos, qvel, old.act, old.udd_state))
        self.sim.forward()

    def do_simulation(self, controls: Any, frames: int) -> None:
        self.data.ctrl[:] = controls
        for _ in range(frames):
            self.sim.step()

    @property
    def dt(self) -> float:
        return float(self.model.opt.timestep * self.frame_skip)


def register_environments() -> None:
    """Import d4rl with what it needs in place. Raises ImportError where its environments cannot be imported."""
    try:
        __import__("mjrl.envs.mujoco_env")
    except ImportError:
        stand_in = types.ModuleType("mjrl.envs.mujoco_env")
        stand_in.MujocoEnv = MujocoEnv  # type: ignore[attr-defined]
        envs = types.ModuleType("mjrl.envs")
        envs.mujoco_env = stand_in  # type: ignore[attr-defined]
        sys.modules.update({"mjrl": types.ModuleType("mjrl"), "mjrl.envs": envs, "mjrl.envs.mujoco_env": stand_in})
    for name in ("d4rl.locomotion", "d4rl.gym_mujoco", "d4rl.hand_manipulation_suite"):
        __import__(name)  # by name: `import d4rl` alone passes over the ones that fail


class Worker:
    """The environments of one client, by number."""

    def __init__(self) -> None:
        self.environments: list[Any] = []

    def make(self, name: str) -> Message:
        # AntMaze -v0 draws its target once, when it is made, from NumPy's global generator; -v2 draws at every reset.
        np.random.seed(0)  # noqa: NPY002
        env: Any = gym.make(name)
        self.environments.append(env)
        return {
            "number": len(self.environments) - 1,
            "observation_size": int(env.observation_space.shape[0]),
            "action_size": int(env.action_space.shape[0]),
            "horizon": int(env.spec.max_episode_steps),
        }

    def reset(self, number: int, seed: int) -> Message:
        env = self.environments[number]
        # AntMaze's own wrapper keeps a seed to itself: D4RL's `env.seed` leaves where and how the ant starts to chance.
        getattr(env.unwrapped, "_wrapped_env", env.unwrapped).seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        return {"observation": env.reset().tolist()}

    def step(self, number: int, action: list[float]) -> Message:
        observation, reward, done, info = self.environments[number].step(np.asarray(action, np.float32))
        truncated = bool(info.get("TimeLimit.truncated", False))
        reply = {"observation": observation.tolist(), "reward": float(reward), "truncated": truncated}
        if "goal_achieved" in info:
            reply["goal_achieved"] = bool(info["goal_achieved"])
        return {**reply, "terminated": bool(done) and not truncated}

    def state(self, number: int) -> Message:
        """Positions, velocities, and where named bodies and sites stand."""
        inner = self.environments[number].unwrapped
        model, data = inner.sim.model, inner.sim.data
        reply: Message = {"qpos": data.qpos.tolist(), "qvel": data.qvel.tolist()}
        for field in _MOVED:
            kind, values = field.split("_")[0], getattr(model, field)
            find = getattr(model, f"{kind}_name2id")
            reply[field] = {name: values[find(name)].tolist() for name in getattr(model, f"{kind}_names") or ()}
        if hasattr(inner, "target_goal"):
            reply["target"] = [float(value) for value in inner.target_goal]
        return reply

    def model(self, number: int) -> Message:
        """Every array of numbers of the compiled model by its field, options as `opt.`; without pictures and meshes."""
        compiled = self.environments[number].unwrapped.sim.model
        reply: Message = {}
        for prefix, part in (("", compiled), ("opt.", compiled.opt)):
            for field in dir(part):
                value = None if field.startswith(("_", "tex_", "mesh_", "skin_", "name")) else getattr(part, field)
                if isinstance(value, int | float | np.ndarray):
                    reply[prefix + field] = np.asarray(value).tolist()
        return reply

    def set_tolerance(self, number: int, tolerance: float) -> Message:
        self.environments[number].unwrapped.sim.model.opt.tolerance = tolerance
        return {}

    def set_state(self, number: int, state: Message) -> Message:
        """Set what `state` names, in the form of `state()`, and return the observation there."""
        inner = self.environments[number].unwrapped
        model = inner.sim.model
        for field in _MOVED:
            find = getattr(model, f"{field.split('_')[0]}_name2id")
            for name, value in state.get(field, {}).items():
                getattr(model, field)[find(name)] = value
        if "target" in state:
            inner.set_target_goal(tuple(state["target"]))
        inner.set_state(np.asarray(state["qpos"]), np.asarray(state["qvel"]))
        read = inner.get_obs if hasattr(inner, "get_obs") else inner._get_obs
        return {"observation": read().tolist()}

    def close(self, number: int) -> Message:
        self.environments[number] = None
        return {}

    def answer(self, request: Message) -> Message:
        try:
            reply: Message = getattr(self, request.pop("do"))(**request)
        except Exception as error:  # whatever it is, the client tells the user
            return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        return reply


def serve(requests: TextIO, replies: TextIO) -> None:
    worker = Worker()
    replies.write(json.dumps({"ready": True}) + "\n")
    replies.flush()
    for line in requests:
        replies.write(json.dumps(worker.answer(json.loads(line))) + "\n")
        replies.flush()


def check() -> None:
    worker = Worker()
    for name in ("hopper-medium-v2", "antmaze-umaze-v2", "door-human-v1"):
        made = worker.make(name)
        worker.reset(made["number"], 0)
        worker.step(made["number"], [0.0] * made["action_size"])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder  # d4rl leaves the model file of every maze behind
        os.environ |= {"D4RL_DATASET_DIR": folder, "D4RL_SUPPRESS_IMPORT_ERROR": "1"}  # it makes that folder when imported
        register_environments()
        if sys.argv[1] == "--check":
            check()
        else:
            serve(sys.stdin, os.fdopen(int(sys.argv[1]), "w"))
