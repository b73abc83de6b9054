import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailot_ray.method.fast.adam import OneBufferAdam
from ailot_ray.method.learner import Adam, cosine_decay, load_members, pack_state, seeded, take_member, unpack_state
from ailot_ray.method.networks import StackedLinear, StackedMLP, initialise
from method.plain import backward


def network(seed: int = 0, members: int = 2) -> StackedMLP:
    made = StackedMLP(members, 2, (3, 4, 1), norm=True)
    initialise(made, [torch.Generator().manual_seed(seed + m) for m in range(members)], "lecun")
    return made


Optimiser = type[Adam] | type[OneBufferAdam]
both = pytest.mark.parametrize("optimiser", [Adam, OneBufferAdam])


def minimise(adams: Sequence[Adam | OneBufferAdam], *losses: Tensor) -> None:
    for adam, loss in zip(adams, losses, strict=True):
        if isinstance(adam, Adam):
            adam.minimise(loss)
        else:
            adam.gradients.zero_()
            backward(loss)
            adam.descend()


def test_seeded_streams_depend_on_seed_and_purpose() -> None:
    draws = {
        (seed, purpose): torch.randint(2**62, (4,), generator=seeded(seed, purpose))
        for seed in range(20)
        for purpose in range(20)
    }
    assert len({tuple(draw.tolist()) for draw in draws.values()}) == 400
    assert torch.equal(draws[3, 2], torch.randint(2**62, (4,), generator=seeded(3, 2)))


@both
def test_adam_is_kingma_and_bas(optimiser: Optimiser) -> None:
    layer, other = StackedLinear(1, 1, 3, 2), StackedLinear(1, 1, 1, 1)
    for part in (layer, other):
        initialise(part, [seeded(0, 0)], "lecun")
    adams = optimiser(layer, 0.1), optimiser(other, 0.1)
    adams[1].rate = 0.01
    rates = (0.1, 0.1, 0.01, 0.01)
    parameters = [*layer.parameters(), *other.parameters()]
    values: list[NDArray[np.float64]] = [p.detach().double().numpy() for p in parameters]
    first = [np.zeros_like(v) for v in values]
    second = [np.zeros_like(v) for v in values]
    for t in range(1, 6):
        minimise(adams, *(torch.stack([(p - 1.0).pow(4).sum() for p in part.parameters()]).sum() for part in (layer, other)))
        for i, rate in enumerate(rates):
            gradient = 4 * (values[i] - 1.0) ** 3
            first[i] = 0.9 * first[i] + 0.1 * gradient
            second[i] = 0.999 * second[i] + 0.001 * gradient**2
            values[i] = values[i] - rate * (first[i] / (1 - 0.9**t)) / (np.sqrt(second[i] / (1 - 0.999**t)) + 1e-8)
    for parameter, value in zip(parameters, values, strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-4, atol=1e-5)


def test_cosine_decay() -> None:
    assert cosine_decay(0.4, 0, 100) == 0.4
    assert cosine_decay(0.4, 50, 100) == pytest.approx(0.2)
    assert cosine_decay(0.4, 25, 100) == pytest.approx(0.2 * (1 + math.sqrt(0.5)))
    assert cosine_decay(0.4, 100, 100) == cosine_decay(0.4, 130, 100) == 0.0


@both
def test_state_round_trip_keeps_every_part(optimiser: Optimiser) -> None:
    def parts(seed: int) -> tuple[StackedMLP, Adam | OneBufferAdam, list[torch.Generator]]:
        online = network(seed)
        return online, optimiser(online, 0.01), [seeded(seed, 5)]

    def go_on(online: StackedMLP, adam: Adam | OneBufferAdam, streams: list[torch.Generator]) -> None:
        for _ in range(3):
            minimise([adam], online(torch.randn(2, 1, 5, 3, generator=streams[0])).square().sum())

    mine, yours = parts(0), parts(9)
    go_on(*mine)
    packed = {name: value.clone() for name, value in pack_state(3, {"n": mine[0]}, {"o": mine[1]}, mine[2]).items()}
    assert unpack_state(packed, {"n": yours[0]}, {"o": yours[1]}, yours[2]) == 3
    go_on(*mine)
    go_on(*yours)
    ours = pack_state(6, {"n": mine[0]}, {"o": mine[1]}, mine[2])
    theirs = pack_state(6, {"n": yours[0]}, {"o": yours[1]}, yours[2])
    assert ours.keys() == theirs.keys() == packed.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert any(not torch.equal(ours[name], packed[name]) for name in ours)


def test_a_state_of_other_parts_is_refused() -> None:
    online = network()
    state = pack_state(1, {"n": online}, {}, [])
    with pytest.raises(RuntimeError, match="size mismatch"):
        unpack_state(state, {"n": network(members=3)}, {}, [])
    with pytest.raises(KeyError, match="generator"):
        unpack_state(state, {"n": online}, {}, [seeded(0, 0)])


def test_members_taken_apart_and_put_together() -> None:
    stacked, other = network(0, members=3), network(5, members=2)
    load_members(other, [take_member(stacked, 2), take_member(stacked, 0)])
    x = torch.randn(3, 1, 4, 3)
    torch.testing.assert_close(other(x[[2, 0]]), stacked(x)[[2, 0]])
    taken = take_member(stacked, 1)
    with torch.no_grad():
        stacked.layers[0].get_parameter("weight").zero_()
    assert taken["layers.0.weight"].ne(0).all()  # a copy, not a view
