"""What somebody's own environment may hand out, and what it is told where it may not."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from numpy.typing import NDArray

from ailot_ray.envs.guard import Guarded
from ailot_ray.errors import SimulatorError


class Odd(gymnasium.Env[Any, Any]):
    """Counts its steps in one array, and gives at step 3 of its second episode what it is asked to."""

    observation_space = Box(-9.0, 9.0, (2,), np.float32)
    action_space = Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, **odd: Any) -> None:
        self.state, self.odd, self.episode, self.steps = np.zeros(2, np.float32), odd, -1, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.state[:], self.steps, self.episode = 0, 0, self.episode + 1
        return self.state, {}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        self.steps += 1
        self.state += 1
        given: dict[str, Any] = {"observation": self.state, "reward": 1.0, "terminated": False, "error": None}
        if (self.episode, self.steps) == (1, 3):
            given |= self.odd
        if given["error"]:
            raise given["error"]
        return given["observation"], given["reward"], given["terminated"], False, {}


def play(env: Guarded) -> list[tuple[NDArray[Any], float, bool]]:
    steps: list[tuple[NDArray[Any], float, bool]] = []
    for _ in range(2):
        env.reset()
        steps += [env.step(np.zeros(1))[:3] for _ in range(4)]
    return steps


def test_an_array_that_is_changed_in_place_is_copied() -> None:
    assert [state[0] for state, _, _ in play(Guarded(Odd(), "task x"))] == [1, 2, 3, 4] * 2


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ({"observation": [3, 3]}, (3.0, 1.0, False)),
        ({"reward": np.array([2.0])}, (3.0, 2.0, False)),
        ({"terminated": np.array([True])}, (3.0, 1.0, True)),
    ],
)
def test_lists_and_single_elements_are_taken(odd: dict[str, Any], expected: tuple[float, float, bool]) -> None:
    state, reward, terminated = play(Guarded(Odd(**odd), "task x"))[6]
    assert (state[0], reward, terminated) == expected and type(terminated) is bool and type(reward) is float


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ({"observation": np.array([0.0, np.nan])}, "observation whose component 1 is nan"),
        ({"observation": np.zeros(3)}, r"observation of shape \(3,\)"),
        ({"observation": {"a": 1}}, "a dict as observation"),
        ({"reward": np.nan}, "reward nan"),
        ({"reward": np.ones(2)}, "reward that is not one number"),
        ({"terminated": None}, "flag None"),
        ({"error": ZeroDivisionError("by\nzero")}, r"failed \(ZeroDivisionError: by zero\)"),
    ],
)
def test_what_is_no_number_is_named_with_its_step(odd: dict[str, Any], told: str) -> None:
    with pytest.raises(SimulatorError, match=rf"^task x: the environment .*{told}.* in episode 1, step 3: mend") as caught:
        play(Guarded(Odd(**odd), "task x"))
    assert "\n" not in str(caught.value)
