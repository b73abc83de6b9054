"""Parameters of stacked networks taken apart, for oracles that are written without stacking."""

from typing import Any

import torch
from torch import Tensor, nn

Parameters = dict[str, Tensor]


def randomise(network: nn.Module, seed: int, scale: float = 0.7) -> None:
    """Normal draws in every parameter, biases and gains too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))


def part_of(network: nn.Module, member: int, part: int = 0) -> Parameters:
    """One member's parameters of one ensemble part, as leaves of their own; an actor's log-std has no parts."""
    return {
        name: (value[member] if name == "log_std" else value[member, part]).detach().clone().requires_grad_()
        for name, value in network.named_parameters()
    }


def backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def assert_same_gradients(network: nn.Module, parts: list[Parameters], member: int, rtol: float, atol: float) -> None:
    """That a member's gradients, part by part, are those of the leaves."""
    for part, parameters in enumerate(parts):
        for name, parameter in network.named_parameters():
            expected = parameters[name].grad
            assert parameter.grad is not None and expected is not None
            found = parameter.grad[member] if name == "log_std" else parameter.grad[member, part]
            torch.testing.assert_close(found, expected, rtol=rtol, atol=atol, msg=f"gradients of {name} differ")


def take_step(learner: Any, *arguments: Any) -> None:
    """One update of a learner, by the path that it has taken."""
    (learner.written_out or learner).update(*arguments)
