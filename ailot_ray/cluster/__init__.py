"""Ray: the only rooms that import it. These names are imported when first used: a command line starts without Ray."""

from typing import TYPE_CHECKING, Any

from ailot_ray.lazy import require

if TYPE_CHECKING:
    from ailot_ray.cluster.doctor import examine
    from ailot_ray.cluster.launch import make_all
    from ailot_ray.cluster.options import ClusterOptions
    from ailot_ray.cluster.planning import plan
    from ailot_ray.cluster.relabel import relabel_by_actors
    from ailot_ray.cluster.session import connected, object_store_bytes
    from ailot_ray.cluster.sweep import Range, Sweep
    from ailot_ray.cluster.train import fit_by_train
    from ailot_ray.cluster.tuning import run_sweep

_HOME = {
    "Range": "sweep",
    "ClusterOptions": "options",
    "Sweep": "sweep",
    "connected": "session",
    "examine": "doctor",
    "fit_by_train": "train",
    "make_all": "launch",
    "object_store_bytes": "session",
    "plan": "planning",
    "relabel_by_actors": "relabel",
    "run_sweep": "tuning",
}
__all__ = [
    "ClusterOptions",
    "Range",
    "Sweep",
    "connected",
    "examine",
    "fit_by_train",
    "make_all",
    "object_store_bytes",
    "plan",
    "relabel_by_actors",
    "run_sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(require(f"{__name__}.{_HOME[name]}"), name)
