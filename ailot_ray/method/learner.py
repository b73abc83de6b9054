"""What every learner here is: stacked members that advance by gradient steps and can be saved whole at any step.

A learner's whole future is a function of its `state()`: parameters, targets, optimiser moments, random generators and the
step. Restoring that state and advancing gives the same bytes as never having stopped, as long as `advance` is called with the
same chunk lengths; :mod:`ailot_ray.pipeline.fit` sees to that.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn


class Learner(Protocol):
    """M members trained side by side."""

    members: int
    step: int

    def advance(self, steps: int) -> dict[str, Tensor]:
        """Take `steps` gradient steps and return metrics of the last, each (M,)."""

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on, as flat named tensors."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over a state given by `state()` of a learner with the same configuration."""

    def result(self, member: int) -> dict[str, Tensor]:
        """The parameters of one member that later stages use, without the member axis, on the CPU."""


def seeded(seed: int, purpose: int) -> torch.Generator:
    """A CPU generator for one member and one purpose; streams of different purposes do not overlap in practice."""
    return torch.Generator().manual_seed((seed * 1_000_003 + purpose) % 2**63)


class Adam:
    """Adam (Kingma and Ba, 2015) on one network, with torch's fused kernel on CPU and CUDA.

    The network's parameters, and their gradients, become views of one buffer, so that a step is one kernel; whatever keeps
    parameters by reference must be made after the optimiser. Moments are exported under the parameters' names.
    """

    def __init__(self, network: nn.Module, rate: float) -> None:
        self.network, self.rate = network, rate
        self.parameters = into_one_buffer(network)
        self.gradients, self.first, self.second = (torch.zeros_like(self.parameters) for _ in range(3))
        self.step = torch.zeros((), device=self.parameters.device)
        for parameter, gradient in zip(network.parameters(), self._views(self.gradients).values(), strict=True):
            parameter.grad = gradient

    def descend(self) -> None:
        """One step down ``parameter.grad``."""
        self.step += 1
        # what torch.optim.Adam(fused=True) calls, whose own work would be a twentieth of a training step
        torch.ops.aten._fused_adam_(
            [self.parameters],
            [self.gradients],
            [self.first],
            [self.second],
            [],
            [self.step],
            lr=self.rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def _views(self, buffer: Tensor) -> dict[str, Tensor]:
        named = dict(self.network.named_parameters())
        parts = torch.split(buffer, [parameter.numel() for parameter in named.values()])
        return {name: part.view(named[name].shape) for name, part in zip(named, parts, strict=True)}

    def state(self) -> dict[str, Tensor]:
        moments = {"exp_avg": self.first, "exp_avg_sq": self.second}
        named = {f"{name}:{key}": view for key, buffer in moments.items() for name, view in self._views(buffer).items()}
        return {"step": self.step, **named}

    def restore(self, state: dict[str, Tensor]) -> None:
        for name, value in self.state().items():
            value.copy_(state[name])


def into_one_buffer(network: nn.Module) -> Tensor:
    """Make the parameters of a network views of one buffer, which is returned."""
    parameters = list(network.parameters())
    buffer = torch.cat([parameter.detach().flatten() for parameter in parameters])
    for parameter, part in zip(parameters, torch.split(buffer, [parameter.numel() for parameter in parameters]), strict=True):
        parameter.data = part.view(parameter.shape)
    return buffer


def cosine_decay(rate: float, step: int, total: int) -> float:
    """rate · (1 + cos(π·step/total)) / 2."""
    return rate * 0.5 * (1.0 + math.cos(math.pi * min(step / total, 1.0)))


def pack_state(
    step: int, networks: dict[str, nn.Module], optimisers: dict[str, Adam], generators: Sequence[torch.Generator]
) -> dict[str, Tensor]:
    """Collect a learner's parts into one flat dictionary of tensors."""
    state = {"step": torch.tensor(step)}
    for prefix, network in networks.items():
        state |= {f"network.{prefix}.{name}": value.detach() for name, value in network.state_dict().items()}
    for prefix, optimiser in optimisers.items():
        state |= {f"optimiser.{prefix}.{name}": value for name, value in optimiser.state().items()}
    for i, generator in enumerate(generators):
        state[f"generator.{i}"] = generator.get_state()
    return state


def unpack_state(
    state: dict[str, Tensor],
    networks: dict[str, nn.Module],
    optimisers: dict[str, Adam],
    generators: Sequence[torch.Generator],
) -> int:
    """Put the parts of `pack_state` back where they belong; returns the step."""

    def below(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

    for prefix, network in networks.items():
        network.load_state_dict(below(f"network.{prefix}."))
    for prefix, optimiser in optimisers.items():
        optimiser.restore(below(f"optimiser.{prefix}."))
    for i, generator in enumerate(generators):
        generator.set_state(state[f"generator.{i}"])
    return int(state["step"])


def take_member(network: nn.Module, member: int) -> dict[str, Tensor]:
    """One member's parameters, without the member axis, on the CPU."""
    return {name: value[member].detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}


def load_members(network: nn.Module, members: Sequence[dict[str, Tensor]]) -> None:
    """Fill a stacked network with members saved by `take_member`."""
    network.load_state_dict({name: torch.stack([member[name] for member in members]) for name in members[0]})
