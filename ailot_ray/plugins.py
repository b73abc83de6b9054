"""Modules outside of this package that add methods, tasks and learners to its tables.

A plug-in is a module that calls :func:`ailot_ray.methods.register_method`, :func:`ailot_ray.tasks.register_task` or
:func:`ailot_ray.methods.register_learner` when it is imported. It is named by the entry points of an installed package
(group ``ailot_ray.plugins``), or by the environment variable AILOT_RAY_PLUGINS: dotted names, or paths of ``.py`` files,
separated by commas. Ray's workers load the same ones.
"""

import functools
import importlib
import importlib.util
import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

from ailot_ray.errors import ConfigError, one_line

VARIABLE, GROUP = "AILOT_RAY_PLUGINS", "ailot_ray.plugins"


def load_plugins() -> None:
    """Import every plug-in that is not imported yet. Raises ConfigError naming the one that cannot be imported."""
    _load_all(os.environ.get(VARIABLE, ""))


@functools.cache
def _load_all(variable: str) -> None:
    """Those that installed packages name, then those of the environment variable, each once."""
    for name in dict.fromkeys([*_installed(), *(name.strip() for name in variable.split(",") if name.strip())]):
        _load(name)


@functools.cache
def _installed() -> tuple[str, ...]:
    return tuple(point.value for point in entry_points(group=GROUP))


@functools.cache
def _load(name: str) -> None:
    try:
        if name.endswith(".py"):
            _import_file(Path(name))
        else:
            importlib.import_module(name)
    except Exception as error:  # whatever a foreign module may raise
        raise ConfigError(f"plug-in {name} (see {VARIABLE}) cannot be imported: {one_line(error)}") from error


def _import_file(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # pickles and dataclasses look their module up
    spec.loader.exec_module(module)
