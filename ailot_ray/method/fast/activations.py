"""What stands between two matrix products of a hidden layer: bias, ReLU and LayerNorm, forward and backward.

    h = max(x·W + b, 0),      y = (h − mean(h))/std(h) · gain + offset      (y = h without a norm)

In plain torch, which a GPU runs, and compiled by Numba for a CPU, where a row is read once, while it is in the nearest cache.
Both are held to autograd by the tests.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numba
import numpy as np
import torch
from torch import Tensor

from ailot_ray.method.networks import StackedLayerNorm

EPSILON = 1e-5
"""Added to the variance, as torch has it."""


class Layer(Protocol):
    """What an activation needs of its linear layer; gradients only where it learns."""

    y: Tensor
    """The product x·W, (M, E, B, out), which an activation overwrites by h."""
    bias: Tensor
    y_gradient: Tensor
    """∂L/∂(x·W), filled by `backward`."""
    bias_gradient: Tensor


class TorchActivation:
    """An activation in torch's operations."""

    def __init__(self, layer: Layer, norm: StackedLayerNorm | None, learns: bool) -> None:
        self.layer, self.norm = layer, norm
        self.y = layer.y if norm is None else torch.empty_like(layer.y)

    def forward(self) -> None:
        h = self.layer.y.add_(self.layer.bias).relu_()
        if self.norm is not None:
            self.normalised, self.mean, self.inverse_std = torch.native_layer_norm(h, h.shape[-1:], None, None, EPSILON)
            torch.addcmul(self.norm.bias, self.normalised, self.norm.weight, out=self.y)

    def backward(self, gradient: Tensor) -> None:
        """From ∂L/∂y to the gradients of the layer's product, its bias, and the norm's gain and offset."""
        layer, norm = self.layer, self.norm
        if norm is not None:
            assert norm.weight.grad is not None and norm.bias.grad is not None
            torch.sum(gradient, -2, keepdim=True, out=norm.bias.grad)
            torch.sum(gradient * self.normalised, -2, keepdim=True, out=norm.weight.grad)
            # no public name gives the backward pass of a layer norm without recording a graph
            gradient = torch.ops.aten.native_layer_norm_backward(
                gradient * norm.weight,
                layer.y,
                layer.y.shape[-1:],
                self.mean,
                self.inverse_std,
                None,
                None,
                [True, False, False],
            )[0]
        # no public name gives relu's backward pass into a buffer
        torch.ops.aten.threshold_backward.grad_input(gradient, layer.y, 0.0, grad_input=layer.y_gradient)
        torch.sum(layer.y_gradient, -2, keepdim=True, out=layer.bias_gradient)


class CompiledActivation:
    """The same on a CPU, by the loops below."""

    def __init__(self, layer: Layer, norm: StackedLayerNorm | None, learns: bool) -> None:
        self.layer, self.norm = layer, norm
        self.y = layer.y if norm is None else torch.empty_like(layer.y)
        members, ensemble, batch, _ = layer.y.shape
        forward: list[Tensor] = [layer.y, layer.bias[..., 0, :]]
        backward: list[Tensor] = [layer.y, layer.y_gradient, layer.bias_gradient[..., 0, :]] if learns else []
        if norm is not None:
            gain, offset = norm.weight.detach(), norm.bias.detach()
            statistics = layer.y.new_empty(members, ensemble, batch, 2)
            forward += [gain[..., 0, :], offset[..., 0, :], statistics, self.y]
            if learns:
                assert norm.weight.grad is not None and norm.bias.grad is not None
                backward += [gain[..., 0, :], statistics, norm.weight.grad[..., 0, :], norm.bias.grad[..., 0, :]]
        self._forward, self._backward = _arrays(forward), _arrays(backward)
        self._gradient: Tensor | None = None
        self._slopes: list[Any] = []

    def forward(self) -> None:
        for arrays in self._forward:
            if self.norm is None:
                _relu(*arrays)
            else:
                _relu_norm(*arrays)

    def backward(self, gradient: Tensor) -> None:
        """As in :class:`TorchActivation`."""
        if gradient is not self._gradient:  # it is one and the same buffer, as long as the pass lives
            self._gradient, self._slopes = gradient, [arrays[0] for arrays in _arrays([gradient])]
        for slope, arrays in zip(self._slopes, self._backward, strict=True):
            if self.norm is None:
                _relu_backward(slope, *arrays)
            else:
                _relu_norm_backward(slope, *arrays)


def _arrays(tensors: Sequence[Tensor]) -> list[list[Any]]:
    """NumPy views of the tensors' matrices (or vectors), one list for each member and part of the ensemble."""
    if not tensors:
        return []
    members, ensemble = tensors[0].shape[:2]
    return [[tensor[m, e].numpy() for tensor in tensors] for m in range(members) for e in range(ensemble)]


# Written so that NaN passes through (NaN < 0 is False): a loss that diverges must stay visible.


@numba.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _relu(y, bias):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            h = y[i, j] + bias[j]
            y[i, j] = y.dtype.type(0.0) if h < 0 else h


@numba.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _relu_backward(slope, y, y_gradient, bias_gradient):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    bias_gradient[:] = 0
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            gradient = y.dtype.type(0.0) if y[i, j] <= 0 else slope[i, j]
            y_gradient[i, j] = gradient
            bias_gradient[j] += gradient


@numba.njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _relu_norm(x, bias, gain, offset, statistics, y):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n, size = x.shape
    real = x.dtype.type
    for i in range(n):
        total = real(0.0)
        for j in range(size):
            h = x[i, j] + bias[j]
            h = real(0.0) if h < 0 else h
            x[i, j] = h
            total += h
        mean = total / real(size)
        total = real(0.0)
        for j in range(size):
            total += (x[i, j] - mean) * (x[i, j] - mean)
        inverse = real(1.0) / real(np.sqrt(total / real(size) + real(EPSILON)))
        statistics[i, 0], statistics[i, 1] = mean, inverse
        for j in range(size):
            y[i, j] = (x[i, j] - mean) * inverse * gain[j] + offset[j]


@numba.njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _relu_norm_backward(  # type: ignore[no-untyped-def]  # noqa: ANN202
    slope,  # noqa: ANN001
    x,  # noqa: ANN001
    x_gradient,  # noqa: ANN001
    bias_gradient,  # noqa: ANN001
    gain,  # noqa: ANN001
    statistics,  # noqa: ANN001
    gain_gradient,  # noqa: ANN001
    offset_gradient,  # noqa: ANN001
):
    n, size = x.shape
    real = x.dtype.type
    bias_gradient[:] = 0
    gain_gradient[:] = 0
    offset_gradient[:] = 0
    for i in range(n):
        mean, inverse = statistics[i, 0], statistics[i, 1]
        total = product = real(0.0)
        for j in range(size):
            normalised = (x[i, j] - mean) * inverse
            gain_gradient[j] += slope[i, j] * normalised
            offset_gradient[j] += slope[i, j]
            total += slope[i, j] * gain[j]
            product += slope[i, j] * gain[j] * normalised
        total /= real(size)
        product /= real(size)
        for j in range(size):
            normalised = (x[i, j] - mean) * inverse
            gradient = inverse * (slope[i, j] * gain[j] - total - normalised * product)
            gradient = real(0.0) if x[i, j] <= 0 else gradient
            x_gradient[i, j] = gradient
            bias_gradient[j] += gradient
