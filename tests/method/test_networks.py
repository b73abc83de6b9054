import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ailot_ray.method.networks import StackedLayerNorm, StackedLinear, StackedMLP, initialise
from method.plain import randomise


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize(("members", "ensemble"), [(1, 1), (1, 2), (3, 1), (3, 2)])
@pytest.mark.parametrize("shared", [True, False])
def test_linear_is_torchs_of_each_member_and_part(members: int, ensemble: int, shared: bool) -> None:
    layer = StackedLinear(members, ensemble, 4, 3)
    randomise(layer, 0)
    x = torch.randn(members, 1 if shared else ensemble, 5, 4, generator=generators(1)[0])
    y = layer(x)
    assert y.shape == (members, ensemble, 5, 3)
    for m, e in itertools.product(range(members), range(ensemble)):
        expected = functional.linear(x[m, 0 if shared else e], layer.weight[m, e].T, layer.bias[m, e, 0])
        torch.testing.assert_close(y[m, e], expected)


def naive_mlp(
    network: StackedMLP, m: int, e: int, x: Tensor, activated: int, norm: bool, masks: Sequence[Tensor] = ()
) -> Tensor:
    for i, layer in enumerate(network.layers):
        assert isinstance(layer, StackedLinear)
        x = functional.linear(x, layer.weight[m, e].T, layer.bias[m, e, 0])
        if i < activated:
            x = functional.relu(x)
            if norm:
                gain = network.norms[i]
                assert isinstance(gain, StackedLayerNorm)
                x = functional.layer_norm(x, x.shape[-1:], gain.weight[m, e, 0], gain.bias[m, e, 0])
            if masks:
                x = x * masks[i][m, 0]
    return x


@pytest.mark.parametrize("activate_last", [True, False])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("dropout", [True, False])
def test_mlp_is_the_plain_one_of_each_member_and_part(activate_last: bool, norm: bool, dropout: bool) -> None:
    network = StackedMLP(2, 2, (4, 6, 7, 3), activate_last=activate_last, norm=norm)
    randomise(network, 0)
    x = torch.randn(2, 1, 5, 4, generator=generators(1)[0])
    masks = [torch.rand(2, 1, 5, width, generator=generators(width)[0]) for width in (6, 7, 3)] if dropout else []
    y = network(x, masks)
    for m, e in itertools.product(range(2), range(2)):
        expected = naive_mlp(network, m, e, x[m, 0], 3 if activate_last else 2, norm, masks)
        torch.testing.assert_close(y[m, e], expected)


def test_members_share_no_gradient() -> None:
    network = StackedMLP(3, 1, (4, 6, 2), norm=True)
    randomise(network, 0)
    network(torch.randn(3, 1, 5, 4, generator=generators(1)[0]))[1].square().sum().backward()
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert parameter.grad[0].eq(0).all() and parameter.grad[2].eq(0).all()
        assert parameter.grad[1].ne(0).any()


@pytest.mark.parametrize("shape", [(20, 20), (12, 30), (30, 12)])
def test_orthogonal_weights_have_gain_root_two(shape: tuple[int, int]) -> None:
    layer = StackedLinear(2, 2, *shape)
    initialise(layer, generators(0, 1), "orthogonal")
    for matrix in layer.weight.detach().flatten(0, 1):
        gram = matrix @ matrix.T if shape[0] <= shape[1] else matrix.T @ matrix
        torch.testing.assert_close(gram, 2.0 * torch.eye(len(gram)), atol=1e-5, rtol=0)
    assert layer.bias.eq(0).all()


def test_lecun_weights_have_variance_one_over_inputs() -> None:
    layer = StackedLinear(1, 2, 400, 250)
    initialise(layer, generators(0), "lecun")
    for matrix in layer.weight.detach()[0]:
        assert matrix.var().item() * 400 == pytest.approx(1.0, rel=0.03)
        assert abs(matrix.mean().item()) < 5 / (400 * 250 * 400) ** 0.5  # five standard errors
    assert not torch.equal(layer.weight[0, 0], layer.weight[0, 1])
    assert layer.bias.eq(0).all()


def test_fan_avg_weights_are_uniform_and_of_variance_two_over_inputs_and_outputs() -> None:
    layer = StackedLinear(1, 1, 400, 250)
    initialise(layer, generators(0), "fan_avg")
    bound = (6 / 650) ** 0.5
    assert layer.weight.abs().max().item() == pytest.approx(bound, rel=1e-3) and layer.bias.eq(0).all()
    assert layer.weight.var().item() == pytest.approx(2 / 650, rel=0.03), "a normal so cut would have another"


@pytest.mark.parametrize("scheme", ["orthogonal", "fan_avg", "lecun"])
def test_a_members_weights_depend_on_its_own_generator_only(scheme: str) -> None:
    def drawn(*seeds: int) -> list[Tensor]:
        network = StackedMLP(len(seeds), 2, (4, 6, 3))
        initialise(network, generators(*seeds), scheme)
        return [parameter.detach() for parameter in network.parameters()]

    together, first, second = drawn(1, 2), drawn(1), drawn(2)
    for both, one, two in zip(together, first, second, strict=True):
        assert torch.equal(both[0], one[0]) and torch.equal(both[1], two[0])
    assert not torch.equal(first[0], second[0])
