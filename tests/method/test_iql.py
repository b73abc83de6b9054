import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ailot_ray.config import IQLConfig
from ailot_ray.method.best_cloning import BestBehaviourCloning, best_rows
from ailot_ray.method.iql import (
    IQL,
    BehaviourCloning,
    DeterministicPolicy,
    Transitions,
)
from ailot_ray.method.learner import cosine_decay
from method.plain import Parameters, assert_same_gradients, backward, part_of, randomise, take_step
from method.resuming import assert_goes_on_to_the_same_bytes

SIZE, A, N, WIDTH = 3, 2, 40, 5
OFFSETS = np.array([0, 13, 20, 27, N])
CONFIG = IQLConfig(
    steps=50, batch_size=8, width=WIDTH, expectile=0.8, temperature=3.0, dropout=0.0, discount=0.9, polyak=0.1, snapshots=1
)


def transitions(members: int = 1, dtype: torch.dtype = torch.float32, same: bool = False) -> Transitions:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    continues = (torch.rand(N, generator=generator) > 0.3).to(dtype)
    observations, actions, following = normal(N, SIZE), normal(N, A).tanh(), normal(N, SIZE)
    rewards = normal(1, N).expand(members, N) if same else normal(members, N)
    return Transitions(observations, actions, following, continues, rewards, OFFSETS)


def mlp(p: Parameters, x: Tensor, prefix: str = "", masks: tuple[Tensor, ...] = ()) -> Tensor:
    for i in range(3):
        x = x @ p[f"{prefix}layers.{i}.weight"] + p[f"{prefix}layers.{i}.bias"][0]
        if i < 2:
            x = x.clamp(min=0.0)
            if masks:
                x = x * masks[i]
    return x


def normal_log_density(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    density: Tensor = torch.distributions.Normal(mean, std).log_prob(x)  # type: ignore[no-untyped-call]
    return density


def naive_log_likelihood(p: Parameters, s: Tensor, a: Tensor, masks: tuple[Tensor, ...] = ()) -> Tensor:
    std = p["log_std"][0].clamp(-5.0, 2.0).exp()
    return normal_log_density(a, mlp(p, s, "mean.", masks).tanh(), std).sum()


def adam_step(p: Parameters, rate: float) -> Parameters:
    """The first step of Adam from the gradients of `p`."""
    return {
        name: (value - rate * value.grad / (value.grad.abs() + 1e-8)).detach() if value.grad is not None else value.detach()
        for name, value in p.items()
    }


class NaiveIQL:
    """One update of one member, transition by transition, in the order V, then policy and Q with the new V, then the target."""

    def __init__(self, learner: IQL, m: int) -> None:
        self.value, self.actor = part_of(learner.value, m), part_of(learner.actor, m)
        self.critic = [part_of(learner.critic, m, e) for e in range(2)]
        self.target = [part_of(learner.target, m, e) for e in range(2)]
        self.clipped = 0

    def update(self, data: Transitions, rewards: Tensor, rows: list[int], masks: tuple[Tensor, ...], config: IQLConfig) -> None:
        assert config.expectile is not None and config.temperature is not None
        self.metrics: dict[str, Any] = {"value_loss": 0.0, "actor_loss": 0.0, "critic_loss": 0.0, "value": 0.0}
        batch = len(rows)
        minima = []
        for row in rows:
            sa = torch.cat([data.observations[row], data.actions[row]])
            q = min(mlp(p, sa).item() for p in self.target)
            minima.append(q)
            u = q - mlp(self.value, data.observations[row])[0]
            weight = config.expectile if u.item() >= 0 else 1 - config.expectile
            self.metrics["value_loss"] += weight * u.square() / batch
        backward(self.metrics["value_loss"])
        self.new_value = adam_step(self.value, config.learning_rate)
        for i, row in enumerate(rows):
            s, a, s_next = data.observations[row], data.actions[row], data.next_observations[row]
            v = mlp(self.new_value, s)[0].item()
            weight = math.exp(config.temperature * (minima[i] - v))
            self.clipped += weight > config.max_weight
            row_masks = tuple(mask[i] for mask in masks)
            likelihood = naive_log_likelihood(self.actor, s, a, row_masks)
            self.metrics["actor_loss"] -= min(weight, config.max_weight) * likelihood / batch
            goal = rewards[row].item()
            if data.continues[row]:
                goal += config.discount * mlp(self.new_value, s_next)[0].item()
            for p in self.critic:
                self.metrics["critic_loss"] += (goal - mlp(p, torch.cat([s, a]))[0]).square() / batch
            self.metrics["value"] += v / batch
        backward(self.metrics["actor_loss"] + self.metrics["critic_loss"])
        self.new_critic = [adam_step(p, config.learning_rate) for p in self.critic]
        self.new_actor = adam_step(self.actor, config.learning_rate)
        self.new_target = [
            {name: (1 - config.polyak) * bar[name].detach() + config.polyak * new[name] for name in bar}
            for bar, new in zip(self.target, self.new_critic, strict=True)
        ]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_one_update_is_the_papers(dropout: float, fast: bool) -> None:
    config = replace(CONFIG, dropout=dropout, learning_rate=0.01)
    data = transitions(2, torch.float64)
    learner = IQL(data, [0, 1], config, fast)
    assert (learner.written_out is not None) is fast
    for seed, network in enumerate((learner.actor, learner.critic, learner.value, learner.target)):
        randomise(network, seed + 1)
    with torch.no_grad():
        learner.actor.log_std.copy_(torch.tensor([[[-6.0, 0.3]], [[0.2, 2.5]]]))  # beyond the clip on either side
        learner.target.layers[2].get_parameter("bias").add_(1.0)  # some weights beyond theirs
    naive = [NaiveIQL(learner, m) for m in range(2)]
    rows = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15]])
    assert set(data.continues[rows].flatten().tolist()) == {0.0, 1.0}
    masks = learner.draw_masks()
    assert len(masks) == (2 if dropout else 0)
    take_step(learner, rows, masks)
    metrics = learner.metrics()
    for m, expected in enumerate(naive):
        expected.update(data, data.rewards[m], rows[m].tolist(), tuple(mask[m, 0] for mask in masks), config)
        for name, value in expected.metrics.items():
            assert metrics[name][m].item() == pytest.approx(torch.as_tensor(value).item(), rel=1e-6), name
        for network, olds, news in (
            (learner.value, [expected.value], [expected.new_value]),
            (learner.actor, [expected.actor], [expected.new_actor]),
            (learner.critic, expected.critic, expected.new_critic),
        ):
            assert_same_gradients(network, olds, m, rtol=1e-5, atol=1e-9)
            for part, new in enumerate(news):
                after = part_of(network, m, part)
                for name, value in new.items():
                    torch.testing.assert_close(after[name].detach(), value, rtol=1e-5, atol=1e-7, msg=name)
        for part, bar in enumerate(expected.new_target):
            for name, parameter in learner.target.named_parameters():
                torch.testing.assert_close(parameter[m, part], bar[name], rtol=1e-5, atol=1e-7, msg=name)
                assert parameter.grad is None
    assert 0 < sum(n.clipped for n in naive) < rows.numel()
    clipped = learner.actor.log_std.grad
    assert clipped is not None and clipped[0, 0, 0] == 0 and clipped[1, 0, 1] == 0


def test_dropout_masks_keep_the_expectation() -> None:
    learner = BehaviourCloning(transitions(2), [0, 1], replace(CONFIG, dropout=0.2, batch_size=400, width=50))
    first, second = learner.draw_masks()
    assert first.shape == second.shape == (2, 1, 400, 50)
    for member in (*first, *second):
        assert set(member.flatten().tolist()) == {0.0, 1.25}
        assert member.mean().item() == pytest.approx(1.0, abs=5 * math.sqrt(0.2 / 0.8 / 20_000))
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])
    assert BehaviourCloning(transitions(), [0], CONFIG).draw_masks() == ()


@pytest.mark.parametrize("cls", [IQL, BehaviourCloning])
def test_dropout_acts_in_training_and_not_in_the_policy(cls: type[IQL] | type[BehaviourCloning]) -> None:
    plain, dropping = (cls(transitions(), [0], replace(CONFIG, dropout=rate)) for rate in (0.0, 0.5))
    assert plain.advance(1)["actor_loss"] != dropping.advance(1)["actor_loss"]  # of the same rows and weights
    observations = transitions().observations.numpy()
    policy = DeterministicPolicy(dropping.result(0))
    np.testing.assert_array_equal(policy(observations), policy(observations))


def test_deterministic_policy_is_the_mean_of_its_member() -> None:
    learner = BehaviourCloning(transitions(3), [0, 1, 2], CONFIG)
    randomise(learner.actor, 3)
    observations = transitions().observations
    for m in range(3):
        p = part_of(learner.actor, m)
        actions = DeterministicPolicy(learner.result(m))(observations.numpy())
        np.testing.assert_allclose(actions, mlp(p, observations, "mean.").tanh().detach().numpy(), rtol=1e-5, atol=1e-6)
        assert actions.shape == (N, A) and actions.dtype == np.float32


def test_only_the_actors_rate_decays() -> None:
    learner = IQL(transitions(), [0], CONFIG)
    for done in (1, 20, 29):
        learner.advance(done)
        actor, critic = learner.actor_optimiser.rate, learner.critic_optimiser.rate
        assert actor == cosine_decay(CONFIG.learning_rate, learner.step - 1, CONFIG.steps)
        assert critic == learner.value_optimiser.rate == CONFIG.learning_rate
    assert learner.step == CONFIG.steps and actor < 1e-2 * CONFIG.learning_rate
    cloning = BehaviourCloning(transitions(), [0], CONFIG)
    cloning.advance(26)
    assert cloning.actor_optimiser.rate == pytest.approx(0.5 * CONFIG.learning_rate)


def test_behaviour_cloning_descends_the_likelihood() -> None:
    data = transitions(2)
    learner = BehaviourCloning(data, [0, 1], replace(CONFIG, dropout=0.3))
    randomise(learner.actor, 4)
    parts = [part_of(learner.actor, m) for m in range(2)]
    twin = BehaviourCloning(data, [0, 1], replace(CONFIG, dropout=0.3))  # draws the same rows, then the same masks
    rows, masks = twin.draw(1)[0], twin.draw_masks()
    loss = learner.advance(1)["actor_loss"]
    for m, p in enumerate(parts):
        likelihoods = [
            naive_log_likelihood(p, data.observations[row], data.actions[row], tuple(mask[m, 0, i] for mask in masks))
            for i, row in enumerate(rows[m].tolist())
        ]
        expected = -torch.stack(likelihoods).mean()
        torch.testing.assert_close(loss[m], expected.detach())
        backward(expected)
        assert_same_gradients(learner.actor, [p], m, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_members_train_as_if_alone(dropout: float) -> None:
    """Two seeds and a second reward of the first seed."""
    config, data = replace(CONFIG, dropout=dropout, learning_rate=0.01), transitions(3)
    seeds = [5, 6, 5]
    together = IQL(data, seeds, config)
    metrics = together.advance(20)
    alone = []
    for m, seed in enumerate(seeds):
        learner = IQL(replace(data, rewards=data.rewards[m : m + 1]), [seed], config)
        for name, value in learner.advance(20).items():
            torch.testing.assert_close(metrics[name][m : m + 1], value, rtol=1e-3, atol=1e-4, msg=name)
        alone.append(learner.result(0))
        for name, value in together.result(m).items():
            torch.testing.assert_close(value, alone[m][name], rtol=1e-3, atol=1e-4, msg=name)
    name = "mean.layers.1.weight"
    assert not torch.allclose(alone[0][name], alone[2][name], atol=1e-3)  # the reward alone tells these two apart


@pytest.mark.parametrize("cls", [IQL, BehaviourCloning])
def test_going_on_from_a_state_gives_the_same_bytes(cls: type[IQL] | type[BehaviourCloning]) -> None:
    config, data = replace(CONFIG, dropout=0.2), transitions(2)
    assert_goes_on_to_the_same_bytes(cls(data, [3, 7], config), cls(data, [3, 7], config))


def test_iql_finds_the_rewarded_action_where_cloning_cannot() -> None:
    """A bandit: the behaviour is uniform on [−1, 1], the reward peaks at 0.5 where s = 1 and at −0.5 where s = −1."""
    generator = torch.Generator().manual_seed(0)
    s = torch.randint(2, (2000, 1), generator=generator) * 2.0 - 1.0
    a = torch.rand(2000, 1, generator=generator) * 2 - 1
    rewards = -4.0 * (a - 0.5 * s).square()[:, 0]
    data = Transitions(s, a, s, torch.zeros(2000), rewards[None], np.array([0, 2000]))
    config = IQLConfig(
        steps=500, batch_size=64, width=32, learning_rate=3e-3, polyak=0.05, expectile=0.7, temperature=3.0, dropout=0.0
    )
    where = np.array([[-1.0], [1.0]], np.float32)
    found = []
    for cls in (IQL, BehaviourCloning):
        learner = cls(data, [0], config)
        learner.advance(config.steps)
        found.append(np.abs(DeterministicPolicy(learner.result(0))(where) - 0.5 * where))
    assert (found[0] < 0.15).all() and (found[1] > 0.35).all(), found  # the behaviour's mean action is 0


def test_the_best_tenth_is_of_the_largest_returns_and_of_equal_ones_the_shortest() -> None:
    lengths = np.array([3, 1, 2, 4, 1, 3, 2, 1, 2, 1, 2, 2, 1, 3, 1, 2, 2, 1, 2, 3])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    returns = np.array([1, 0, 5, 5, 0, 2, 0, 0, 5, 0, 0, 3, 0, 0, 1, 0, 0, 2, 0, 1], float)
    rewards = np.repeat(returns / lengths, lengths)
    found = best_rows(rewards, offsets, 0.1)
    assert found.tolist() == [*range(offsets[2], offsets[3]), *range(offsets[8], offsets[9])], (
        "3 has the same return, but is longer"
    )
    assert best_rows(rewards, offsets, 0.01).tolist() == [*range(offsets[2], offsets[3])], "never none"
    assert len(best_rows(rewards, offsets, 1.0)) == offsets[-1]


def test_best_cloning_sees_nothing_else_and_each_member_its_own() -> None:
    data = transitions(members=2)
    learner = BestBehaviourCloning(data, [0, 1], CONFIG)
    drawn = learner.draw(200)
    for member in range(2):
        best = best_rows(data.rewards[member].numpy(), data.offsets, 0.1)
        assert set(drawn[:, member].ravel().tolist()) == set(best.tolist())
    assert drawn.shape == (200, 2, CONFIG.batch_size)
    assert learner.written_out is not None, "it differs from plain cloning in its rows alone"


def test_best_cloning_goes_on_to_the_same_bytes() -> None:
    data = transitions(2)
    assert_goes_on_to_the_same_bytes(*(BestBehaviourCloning(data, [3, 7], CONFIG) for _ in range(2)))
