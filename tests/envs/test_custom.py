"""Environments outside of the table: their bounds, and what does not fit."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Space

from ailot_ray.data.scaling import from_unit, to_unit
from ailot_ray.envs import make_env, roll_out
from ailot_ray.envs.custom import action_bounds, describe_environment
from ailot_ray.envs.guard import Guarded
from ailot_ray.errors import SimulatorError

PENDULUM = describe_environment("Pendulum-v1")


def test_an_environment_describes_itself() -> None:
    assert (PENDULUM.observation_size, PENDULUM.action_size, PENDULUM.horizon) == (3, 1, 200)
    assert (PENDULUM.action_low, PENDULUM.action_high) == ((-2.0,), (2.0,))
    hopper = describe_environment("Hopper-v4", horizon=30, options={"forward_reward_weight": 0.0})
    assert (hopper.observation_size, hopper.action_size, hopper.horizon, hopper.action_low) == (11, 3, 30, None)
    assert hopper.options == {"forward_reward_weight": 0.0}


def test_policies_act_in_unit_bounds_and_the_horizon_is_the_tasks() -> None:
    short = replace(PENDULUM, horizon=7)
    env, own = make_env(short), gymnasium.make("Pendulum-v1")
    env.reset(seed=3), own.reset(seed=3)
    for action in (-1.0, 0.25, 1.0):
        scaled, torque = np.array([action], np.float32), np.array([2 * action], np.float32)
        np.testing.assert_allclose(env.step(scaled)[0], own.step(torque)[0], atol=1e-6)
    games = roll_out(short, lambda states: np.ones((len(states), 1), np.float32), 2, 0)
    assert [game.length for game in games] == [7, 7]


def test_options_reach_the_environment() -> None:
    moon = replace(PENDULUM, options={"g": 1.6})
    env = make_env(moon)
    assert env.unwrapped.g == 1.6  # type: ignore[attr-defined]
    assert isinstance(env.env, Guarded), "inside of the rescaling, so that recorded rows are guarded too"  # type: ignore[attr-defined]


def test_scaling_is_undone_by_its_inverse() -> None:
    task = replace(PENDULUM, action_size=2, action_low=(-2.0, 0.0), action_high=(2.0, 0.5))
    unit = np.random.default_rng(0).uniform(-1, 1, (100, 2)).astype(np.float32)
    native = from_unit(unit, task)
    assert (native >= [-2.0, 0.0]).all() and (native <= [2.0, 0.5]).all()
    np.testing.assert_allclose(to_unit(native, task), unit, atol=1e-6)
    assert to_unit(np.array([[-2.0, 0.5]], np.float32), task).tolist() == [[-1.0, 1.0]]
    plain = replace(task, action_low=None, action_high=None)
    assert to_unit(unit, plain) is unit and from_unit(unit, plain) is unit


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"observation_size": 4}, "Pendulum-v1 has 3 observations and 1 actions, but the task says observation_size 4"),
        ({"action_low": None, "action_high": None}, r"lie between \[-2.0\] and \[2.0\], not \[-1.0\] and \[1.0\]; correct"),
        ({"action_high": (3.0,)}, r"not \[-2.0\] and \[3.0\]; correct the task's action_low and action_high"),
        ({"environment": "Pendulum-v77"}, r"cannot make Pendulum-v77 \(.*\): check the id and the options"),
        ({"environment": "no_such_module:Thing-v0"}, "needs the module no_such_module: install it, or run where"),
        ({"options": {"gravity": 3}}, r"cannot make Pendulum-v1 \(.*gravity.*\): check the id and the options"),
        ({"environment": ""}, "names no environment to evaluate in"),
        ({"horizon": 0}, "has no time limit: write a task of your own with a `horizon`"),
        ({"environment": "CartPole-v1"}, "actions are a Discrete space, but must be a Box of one dimension"),
    ],
)
def test_what_does_not_fit_is_one_line(changes: dict[str, Any], pattern: str) -> None:
    with pytest.raises(SimulatorError, match=pattern) as caught:
        make_env(replace(PENDULUM, **changes))
    assert "\n" not in str(caught.value)


class Blank(gymnasium.Env[Any, Any]):
    def __init__(self, observations: Space[Any], actions: Space[Any]) -> None:
        self.observation_space, self.action_space = observations, actions


BOX = Box(-1.0, 1.0, (2,))
FLAT = Box(np.array([0, 3], np.float32), np.array([10, 3], np.float32))


@pytest.mark.parametrize(
    ("observations", "actions", "pattern"),
    [
        (Dict({"goal": BOX}), BOX, "observations are a Dict space, .* use a FlattenObservation wrapper"),
        (Box(0, 1, (4, 4)), BOX, r"observations are a Box of shape \(4, 4\) space"),
        (BOX, Discrete(3), "actions are a Discrete space, .* use an environment with continuous actions"),
        (BOX, Box(-np.inf, np.inf, (2,)), "actions have no bounds, .* RescaleAction"),
        (BOX, Box(0, 10, (2,), np.int64), "actions are a Box of int64, .* rounds them itself"),
        (BOX, FLAT, "component 1 of the actions lies between 3 and 3"),
        (BOX, Box(-3e38, 3e38, (1,)), "component 0 of the actions .* finite bounds"),
    ],
)
def test_spaces_that_a_policy_cannot_have(observations: Space[Any], actions: Space[Any], pattern: str) -> None:
    with pytest.raises(SimulatorError, match=f"blank: {pattern}"):
        action_bounds("blank", Blank(observations, actions))


def test_an_environment_of_a_users_own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_envs.py").write_text(
        "import gymnasium\ngymnasium.register('Mine-v0', 'gymnasium.envs.classic_control.pendulum:PendulumEnv')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        with pytest.raises(SimulatorError, match="my_envs:Mine-v0 has no time limit of its own: give one with --horizon STEPS"):
            describe_environment("my_envs:Mine-v0")
        task = describe_environment("my_envs:Mine-v0", horizon=5)
        assert (task.environment, task.horizon, task.action_size) == ("my_envs:Mine-v0", 5, 1)
        make_env(task).close()
    finally:
        gymnasium.registry.pop("Mine-v0", None)
        sys.modules.pop("my_envs", None)
