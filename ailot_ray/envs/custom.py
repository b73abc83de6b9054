"""Environments outside of the table: any of gymnasium's with a Box of observations, or a Dict of them, and bounded actions.

Observations that are a Dict become one vector, the parts in the order of their names (:mod:`ailot_ray.parts`).

The package's policies act in ±1. Where an environment's bounds are others, gymnasium's RescaleAction stands between, and the
task carries the bounds, so that data in the environment's own units are read in ±1 as well.
"""

import contextlib
import importlib
import io
import json
from dataclasses import fields
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Dict
from gymnasium.wrappers import RescaleAction
from numpy.typing import NDArray

from ailot_ray.envs.guard import Guarded
from ailot_ray.errors import SimulatorError
from ailot_ray.parts import Parts, from_space, leaves, parts_of, size_of, told
from ailot_ray.task_files import unscalable
from ailot_ray.tasks import Task

Env = gymnasium.Env[NDArray[np.float64], NDArray[np.float32]]


def make_custom(task: Task, *, render: bool = False) -> Env:
    """Make a custom task's environment, with actions in ±1. Raises SimulatorError where it does not fit the task."""
    where = f"task {task.name}"
    if not task.environment:
        raise SimulatorError(f"{where} names no environment to evaluate in: write a task of your own with `data` = this one")
    if task.horizon < 1:
        raise SimulatorError(f"{where}: {task.environment} has no time limit: write a task of your own with a `horizon`")
    options: dict[str, Any] = {**task.options, "max_episode_steps": task.horizon, "disable_env_checker": True}
    if render:
        options["render_mode"] = "rgb_array"
    env = make_any(where, installed_spec(where, task.spec) if task.spec else task.environment, options)
    try:
        low, high = action_bounds(where, env)
        _require_fit(task, env, low, high)
    except SimulatorError:
        env.close()
        raise
    guarded = Guarded(env, where)
    return guarded if task.action_low is None else RescaleAction(guarded, np.float32(-1.0), np.float32(1.0))


def installed_spec(where: str, text: str) -> EnvSpec:
    """The environment that a dataset's specification names, as the installed packages define it, with the dataset's options.

    A specification is somebody else's data, and names Python objects to be called. Only an id that gymnasium already has is
    made, by the entry point that is registered for it, and only gymnasium's own wrappers are put around it. Raises
    SimulatorError for any other.
    """
    remedy = "if you trust it, write a task of your own whose `environment` is the one to make and whose `data` is this dataset"
    try:
        described = json.loads(text)
        name = str(described["id"])
        if name not in gymnasium.registry:
            _register_robotics()
        foreign = [
            str(each["entry_point"])
            for each in described.get("additional_wrappers") or ()
            if not str(each["entry_point"]).startswith("gymnasium.wrappers.")
        ]
        if foreign or name not in gymnasium.registry:
            what = f"the wrapper {foreign[0]}" if foreign else f"the environment {name}"
            raise SimulatorError(f"{where}: its data name {what}, which is not gymnasium's nor registered: {remedy}")
        known = {field.name for field in fields(EnvSpec) if field.init}  # older releases of gymnasium wrote more
        spec = EnvSpec.from_json(json.dumps({key: value for key, value in described.items() if key in known}))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SimulatorError(
            f"{where}: its data's specification of an environment cannot be read ({error}): {remedy}"
        ) from error
    spec.entry_point, spec.vector_entry_point = gymnasium.registry[name].entry_point, None
    return spec


def describe_environment(environment: str, horizon: int | None = None, options: dict[str, Any] | None = None) -> Task:
    """A task of any environment, without data and reference returns: sizes, bounds and horizon are the environment's.

    Raises SimulatorError where it cannot be made, and where it has no time limit and `horizon` gives none.
    """
    options = dict(options or {})
    env = make_any(environment, environment, {**options, "disable_env_checker": True})
    try:
        low, high = action_bounds(environment, env)
        limit = horizon or (env.spec.max_episode_steps if env.spec else None)
        if not limit:
            raise SimulatorError(f"{environment} has no time limit of its own: give one with --horizon STEPS")
        unit = bool((low == -1.0).all() and (high == 1.0).all())
        return Task(
            name=environment,
            domain="custom",
            environment=environment,
            observation_size=env.observation_space.shape[0],  # type: ignore[index]
            action_size=len(low),
            horizon=limit,
            reference_min=0.0,
            reference_max=100.0,
            options=options,
            parts=_parts(env),
            action_low=None if unit else tuple(low.tolist()),
            action_high=None if unit else tuple(high.tolist()),
            normalised=False,
        )
    finally:
        env.close()


def _register_robotics() -> None:
    """Let gymnasium know the environments of gymnasium-robotics, where it is installed: mazes, Fetch, the kitchen."""
    # importing it prints a notice about Adroit's rewards
    with contextlib.suppress(ModuleNotFoundError), contextlib.redirect_stderr(io.StringIO()):
        importlib.import_module("gymnasium_robotics")


class Flattened(gymnasium.ObservationWrapper[NDArray[Any], Any, Any]):
    """One vector of a Dict of observations. Raises SimulatorError, naming the part, where one is no vector of numbers."""

    def __init__(self, env: Any, where: str) -> None:
        super().__init__(env)
        try:
            self.parts: Parts = parts_of(from_space(env.observation_space))
        except ValueError as error:
            env.close()
            raise SimulatorError(f"{where}: {error}; leave it out with gymnasium.wrappers.FilterObservation") from error
        self.observation_space = Box(-np.inf, np.inf, (size_of(self.parts),), np.float64)

    def observation(self, observation: Any) -> NDArray[Any]:
        found = dict(leaves(observation))
        return np.concatenate([np.reshape(found[name], size) for name, size in self.parts])


def _parts(env: Any) -> Parts:
    return env.parts if isinstance(env, Flattened) else ()


def make_any(where: str, environment: str | EnvSpec, options: dict[str, Any]) -> Env:
    """gymnasium.make, observations flattened where they are a Dict, with whatever an environment raises as one line."""
    name = environment if isinstance(environment, str) else environment.id
    try:
        module, _, _ = name.rpartition(":")
        if module:  # gymnasium would hide which import fails inside of it
            importlib.import_module(module)
        env = gymnasium.make(environment, **options)
    except ModuleNotFoundError as error:
        raise SimulatorError(
            f"{where}: {name} needs the module {error.name}: install it, or run where Python finds it (PYTHONPATH)"
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SimulatorError(f"{where}: cannot make {name} ({reason}): check the id and the options") from error
    return Flattened(env, where) if isinstance(env.observation_space, Dict) else env


def action_bounds(where: str, env: Env) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper bounds of the actions.

    Raises SimulatorError for spaces that are no vectors, and for actions that are integers, unbounded, or held at one value.
    """
    for name, space in (("observations", env.observation_space), ("actions", env.action_space)):
        if not isinstance(space, Box) or len(space.shape) != 1:
            kind = type(space).__name__ + (f" of shape {space.shape}" if isinstance(space, Box) else "")
            remedy = "a FlattenObservation wrapper" if name == "observations" else "an environment with continuous actions"
            raise SimulatorError(f"{where}: {name} are a {kind} space, but must be a Box of one dimension: use {remedy}")
    actions = env.action_space
    if not actions.is_bounded():  # type: ignore[attr-defined]
        raise SimulatorError(f"{where}: actions have no bounds, but a policy needs some: wrap the environment in RescaleAction")
    low, high = actions.low.astype(np.float64), actions.high.astype(np.float64)  # type: ignore[attr-defined]
    if not np.issubdtype(actions.dtype, np.floating):
        raise SimulatorError(
            f"{where}: actions are a Box of {actions.dtype}, but a policy gives real numbers: wrap the environment so that it "
            "takes float32 and rounds them itself"
        )
    held = unscalable(low.tolist(), high.tolist())
    if held is not None:
        raise SimulatorError(
            f"{where}: component {held} of the actions lies between {low[held]:g} and {high[held]:g}, which cannot be scaled "
            "to ±1: wrap the environment so that it leaves that component out, or gives it finite bounds"
        )
    return low, high


def _require_fit(task: Task, env: Env, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    sizes, expected = (*env.observation_space.shape, len(low)), (task.observation_size, task.action_size)  # type: ignore[misc]
    if sizes != expected:
        raise SimulatorError(
            f"task {task.name}: {task.environment} has {sizes[0]} observations and {sizes[1]} actions, but the task says "
            f"observation_size {expected[0]} and action_size {expected[1]}; correct them"
        )
    parts = _parts(env)
    if task.parts and task.parts != parts and (parts or task.spec):  # one's own environment may give the vector itself
        raise SimulatorError(
            f"task {task.name}: {task.environment} has observations of {told(parts) if parts else 'one part'}, but the data "
            f"have {told(task.parts)}: choose the environment that they were recorded in"
        )
    stated = task.action_low or (-1.0,) * task.action_size, task.action_high or (1.0,) * task.action_size
    if not (np.allclose(low, stated[0]) and np.allclose(high, stated[1])):
        raise SimulatorError(
            f"task {task.name}: actions of {task.environment} lie between {low.tolist()} and {high.tolist()}, not "
            f"{list(stated[0])} and {list(stated[1])}; correct the task's action_low and action_high"
        )
