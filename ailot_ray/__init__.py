"""ailot_ray: offline imitation learning by optimal transport between intents, as an experiment platform.

    from ailot_ray import Config, Experiment, evaluate

    experiment = Experiment.open(Config(task="hopper-builtin", method="otr"), "store")
    scores = evaluate(experiment, seeds=[0, 1])    # pretrains, aligns, relabels and trains whatever is not in the store yet

The names below are imported when they are first used: importing the package loads neither torch nor a simulator, and neither
that nor opening an experiment changes anything global.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ailot_ray.config import Config
    from ailot_ray.errors import AilotError
    from ailot_ray.methods import Method, register_learner, register_method
    from ailot_ray.pipeline import (
        Experiment,
        align,
        diagnose,
        evaluate,
        load_policy,
        pretrain,
        relabel,
        relabel_arrays,
        train,
    )
    from ailot_ray.report.results import collect
    from ailot_ray.store import Store
    from ailot_ray.tasks import Task, register_task

_HOME = {
    **{"AilotError": "errors", "Config": "config", "Store": "store", "collect": "report.results"},
    **{"Method": "methods", "register_method": "methods", "register_learner": "methods"},
    **{"Task": "tasks", "register_task": "tasks"},
    **dict.fromkeys(("Experiment", "pretrain", "align", "relabel", "train", "evaluate", "diagnose"), "pipeline"),
    **dict.fromkeys(("load_policy", "relabel_arrays"), "pipeline"),
}
__all__ = [
    "AilotError",
    "Config",
    "Experiment",
    "Method",
    "Store",
    "Task",
    "align",
    "collect",
    "diagnose",
    "evaluate",
    "load_policy",
    "pretrain",
    "register_learner",
    "register_method",
    "register_task",
    "relabel",
    "relabel_arrays",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
