"""What `ailot_ray.method` computes, faster: gradients written out by hand, Numba kernels, one-buffer Adam, fused Sinkhorn.

`ailot_ray.method.acceleration` decides where it is used; tests hold every part to the plain version. Nothing else imports it.
"""

from collections.abc import Callable
from typing import Any

from ailot_ray.method.acceleration import Update, fingerprint
from ailot_ray.method.fast.icvf import FastICVF
from ailot_ray.method.fast.iql import FastBehaviourCloning, FastIQL
from ailot_ray.method.fast.sinkhorn_cpu import look_ahead_cost, sinkhorn
from ailot_ray.method.icvf import ICVF, MultilinearValue
from ailot_ray.method.iql import IQL, Actor, BehaviourCloning, actor_loss, log_likelihood
from ailot_ray.method.networks import StackedLayerNorm, StackedLinear, StackedMLP

__all__ = ["look_ahead_cost", "sinkhorn", "update_of"]

WRITTEN_FOR = {"IQL": "7a1d545194351149", "BehaviourCloning": "4be8e779fe6ef93b", "ICVF": "44e313f9852e2c08"}
"""Fingerprints of the plain updates, losses and networks that the written-out ones repeat."""
_LAYERS = (StackedLinear.forward, StackedLayerNorm.forward, StackedMLP.forward)
_POLICY = (Actor.forward, Actor.log_likelihood, log_likelihood, *_LAYERS)


def repeated(kind: type[Any]) -> tuple[Callable[..., Any], ...]:
    """The functions of a learner's class that its written-out update repeats."""
    if issubclass(kind, IQL):
        losses = (kind.value_loss, kind.advantage_weights, kind.actor_loss, kind.critic_loss)
        return (kind.update, *losses, *_POLICY)
    if issubclass(kind, BehaviourCloning):
        return (kind.update, actor_loss, *_POLICY)
    return (kind.update, kind.loss, MultilinearValue.forward, *_LAYERS)


def update_of(learner: Any) -> tuple[Update | None, str]:
    """The written-out update of a learner; or None, with the reason where somebody may have expected one."""
    kind = type(learner)
    known: tuple[tuple[type[Any], Any], ...] = (
        (IQL, FastIQL),
        (BehaviourCloning, FastBehaviourCloning),
        (ICVF, FastICVF),
    )
    for base, update in known:
        if isinstance(learner, base):
            try:
                same = fingerprint(repeated(kind)) == WRITTEN_FOR[base.__name__]
            except (OSError, TypeError):  # made where there is no source to read
                same = False
            return (update(learner), "") if same else (None, "its update or a loss is not the one that method/fast/ repeats")
    return None, ""
