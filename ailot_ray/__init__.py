"""ailot_ray: offline imitation learning by optimal transport between intents, as an experiment platform.

    from ailot_ray import example_arrays, relabel_arrays, train_arrays

    states, actions, lengths, expert = example_arrays()         # or your own NumPy arrays
    rewards = relabel_arrays(states, lengths, [expert], "store")
    policy = train_arrays(states, actions, lengths, rewards, "store")

and, with an environment to play in:

    from ailot_ray import Config, Experiment, evaluate

    experiment = Experiment.open(Config(task="hopper-builtin", method="otr"), "store")
    scores = evaluate(experiment, seeds=[0, 1])    # pretrains, aligns, relabels and trains whatever is not in the store yet

The names below are imported when they are first used: importing the package loads neither torch nor a simulator, and neither
that nor opening an experiment changes anything global.
"""

from typing import TYPE_CHECKING, Any

from ailot_ray.lazy import require

if TYPE_CHECKING:
    from ailot_ray.config import Config, ICVFConfig, IQLConfig, RewardConfig, TransportConfig
    from ailot_ray.errors import AilotError
    from ailot_ray.methods import Method, register_learner, register_method
    from ailot_ray.pipeline import (
        Experiment,
        align,
        diagnose,
        evaluate,
        example_arrays,
        load_policy,
        load_rewards,
        pretrain,
        relabel,
        relabel_arrays,
        train,
        train_arrays,
    )
    from ailot_ray.report.results import collect
    from ailot_ray.store import Store
    from ailot_ray.tasks import Task, register_task

_HOME = {
    **{"AilotError": "errors", "Config": "config", "Store": "store", "collect": "report.results"},
    **{"Method": "methods", "register_method": "methods", "register_learner": "methods"},
    **{"Task": "tasks", "register_task": "tasks"},
    **dict.fromkeys(("Experiment", "pretrain", "align", "relabel", "train", "evaluate", "diagnose"), "pipeline"),
    **dict.fromkeys(("load_policy", "load_rewards", "example_arrays", "relabel_arrays", "train_arrays"), "pipeline"),
    **dict.fromkeys(("ICVFConfig", "IQLConfig", "RewardConfig", "TransportConfig"), "config"),
}
__all__ = [
    "AilotError",
    "Config",
    "Experiment",
    "ICVFConfig",
    "IQLConfig",
    "Method",
    "RewardConfig",
    "Store",
    "Task",
    "TransportConfig",
    "align",
    "collect",
    "diagnose",
    "evaluate",
    "example_arrays",
    "load_policy",
    "load_rewards",
    "pretrain",
    "register_learner",
    "register_method",
    "register_task",
    "relabel",
    "relabel_arrays",
    "train",
    "train_arrays",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(require(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
