import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ailot_ray.config import ICVFConfig
from ailot_ray.method.goals import GoalSampler

LENGTHS = (40, 1, 25, 60, 2)
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
N = int(OFFSETS[-1])
STEPS = 400
CONFIG = ICVFConfig(batch_size=128)
DRAWN = STEPS * CONFIG.batch_size


def sampler(unusable: tuple[int, ...] = ()) -> GoalSampler:
    usable = torch.ones(N, dtype=torch.bool)
    usable[list(unusable)] = False
    states = torch.arange(N, dtype=torch.float32)[:, None]
    return GoalSampler(states, states + 0.5, torch.from_numpy(OFFSETS), usable)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def goal_distribution(config: ICVFConfig) -> NDArray[np.float64]:
    """P(goal | state) as docs/method.md §1 has it, (N, N), by counting."""
    rest = 1.0 - config.goal_current - config.goal_trajectory
    chances = np.full((N, N), rest / N)
    for start, stop in itertools.pairwise(OFFSETS):
        for row in range(start, stop):
            chances[row, row] += config.goal_current
            later = list(range(row + 1, stop)) or [row]
            for goal in later:
                chances[row, goal] += config.goal_trajectory / len(later)
    return chances


def assert_share(found: float, expected: float) -> None:
    """Within five standard errors of a binomial share."""
    assert abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / DRAWN) + 1e-12


@pytest.mark.parametrize(
    "shares", [(0.2, 0.5), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (0.3, 0.7)], ids=lambda s: f"{s[0]:g}-{s[1]:g}"
)
def test_kinds_of_goals_have_their_shares(shares: tuple[float, float]) -> None:
    config = replace(CONFIG, goal_current=shares[0], goal_trajectory=shares[1])
    draws = sampler().draw(STEPS, config, [generator()])
    state, goal = draws.state.numpy().ravel(), draws.goal.numpy().ravel()
    chances = goal_distribution(config).mean(0), goal_distribution(config)
    rows = np.arange(N)
    trajectory = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    same = trajectory[:, None] == trajectory
    for found, kind in (
        (state == goal, np.eye(N, dtype=bool)),
        ((trajectory[state] == trajectory[goal]) & (goal > state), same & (rows > rows[:, None])),
        ((trajectory[state] == trajectory[goal]) & (goal < state), same & (rows < rows[:, None])),
        (trajectory[state] != trajectory[goal], ~same),
    ):
        assert_share(found.mean(), (chances[1] * kind).sum(1).mean())
    for row in range(N):
        assert_share((state == row).mean(), 1 / N)
        assert_share((goal == row).mean(), chances[0][row])


@pytest.mark.parametrize("goal_same", [0.0, 0.5, 1.0])
def test_outcome_is_the_goal_with_its_share(goal_same: float) -> None:
    config = replace(CONFIG, goal_same=goal_same)
    draws = sampler().draw(STEPS, config, [generator()])
    by_chance = (goal_distribution(config) ** 2).sum(1).mean()  # two goals drawn apart can still coincide
    assert_share((draws.outcome == draws.goal).double().mean().item(), goal_same + (1 - goal_same) * by_chance)
    chances = goal_distribution(config).mean(0)
    for row in range(N):
        assert_share((draws.outcome == row).double().mean().item(), chances[row])


def test_later_goals_stay_in_the_trajectory_after_the_state() -> None:
    config = replace(CONFIG, goal_current=0.0, goal_trajectory=1.0, goal_same=0.0)
    draws = sampler().draw(STEPS, config, [generator()])
    last = np.repeat(OFFSETS[1:] - 1, LENGTHS)
    state = draws.state.numpy()
    for goal in (draws.goal.numpy(), draws.outcome.numpy()):
        assert (goal <= last[state]).all()
        assert ((goal > state) | (state == last[state])).all()
        assert (goal >= state).all()
        reached = np.unique(goal[state == OFFSETS[4] - 11])
        assert reached.tolist() == list(range(OFFSETS[4] - 10, OFFSETS[4]))  # every one of them occurs


def test_rows_without_a_known_successor_are_no_states_but_may_be_goals() -> None:
    unusable = (0, 39, 40, 127)
    draws = sampler(unusable).draw(STEPS, CONFIG, [generator()])
    assert not np.isin(draws.state.numpy(), unusable).any()
    assert len(np.unique(draws.state.numpy())) == N - len(unusable)
    assert np.isin(unusable, draws.goal.numpy()).all() and np.isin(unusable, draws.outcome.numpy()).all()


def test_draws_depend_on_the_members_own_generator_only() -> None:
    together = sampler().draw(7, CONFIG, [generator(1), generator(2)])
    alone = sampler().draw(7, CONFIG, [generator(2)])
    for name in ("state", "outcome", "goal"):
        both, one = getattr(together, name), getattr(alone, name)
        assert both.shape == (7, 2, CONFIG.batch_size)
        assert torch.equal(both[:, 1], one[:, 0])
        assert not torch.equal(both[:, 0], both[:, 1])


def test_gather_looks_rows_up() -> None:
    draws = sampler().draw(3, CONFIG, [generator(1), generator(2)])[2]
    batch = sampler().buffers(2, CONFIG.batch_size)
    sampler().gather(draws, batch)
    assert torch.equal(batch.state[..., 0], draws.state.float())
    assert torch.equal(batch.successor_and_state[..., 0], torch.cat([draws.state + 0.5, draws.state.float()], 1))
    assert torch.equal(batch.outcome_and_goal[..., 0], torch.cat([draws.outcome, draws.goal], 1).float())
    assert torch.equal(batch.before_outcome, (draws.outcome != draws.state).float())
    assert torch.equal(batch.before_goal, (draws.goal != draws.state).float())
    assert batch.state.shape == (2, CONFIG.batch_size, 1)


@pytest.mark.parametrize("discount", [0.9, 0.99])
def test_the_datas_pace_is_the_discounted_time_to_the_goals_that_are_drawn(discount: float) -> None:
    """Against the sum over all pairs of rows; a goal that does not lie ahead is never reached."""
    chances, expected = goal_distribution(CONFIG), 0.0
    ends = np.repeat(OFFSETS[1:], LENGTHS)
    for row in range(N):
        for goal in range(N):
            steps = goal - row if row <= goal < ends[row] else np.inf
            expected -= chances[row, goal] / N * (1 - discount**steps) / (1 - discount)
    found = sampler().pace(replace(CONFIG, discount=discount), generator())
    assert found == pytest.approx(expected, rel=0.01) and expected > -1 / (1 - discount)
