"""The one place that decides between what is written to be read and what is written to be fast.

The folder `method/fast/` has the same updates and the same Sinkhorn iteration, with gradients written out by hand and loops
compiled for one core. It may be deleted: everything then runs by autograd and plain torch, to the same results within rounding.
It is used for exactly the losses that it was written for: one that was changed, here or in a subclass, runs by autograd, and a
warning says so.
"""

import ast
import hashlib
import importlib
import inspect
import logging
import textwrap
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Protocol

from torch import Tensor

_LOGGER = logging.getLogger(__name__)


class Update(Protocol):
    """One gradient step of a learner, and the metrics of the last."""

    update: Callable[..., None]

    def metrics(self) -> dict[str, Tensor]: ...


def fast() -> ModuleType | None:
    """The folder `method/fast/`; None where it, or what it needs, is not there."""
    try:
        return importlib.import_module("ailot_ray.method.fast")
    except ModuleNotFoundError:
        return None


def written_out(learner: Any) -> Update | None:
    """The learner's update with its gradients written out; None where there is none, or its losses are others by now."""
    door = fast()
    if door is None:
        return None
    found, reason = door.update_of(learner)
    if reason:
        _LOGGER.warning("%s trains by autograd, at about two thirds of the speed: %s", type(learner).__name__, reason)
    update: Update | None = found
    return update


def fingerprint(functions: Sequence[Callable[..., Any]]) -> str:
    """A digest of what functions do: of their source, without comments and docstrings."""
    digest = hashlib.sha256()
    for function in functions:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
        digest.update(ast.unparse(tree).encode())
    return digest.hexdigest()[:16]
