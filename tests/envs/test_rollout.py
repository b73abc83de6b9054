"""Roll-outs against a loop written by hand; seeds, horizons, clipping, waves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

from ailot_ray.envs import roll_out, rollout
from ailot_ray.envs.rollout import MAX_ENVIRONMENTS
from ailot_ray.errors import SimulatorError
from ailot_ray.tasks import Task, get_task

HOPPER = get_task("hopper-builtin")
CHEETAH = get_task("halfcheetah-medium-v2")
DOOR = Task("door-test", "adroit", "AdroitHandDoor-v1", 39, 28, 200, -56.5, 2880.6)

Observations = NDArray[np.float32]
Actions = NDArray[np.float32]
Act = Callable[[Observations], Actions]


def constant(task: Task, value: float) -> "Policy":
    return Policy(lambda observations: np.full((len(observations), task.action_size), value, dtype=np.float32))


class Policy:
    """A policy that remembers how many rows each call had."""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.batches: list[int] = []

    def __call__(self, observations: Observations) -> Actions:
        assert observations.dtype == np.float32
        self.batches.append(len(observations))
        return self.act(observations)


def stumble(observations: Observations) -> Actions:
    """Hopper actions row by row, free of the rounding that a matrix product would change with the batch."""
    return np.tanh(3.0 * observations[:, 2:5] - 5.0 * observations[:, 8:11]).astype(np.float32)


@pytest.mark.parametrize(("horizon", "end"), [(1000, "angle"), (10, "horizon")])
def test_an_episode_says_why_it_ended(horizon: int, end: str) -> None:
    task = replace(HOPPER, horizon=horizon)
    assert {episode.end for episode in roll_out(task, constant(task, 0.0), episodes=2, seed=7)} == {end}


def test_a_fall_in_the_last_step_is_a_fall() -> None:
    (falls,) = roll_out(HOPPER, constant(HOPPER, 0.0), episodes=1, seed=7)
    (last,) = roll_out(replace(HOPPER, horizon=falls.length), constant(HOPPER, 0.0), episodes=1, seed=7)
    assert (last.length, last.end) == (falls.length, "angle")


def test_zero_policy_agrees_with_a_loop_by_hand() -> None:
    played = roll_out(HOPPER, constant(HOPPER, 0.0), episodes=3, seed=7)
    assert [episode.index for episode in played] == [0, 1, 2]
    env = gymnasium.make("Hopper-v4")
    for episode in played:
        env.reset(seed=int(np.random.SeedSequence([7, episode.index]).generate_state(1)[0]))
        total, steps, over = 0.0, 0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(np.zeros(3, dtype=np.float32))
            total, steps, over = total + float(reward), steps + 1, terminated or truncated
        assert (episode.undiscounted_return, episode.length) == (total, steps)
        assert episode.length < HOPPER.horizon
        assert episode.success is None
    assert len({episode.undiscounted_return for episode in played}) == 3


def test_noise_is_the_episodes_own_whatever_is_played_beside_it() -> None:
    noise = np.array([0.4, 0.2, 0.1], np.float32)
    three = roll_out(HOPPER, stumble, episodes=3, seed=1, noise=noise)
    assert three == roll_out(HOPPER, stumble, episodes=3, seed=1, noise=noise)
    assert len({rollout.noise_generator(seed, index).normal() for seed in (0, 1) for index in (0, 1)}) == 4
    assert three[:1] == roll_out(HOPPER, stumble, episodes=1, seed=1, noise=noise)
    still = roll_out(HOPPER, stumble, episodes=3, seed=1)
    assert still == roll_out(HOPPER, stumble, episodes=3, seed=1, noise=np.zeros(3, np.float32))
    assert not {episode.undiscounted_return for episode in three} & {episode.undiscounted_return for episode in still}


def test_noise_has_the_deviation_asked_for_and_is_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    env = gymnasium.make("HalfCheetah-v4")
    taken: list[Actions] = []
    plain = env.step

    def step(action: Actions) -> tuple[Any, ...]:
        taken.append(action)
        return plain(action)

    monkeypatch.setattr(env, "step", step)
    monkeypatch.setattr(rollout, "make_env", lambda task, **options: env)
    roll_out(CHEETAH, constant(CHEETAH, 0.5), episodes=1, seed=0, noise=np.linspace(0.0, 0.1, 6, dtype=np.float32))
    actions = np.array(taken)
    np.testing.assert_allclose(actions.mean(0), 0.5, atol=0.02)
    np.testing.assert_allclose(actions.std(0), np.linspace(0.0, 0.1, 6), atol=0.01)
    taken.clear()
    roll_out(CHEETAH, constant(CHEETAH, 0.5), episodes=1, seed=0, noise=np.full(6, 2.0, np.float32))
    assert np.abs(np.array(taken)).max() == 1.0


def test_an_episode_does_not_depend_on_its_company() -> None:
    alone, few, waves = (roll_out(HOPPER, stumble, episodes, seed=5) for episodes in (1, 4, 2 * MAX_ENVIRONMENTS + 2))
    assert alone == waves[:1] and few == waves[:4]
    other = {episode.undiscounted_return for episode in roll_out(HOPPER, stumble, 4, seed=6)}
    assert not other & {episode.undiscounted_return for episode in few}
    assert [episode.index for episode in waves] == list(range(2 * MAX_ENVIRONMENTS + 2))
    assert len({episode.undiscounted_return for episode in waves}) == len(waves)


def test_one_call_serves_all_that_still_run_and_no_more_than_a_wave() -> None:
    policy, ended = Policy(stumble), list[int]()
    played = roll_out(HOPPER, policy, MAX_ENVIRONMENTS + 2, seed=0, on_episode=ended.append)
    lengths = [episode.length for episode in played]
    expected = []
    for wave in (lengths[:MAX_ENVIRONMENTS], lengths[MAX_ENVIRONMENTS:]):
        expected += [sum(length > step for length in wave) for step in range(max(wave))]
    assert policy.batches == expected
    assert sorted(ended) == list(range(MAX_ENVIRONMENTS + 2))
    assert lengths[ended[0]] == min(lengths[:MAX_ENVIRONMENTS])


def test_actions_are_clipped_and_horizons_kept() -> None:
    # Hopper's control cost would charge 25 times more for an unclipped 5.
    assert roll_out(HOPPER, constant(HOPPER, 5.0), 2, seed=0) == roll_out(HOPPER, constant(HOPPER, 1.0), 2, seed=0)
    wild, limit = (roll_out(DOOR, constant(DOOR, value), 1, seed=0) for value in (-9.0, -1.0))
    assert wild == limit and (wild[0].length, wild[0].success) == (200, False)
    short = replace(CHEETAH, horizon=25)
    assert [episode.length for episode in roll_out(short, constant(short, 0.0), 2, seed=0)] == [25, 25]


def test_actions_that_cannot_be_are_refused() -> None:
    with pytest.raises(SimulatorError, match=r"hopper-builtin: the policy gave an action that is not a number"):
        roll_out(HOPPER, constant(HOPPER, float("nan")), 1, seed=0)
    with pytest.raises(ValueError, match=r"\(2, 6\), not \(2, 3\)"):
        roll_out(HOPPER, constant(CHEETAH, 0.0), 2, seed=0)
