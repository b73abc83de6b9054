"""Modules that are imported when they are first used, and which extra of the package brings one that is missing.

if TYPE_CHECKING:
    from ailot_ray import pipeline
else:
    pipeline = Lazy("ailot_ray.pipeline")
"""

import importlib
from types import ModuleType
from typing import Any

from ailot_ray.errors import AilotError

EXTRA_OF = {
    **dict.fromkeys(("h5py", "gymnasium", "mujoco", "gymnasium_robotics", "imageio", "OpenGL"), "d4rl"),
    **dict.fromkeys(("minari", "huggingface_hub"), "minari"),
    **dict.fromkeys(("ogbench", "dm_control"), "ogbench"),
    **dict.fromkeys(("ray", "optuna"), "ray"),
    **dict.fromkeys(("wandb", "tensorboard"), "trackers"),
    "matplotlib": "page",
    "ot": "pot",
}
"""The extra in pyproject.toml that installs a module which the core does without."""


class MissingExtraError(AilotError, ImportError):
    """A library that an extra of the package brings is not installed."""


def require(module: str) -> ModuleType:
    """Import a module. Raises MissingExtraError where it needs a library of an extra that is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA_OF:
            raise
        raise MissingExtraError(f"{missing} is not installed: run `pip install 'ailot-ray[{EXTRA_OF[missing]}]'`") from error


class Lazy(ModuleType):
    """Stands for the module of that name; the first use of any of its names imports it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(require(self.__name__), name)
