"""ailot_ray: offline imitation learning by optimal transport between intents, as an experiment platform.

    from ailot_ray import Config, Experiment, evaluate

    experiment = Experiment.open(Config(task="hopper-builtin"), "store")
    scores = evaluate(experiment, [0])             # pretrains, aligns, relabels and learns whatever is not in the store yet

The names below are imported when they are first used: importing the package loads neither torch nor a simulator.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ailot_ray.config import Config
    from ailot_ray.errors import AilotError
    from ailot_ray.pipeline import Experiment, align, evaluate, pretrain, relabel, train
    from ailot_ray.report.results import collect
    from ailot_ray.store import Store

_HOME = {
    "AilotError": "errors",
    "Config": "config",
    "Store": "store",
    "Experiment": "pipeline",
    "align": "pipeline",
    "collect": "report.results",
    "evaluate": "pipeline",
    "train": "pipeline",
    "pretrain": "pipeline",
    "relabel": "pipeline",
}
__all__ = ["AilotError", "Config", "Experiment", "Store", "align", "collect", "evaluate", "pretrain", "relabel", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
