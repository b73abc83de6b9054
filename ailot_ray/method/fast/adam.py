"""One-buffer Adam: a step is one kernel, whatever the number of parameters."""

import torch
from torch import Tensor, nn


class OneBufferAdam:
    """Adam on one network, with torch's fused kernel on CPU and CUDA; state as :class:`ailot_ray.method.learner.Adam` has it.

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
        # what torch.optim.Adam(fused=True) calls, whose own work is a twentieth of a training step; no public name does less
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
