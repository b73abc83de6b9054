"""Modules that are imported when they are first used, so that help and errors of the command line do not wait for torch.

if TYPE_CHECKING:
    from ailot_ray import pipeline
else:
    pipeline = Lazy("ailot_ray.pipeline")
"""

import importlib
from types import ModuleType
from typing import Any


class Lazy(ModuleType):
    """Stands for the module of that name; the first use of any of its names imports it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)
