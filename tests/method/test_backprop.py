from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from ailot_ray.method.fast import backprop
from ailot_ray.method.fast.activations import CompiledActivation, TorchActivation
from ailot_ray.method.fast.adam import OneBufferAdam
from ailot_ray.method.networks import StackedMLP
from method.plain import backward, randomise


@pytest.mark.parametrize("activation", [CompiledActivation, TorchActivation])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("activate_last", [True, False])
@pytest.mark.parametrize("dropout", [True, False])
def test_a_pass_is_what_autograd_gives(
    activation: type[CompiledActivation] | type[TorchActivation],
    norm: bool,
    activate_last: bool,
    dropout: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The compiled activations of a CPU and torch's, which a GPU runs; outputs, gradients of parameters and of the input."""
    monkeypatch.setattr(backprop, "CompiledActivation", activation)
    network = StackedMLP(2, 2, (4, 6, 7, 3), activate_last=activate_last, norm=norm).double()
    randomise(network, 0)
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, slope = normal(2, 1, 5, 4).requires_grad_(), normal(2, 2, 5, 3)
    widths = (6, 7, 3) if activate_last else (6, 7)
    masks: Sequence[Tensor] = [(normal(2, 1, 5, w) > 0).double() / 0.5 for w in widths] if dropout else []
    expected = network(x, masks)
    backward((expected * slope).sum())
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}

    OneBufferAdam(network, 0.1)
    assert x.grad is not None
    with torch.no_grad():
        given = backprop.MLPPass(network, x.detach())
        for _ in range(2):  # a second time into the same buffers
            torch.testing.assert_close(given.forward(masks), expected.detach())
            given.y_gradient.copy_(slope)
            torch.testing.assert_close(given.backward(into_input=True).sum(1, keepdim=True), x.grad)
            for name, parameter in network.named_parameters():
                torch.testing.assert_close(parameter.grad, gradients[name], msg=name)


@pytest.mark.parametrize("activation", [CompiledActivation, TorchActivation])
@pytest.mark.parametrize("norm", [True, False])
def test_a_number_that_is_none_gets_through(
    activation: type[CompiledActivation] | type[TorchActivation], norm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that diverges must not look sound because an activation made 0 of it."""
    monkeypatch.setattr(backprop, "CompiledActivation", activation)
    network = StackedMLP(1, 1, (4, 6, 3), norm=norm)
    randomise(network, 0)
    with torch.no_grad():
        given = backprop.MLPPass(network, torch.full((1, 1, 5, 4), torch.nan), learns=False)
        assert given.forward().isnan().all()


def test_a_pass_leaves_networks_alone_that_do_not_learn() -> None:
    network = StackedMLP(1, 2, (4, 6, 3), norm=True).requires_grad_(False)
    with torch.no_grad():
        backprop.MLPPass(network, torch.zeros(1, 1, 5, 4), learns=False).forward()
    assert all(parameter.grad is None for parameter in network.parameters())
