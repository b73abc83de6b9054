from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional

from ailot_ray.config import ICVFConfig
from ailot_ray.method.goals import GoalSampler
from ailot_ray.method.icvf import ICVF, IntentEncoder
from method.plain import Parameters, assert_same_gradients, backward, part_of, randomise, take_step
from method.resuming import assert_goes_on_to_the_same_bytes

CONFIG = ICVFConfig(batch_size=6, width=5, steps=100)


@dataclass(frozen=True)
class Samples:
    """s, s', g and z, all (M, B, o); `at_outcome` and `at_goal` (M, B) tell where s is g, or z."""

    state: Tensor
    successor: Tensor
    outcome: Tensor
    goal: Tensor
    at_outcome: Tensor
    at_goal: Tensor


def mlp(p: Parameters, name: str, x: Tensor, norm: bool) -> Tensor:
    for i in range(2):
        x = functional.relu(x @ p[f"{name}.layers.{i}.weight"] + p[f"{name}.layers.{i}.bias"][0])
        if norm:
            gain, offset = p[f"{name}.norms.{i}.weight"][0], p[f"{name}.norms.{i}.bias"][0]
            x = (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt() * gain + offset
    return x


def naive_value(p: Parameters, s: Tensor, g: Tensor, z: Tensor, norm: bool) -> Tensor:
    """V(s, g, ψ(z)) of one sample, (o,) each, as docs/method.md §1 writes it."""
    t = mlp(p, "intent", mlp(p, "psi", z, norm), norm)
    left = (t * mlp(p, "phi", s, norm)) @ p["left.weight"] + p["left.bias"][0]
    right = (t * mlp(p, "psi", g, norm)) @ p["right.weight"] + p["right.bias"][0]
    return left.dot(right)


def naive_loss(
    online: list[Parameters], target: list[Parameters], batch: Samples, m: int, config: ICVFConfig, signs: set[bool]
) -> Tensor:
    """The loss of member m, sample by sample, for both parts of the ensemble; `signs` takes those of the advantages."""
    losses, norm = [], config.layer_norm
    for b in range(batch.state.shape[1]):
        s, s_next, g, z = batch.state[m, b], batch.successor[m, b], batch.outcome[m, b], batch.goal[m, b]
        with torch.no_grad():
            if batch.at_goal[m, b]:
                ahead = 0.0
            else:
                ahead = -1 + config.discount * min(naive_value(p, s_next, z, z, norm).item() for p in target)
            advantage = ahead - sum(naive_value(p, s, z, z, norm).item() for p in target) / 2
        signs.add(advantage < 0)
        weight = 1 - config.expectile if advantage < 0 else config.expectile
        for p, p_bar in zip(online, target, strict=True):
            q = 0.0
            if not batch.at_outcome[m, b]:
                q = -1 + config.discount * naive_value(p_bar, s_next, g, z, norm).item()
            losses.append(weight * (q - naive_value(p, s, g, z, norm)).square())
    return torch.stack(losses).sum() / batch.state.shape[1]


def random_batch(members: int, size: int, seed: int = 0) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    s, s_next, g, z = (torch.randn(members, size, 3, generator=generator, dtype=torch.float64) for _ in range(4))
    at_outcome = torch.rand(members, size, generator=generator) < 0.3
    at_goal = torch.rand(members, size, generator=generator) < 0.3
    return Samples(
        s, s_next, torch.where(at_outcome[..., None], s, g), torch.where(at_goal[..., None], s, z), at_outcome, at_goal
    )


def learner_before(batch: Samples, config: ICVFConfig, value_seed: int = 1, fast: bool = True) -> ICVF:
    """A learner in double precision with random weights everywhere, about to learn from `batch`."""
    members, size, width = batch.state.shape
    states = batch.state.reshape(-1, width)
    offsets, usable = torch.tensor([0, len(states)]), torch.ones(len(states), dtype=torch.bool)
    icvf = ICVF(GoalSampler(states, states, offsets, usable), list(range(members)), replace(config, batch_size=size), fast)
    randomise(icvf.value, value_seed)
    randomise(icvf.target, 2)
    icvf.batch.successor_and_state.copy_(torch.cat([batch.successor, batch.state], 1))
    icvf.batch.outcome_and_goal.copy_(torch.cat([batch.outcome, batch.goal], 1))
    icvf.batch.before_outcome.copy_(~batch.at_outcome)
    icvf.batch.before_goal.copy_(~batch.at_goal)
    return icvf


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("layer_norm", [True, False])
def test_loss_and_gradients_are_the_papers(layer_norm: bool, fast: bool) -> None:
    config = replace(CONFIG, layer_norm=layer_norm, expectile=0.8, discount=0.9)
    batch = random_batch(2, 8)
    assert batch.at_outcome.any() and batch.at_goal.any() and not batch.at_goal.all()
    icvf = learner_before(batch, config, fast=fast)
    assert (icvf.written_out is not None) is fast
    parts = [([part_of(net, m, e) for e in range(2)]) for m in range(2) for net in (icvf.value, icvf.target)]
    take_step(icvf)
    metrics, signs = icvf.metrics(), set[bool]()
    for m in range(2):
        online, bars = parts[2 * m : 2 * m + 2]
        expected = naive_loss(online, bars, batch, m, config, signs)
        torch.testing.assert_close(metrics["loss"][m], expected.detach(), rtol=1e-6, atol=0)
        backward(expected)
        assert_same_gradients(icvf.value, online, m, rtol=1e-5, atol=1e-8)
        values = [
            naive_value(p, batch.state[m, b], batch.outcome[m, b], batch.goal[m, b], layer_norm)
            for p in online
            for b in range(8)
        ]
        torch.testing.assert_close(metrics["value"][m], torch.stack(values).mean().detach())
    assert all(parameter.grad is None for parameter in icvf.target.parameters())
    assert signs == {True, False}, "or nothing would tell an expectile"


def chain_sampler(size: int = 12, walks: int = 30, length: int = 20, seed: int = 0) -> GoalSampler:
    """Walks to the right on a ring of `size` places, each place an orthonormal vector: raw distances tell nothing of time."""
    places = np.random.default_rng(seed).integers(size, size=walks)[:, None] + np.arange(length + 1)
    states = torch.eye(size)[torch.from_numpy(places % size)]
    offsets = torch.arange(walks + 1) * length
    return GoalSampler(
        states[:, :-1].reshape(-1, size), states[:, 1:].reshape(-1, size), offsets, torch.ones(walks * length, dtype=torch.bool)
    )


def test_one_update_is_adams_and_the_target_follows() -> None:
    sampler = chain_sampler()
    icvf = ICVF(sampler, [4], replace(CONFIG, polyak=0.1, learning_rate=0.01))
    assert all(torch.equal(a, b) for a, b in zip(icvf.value.parameters(), icvf.target.parameters(), strict=True))
    randomise(icvf.target, 3)
    before = [p.detach().clone() for p in icvf.value.parameters()]
    bars = [p.detach().clone() for p in icvf.target.parameters()]
    sampler.gather(sampler.draw(1, CONFIG, [torch.Generator().manual_seed(0)])[0], icvf.batch)
    take_step(icvf)
    for old, new in zip(before, icvf.value.parameters(), strict=True):
        assert new.grad is not None
        torch.testing.assert_close(new.detach(), old - 0.01 * new.grad / (new.grad.abs() + 1e-8), rtol=1e-4, atol=1e-6)
    for bar, followed, new in zip(bars, icvf.target.parameters(), icvf.value.parameters(), strict=True):
        torch.testing.assert_close(followed, 0.9 * bar + 0.1 * new.detach())
        assert followed.grad is None


def test_members_are_independent_of_company() -> None:
    sampler = chain_sampler()
    together, first, second = (ICVF(sampler, seeds, CONFIG) for seeds in ([3, 7], [3], [7]))
    losses = [icvf.advance(20)["loss"] for icvf in (together, first, second)]
    torch.testing.assert_close(losses[0], torch.cat(losses[1:]), rtol=1e-4, atol=1e-5)
    for member, alone in enumerate((first, second)):
        theirs = alone.result(0)
        for name, value in together.result(member).items():
            torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=1e-4, msg=name)
    assert not torch.allclose(first.result(0)["psi.layers.0.weight"], second.result(0)["psi.layers.0.weight"], atol=1e-2)


def test_going_on_from_a_state_gives_the_same_bytes() -> None:
    sampler = chain_sampler()
    assert_goes_on_to_the_same_bytes(ICVF(sampler, [3, 7], CONFIG), ICVF(sampler, [3, 7], CONFIG))


@pytest.mark.parametrize("layer_norm", [True, False])
def test_encoder_is_psi_of_the_first_part(layer_norm: bool) -> None:
    sampler = chain_sampler(size=4)
    icvf = ICVF(sampler, [3, 7], replace(CONFIG, layer_norm=layer_norm))
    randomise(icvf.value, 5)
    mean, std = torch.tensor([1.0, -2.0, 0.5, 0.0]), torch.tensor([0.5, 2.0, 1.0, 3.0])
    states = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    for member in range(2):
        encoded = IntentEncoder(icvf.result(member), mean, std, torch.device("cpu"))(states)
        p = part_of(icvf.value, member, 0)
        expected = torch.stack([mlp(p, "psi", (state - mean) / std, layer_norm) for state in states])
        torch.testing.assert_close(encoded, expected.detach(), rtol=1e-5, atol=1e-5)
        assert encoded.shape == (9, CONFIG.width)


CHAIN = 24
"""Places of the chain below."""


def bump_chain() -> tuple[GoalSampler, Tensor]:
    """Walks to the right on a chain, seen through narrow bumps: raw distances soon stop growing. Also each place's state."""
    places = torch.arange(CHAIN)
    states = torch.exp(-0.5 * (places[:, None] - places).square())
    states = (states - states.mean(0)) / states.std(0)
    starts = torch.randint(CHAIN - 20, (100, 1), generator=torch.Generator().manual_seed(0))
    walks = states[starts + torch.arange(21)]
    offsets, known = torch.arange(101) * 20, torch.ones(2000, dtype=torch.bool)
    return GoalSampler(walks[:, :-1].reshape(-1, CHAIN), walks[:, 1:].reshape(-1, CHAIN), offsets, known), states


def time_correlations(icvf: ICVF, states: Tensor, member: int) -> tuple[float, float]:
    """Spearman's ρ of h with ‖ψ(s_t) − ψ(s_t+h)‖, and with −V(s_t, s_t+h, ψ(s_t+h)), over all t and h in 1..12."""
    encoder = IntentEncoder(icvf.result(member), torch.zeros(CHAIN), torch.ones(CHAIN), torch.device("cpu"))
    intents = encoder(states)
    t, h = (torch.tensor(x) for x in zip(*[(t, h) for t in range(CHAIN) for h in range(1, 13) if t + h < CHAIN], strict=True))
    here, there = (states[x].expand(icvf.members, -1, -1) for x in (t, t + h))
    with torch.no_grad():
        values = icvf.value(here, there, there)[member].mean(0)
    distances = (intents[t] - intents[t + h]).norm(dim=1)
    return float(spearmanr(distances, h).statistic), float(spearmanr(-values, h).statistic)


def test_learning_makes_distance_and_value_follow_time() -> None:
    config = ICVFConfig(batch_size=64, width=16, learning_rate=1e-2, polyak=0.05, discount=0.9, layer_norm=False)
    config = replace(config, goal_current=0.1, goal_trajectory=0.8)
    sampler, states = bump_chain()
    icvf = ICVF(sampler, [0, 1], config)
    before = np.array([time_correlations(icvf, states, member) for member in range(2)])
    icvf.advance(400)
    after = np.array([time_correlations(icvf, states, member) for member in range(2)])
    assert (after[:, 0] > 0.4).all() and (after[:, 0] > before[:, 0] + 0.2).all(), (before, after)
    assert (after[:, 1] > 0.85).all() and (before[:, 1] < 0.4).all(), (before, after)
