"""What every learner here is: stacked members that advance by gradient steps and can be saved whole at any step.

A learner's whole future is a function of its `state()`: parameters, targets, optimiser moments, random generators and the
step. Restoring that state and advancing gives the same bytes as never having stopped, as long as `advance` is called with the
same chunk lengths; :mod:`ailot_ray.pipeline.fit` sees to that.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

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
    """Adam (Kingma and Ba, 2015) on one network of stacked members, by autograd and torch's own optimiser.

    Moments are saved under the parameters' names.
    """

    def __init__(self, network: nn.Module, rate: float) -> None:
        self.network, self.rate = network, rate
        self.adam = torch.optim.Adam(network.parameters(), lr=rate)
        for parameter in network.parameters():
            moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            self.adam.state[parameter] = {"step": torch.zeros(()), **moments}

    def minimise(self, loss: Tensor) -> None:
        """One step down the gradient of `loss`, (M,): members never mix, so that of the sum is that of each."""
        self.adam.zero_grad()
        loss.sum().backward()  # type: ignore[no-untyped-call]
        self.adam.param_groups[0]["lr"] = self.rate
        self.adam.step()

    def state(self) -> dict[str, Tensor]:
        named = dict(self.network.named_parameters())
        moments = {
            f"{name}:{key}": self.adam.state[parameter][key]
            for key in ("exp_avg", "exp_avg_sq")
            for name, parameter in named.items()
        }
        return {"step": self.adam.state[next(iter(named.values()))]["step"], **moments}

    def restore(self, state: dict[str, Tensor]) -> None:
        for name, value in self.state().items():
            value.copy_(state[name])
        for parameter in self.network.parameters():
            self.adam.state[parameter]["step"].copy_(state["step"])


def cosine_decay(rate: float, step: int, total: int) -> float:
    """rate · (1 + cos(π·step/total)) / 2."""
    return rate * 0.5 * (1.0 + math.cos(math.pi * min(step / total, 1.0)))


def pack_state(
    step: int, networks: Mapping[str, nn.Module], optimisers: Mapping[str, Any], generators: Sequence[torch.Generator]
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
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, Any],
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


@torch.no_grad()
def follow(target: nn.Module, online: nn.Module, rate: float) -> None:
    """Polyak averaging, target ← (1 − rate)·target + rate·online."""
    for slow, quick in zip(target.parameters(), online.parameters(), strict=True):
        slow.lerp_(quick, rate)
