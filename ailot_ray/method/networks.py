"""Stacked networks: M independent members (seeds, reward variants) advance in one call.

Every parameter carries the members on its leading axis, and an ensemble of E on the next: a weight is (M, E, in, out), a
batch (M, B, in). Members never mix: member m of the output depends on member m of the parameters and the input alone, so
one member's gradient is what it would be on its own.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """y[m, e] = x[m, e] · W[m, e] + b[m, e] for x (M, E, B, in) or (M, 1, B, in), giving (M, E, B, out)."""

    def __init__(self, members: int, ensemble: int, size_in: int, size_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, ensemble, size_in, size_out))
        self.bias = nn.Parameter(torch.zeros(members, ensemble, 1, size_out))

    def forward(self, x: Tensor) -> Tensor:
        members, ensemble, size_in, size_out = self.weight.shape
        if members * ensemble == 1:  # a plain matrix product is faster than a batched one of size 1
            return torch.addmm(self.bias.view(size_out), x.reshape(-1, size_in), self.weight.view(size_in, size_out)).view(
                1, 1, -1, size_out
            )
        batch = x.shape[-2]
        x = x.expand(members, ensemble, batch, size_in).reshape(members * ensemble, batch, size_in)
        weight, bias = self.weight.view(members * ensemble, size_in, size_out), self.bias.view(members * ensemble, 1, size_out)
        return torch.baddbmm(bias, x, weight).view(members, ensemble, batch, size_out)


class StackedLayerNorm(nn.Module):
    """LayerNorm over the last axis with a gain and an offset for each member and ensemble part."""

    def __init__(self, members: int, ensemble: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, ensemble, 1, size))
        self.bias = nn.Parameter(torch.zeros(members, ensemble, 1, size))

    def forward(self, x: Tensor) -> Tensor:
        normalised = nn.functional.layer_norm(x, x.shape[-1:])
        return torch.addcmul(self.bias, normalised, self.weight)


class StackedMLP(nn.Module):
    """Fully connected ReLU networks, (M, E or 1, B, in) to (M, E, B, out); with `norm`, LayerNorm follows each activation.

    `activate_last` puts activation (and norm) after the last layer too, as ICVF's φ, ψ and T have it.
    """

    def __init__(
        self, members: int, ensemble: int, sizes: Sequence[int], *, activate_last: bool = False, norm: bool = False
    ) -> None:
        super().__init__()
        layers = [StackedLinear(members, ensemble, a, b) for a, b in itertools.pairwise(sizes)]
        self.layers = nn.ModuleList(layers)
        self.activated = len(layers) if activate_last else len(layers) - 1
        self.norms = nn.ModuleList(StackedLayerNorm(members, ensemble, size) for size in sizes[1 : self.activated + 1] if norm)

    def forward(self, x: Tensor, dropout_masks: Sequence[Tensor] = ()) -> Tensor:
        """`dropout_masks`: one mask (M, 1, B, width), already divided by the keep probability, for each hidden layer."""
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i < self.activated:
                x = torch.relu(x)
                if self.norms:
                    x = self.norms[i](x)
                if dropout_masks:
                    x = x * dropout_masks[i]
        return x


def initialise(network: nn.Module, generators: Sequence[torch.Generator], scheme: str) -> None:
    """Draw every StackedLinear's weights, member m from `generators[m]` alone (on the CPU); biases stay zero.

    `scheme` is ``orthogonal`` (gain √2: IQL's networks), ``fan_avg`` (uniform in ±√(6 / (in + out)): ICVF's φ, ψ and T) or
    ``lecun`` (normal of variance 1/in, flax's default: ICVF's A and B).
    """
    for layer in network.modules():
        if not isinstance(layer, StackedLinear):
            continue
        for member, generator in zip(layer.weight.detach(), generators, strict=True):
            for matrix in member:
                drawn = torch.empty(matrix.shape)
                if scheme == "orthogonal":
                    nn.init.orthogonal_(drawn, gain=math.sqrt(2.0), generator=generator)
                elif scheme == "fan_avg":
                    nn.init.xavier_uniform_(drawn, generator=generator)
                else:
                    nn.init.normal_(drawn, std=1.0 / math.sqrt(matrix.shape[0]), generator=generator)
                matrix.copy_(drawn)
