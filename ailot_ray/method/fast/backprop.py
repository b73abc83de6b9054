"""Forward and backward passes of stacked networks, written out: no graph is recorded, and activations keep their buffers.

A pass belongs to one network and one input buffer. `forward` reads the buffer as it then is and keeps the activations;
`backward` turns the gradient of the output into those of the parameters (``parameter.grad`` is overwritten) and, where asked,
of the input. For a layer y = x·W + b these are

    ∂L/∂W = xᵀ·∂L/∂y,      ∂L/∂b = Σ_batch ∂L/∂y,      ∂L/∂x = ∂L/∂y·Wᵀ

Autograd is the oracle of the tests. A training step of 256-wide networks is bound by its matrix products; this keeps what
surrounds them small. Call everything under `torch.no_grad()`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ailot_ray.method.fast.activations import CompiledActivation, TorchActivation
from ailot_ray.method.networks import StackedLayerNorm, StackedLinear, StackedMLP


class LinearPass:
    """A :class:`StackedLinear` on one buffer `x`, (M, E, B, in) or, for all parts of the ensemble, (M, 1, B, in)."""

    def __init__(self, layer: StackedLinear, x: Tensor, learns: bool = True) -> None:
        """A pass that does not learn has no `backward`."""
        members, ensemble, _, size_out = layer.weight.shape
        self.shared = x.expand(members, ensemble, *x.shape[-2:])
        # On a CPU one product after the other: a batched one is no faster, and would round by its company. On a GPU one launch.
        stacked = x.device.type == "cuda" and members * ensemble > 1
        # several members' shared inputs cannot be read as one stack without a copy
        self.x = torch.empty_like(self.shared, memory_format=torch.contiguous_format) if stacked else self.shared
        self.y = x.new_empty(members, ensemble, x.shape[-2], size_out)
        """The output, (M, E, B, out)."""
        weight, self.bias = layer.weight.detach(), layer.bias.detach()
        self._multiply = torch.bmm if stacked else torch.mm

        def matrices(tensor: Tensor) -> Sequence[Tensor]:
            flat = [part for member in tensor for part in member]
            return [tensor.view(members * ensemble, *tensor.shape[2:])] if stacked else flat

        self._forward = list(zip(matrices(self.x), matrices(weight), matrices(self.y), strict=True))
        if not learns:
            return
        self.y_gradient, self.x_gradient = torch.zeros_like(self.y), x.new_empty(self.shared.shape)
        """∂L/∂y, filled before `backward`, and ∂L/∂x, (M, E, B, in)."""
        weight_gradient, self.bias_gradient = gradient_of(layer.weight), gradient_of(layer.bias)
        x_t, weight_t = self.x.transpose(-1, -2), weight.transpose(-1, -2)
        self._weights = list(zip(matrices(x_t), matrices(self.y_gradient), matrices(weight_gradient), strict=True))
        self._inputs = list(zip(matrices(self.y_gradient), matrices(weight_t), matrices(self.x_gradient), strict=True))

    def multiply(self) -> Tensor:
        """x·W"""
        if self.x is not self.shared:
            self.x.copy_(self.shared)
        for x, weight, y in self._forward:
            self._multiply(x, weight, out=y)
        return self.y

    def forward(self) -> Tensor:
        """x·W + b"""
        return self.multiply().add_(self.bias)

    def sum_bias(self) -> None:
        """The gradient of b."""
        torch.sum(self.y_gradient, -2, keepdim=True, out=self.bias_gradient)

    def backward(self, into_input: bool = True) -> Tensor:
        """The gradients of W and, where asked, of x."""
        for x_t, gradient, weight_gradient in self._weights:
            self._multiply(x_t, gradient, out=weight_gradient)
        if into_input:
            for gradient, weight_t, x_gradient in self._inputs:
                self._multiply(gradient, weight_t, out=x_gradient)
        return self.x_gradient


class MLPPass:
    """A :class:`StackedMLP` on one buffer of inputs."""

    def __init__(self, network: StackedMLP, x: Tensor, learns: bool = True) -> None:
        self.layers: list[LinearPass] = []
        self.activations: list[TorchActivation | CompiledActivation] = []
        activation = CompiledActivation if x.device.type == "cpu" else TorchActivation
        for i, layer in enumerate(network.layers):
            assert isinstance(layer, StackedLinear)
            self.layers.append(LinearPass(layer, x, learns))
            x = self.layers[-1].y
            if i < network.activated:
                norm = network.norms[i] if network.norms else None
                assert norm is None or isinstance(norm, StackedLayerNorm)
                self.activations.append(activation(self.layers[-1], norm, learns))
                x = self.activations[-1].y
        self.y = x
        """The output, (M, E, B, out)."""
        if learns:
            ends_linear = len(self.activations) < len(self.layers)
            self.y_gradient = self.layers[-1].y_gradient if ends_linear else torch.zeros_like(x)
            """∂L/∂y, filled before `backward`."""

    def forward(self, dropout_masks: Sequence[Tensor] = ()) -> Tensor:
        """`dropout_masks` as :meth:`StackedMLP.forward` has them."""
        self.masks = dropout_masks
        for i, layer in enumerate(self.layers):
            if i == len(self.activations):
                layer.forward()
                break
            layer.multiply()
            self.activations[i].forward()
            if dropout_masks:
                self.activations[i].y.mul_(dropout_masks[i])
        return self.y

    def backward(self, into_input: bool = False) -> Tensor:
        """From `y_gradient` to the parameters' gradients; returns ∂L/∂x (M, E, B, in), where `into_input`."""
        gradient = self.y_gradient
        for i in reversed(range(len(self.layers))):
            layer = self.layers[i]
            if i == len(self.activations):
                layer.sum_bias()
            else:
                if self.masks:  # where a mask made the output of relu 0, the gradient is 0 already
                    gradient.mul_(self.masks[i])
                self.activations[i].backward(gradient)
            gradient = layer.backward(into_input or i > 0)
        return gradient


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """``parameter.grad``, the buffer that its optimiser made."""
    assert parameter.grad is not None
    return parameter.grad
