"""The stages: each turns artefacts into an artefact, or reads back the one that is there.

    pretrain ─► intents       align ─► alignment       relabel ─► rewards       train ─► policies       evaluate ─► scores
                                                       relabel ─► diagnose ─► diagnostics

A stage is a loop around `method/` and nothing more; it knows no Ray, so it runs in a test, a notebook or a worker alike. Every
one can be killed at any moment: called again, it goes on from its last checkpoint or part and ends in the same bytes.

    collect.py ─► a file in D4RL's schema: episodes of policies, for tasks that have no dataset yet
"""

from collections.abc import Callable, Sequence

from ailot_ray.pipeline.align import align
from ailot_ray.pipeline.arrays import example_arrays, relabel_arrays, train_arrays
from ailot_ray.pipeline.diagnose import diagnose
from ailot_ray.pipeline.evaluate import evaluate, load_policy, record_policy, reopen, score_snapshot
from ailot_ray.pipeline.experiment import Experiment
from ailot_ray.pipeline.pretrain import pretrain
from ailot_ray.pipeline.relabel import load_report, load_rewards, load_shares, relabel
from ailot_ray.pipeline.train import train
from ailot_ray.stages import Verb
from ailot_ray.store import Artefact

__all__ = [
    "Experiment",
    "align",
    "diagnose",
    "evaluate",
    "example_arrays",
    "load_policy",
    "load_report",
    "load_rewards",
    "load_shares",
    "pretrain",
    "record_policy",
    "relabel",
    "relabel_arrays",
    "reopen",
    "run_stage",
    "score_snapshot",
    "train",
    "train_arrays",
]

_RUN: dict[Verb, Callable[[Experiment, Sequence[int]], list[Artefact]]] = {
    "pretrain": pretrain,
    "align": align,
    "relabel": relabel,
    "train": train,
    "evaluate": evaluate,
    "diagnose": diagnose,
}


def run_stage(verb: Verb, experiment: Experiment, seeds: Sequence[int]) -> list[Artefact]:
    """The stage of that verb, with all that it needs: one artefact a seed. Raises what the stage raises."""
    return _RUN[verb](experiment, seeds)
