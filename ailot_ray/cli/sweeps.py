"""The named sweeps: which settings each asks about, and of which task. `python -m ailot_ray sweep NAME` runs one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ailot_ray.cluster.sweep import Range, Sweep
from ailot_ray.config import Config, EvaluationConfig, ICVFConfig, IQLConfig

SMOKE = Config(
    task="hopper-builtin",
    icvf=ICVFConfig(steps=500),
    iql=IQLConfig(steps=1000, snapshots=4),
    evaluation=EvaluationConfig(episodes=3, curve_episodes=1),
)
"""Settings of `--smoke`: the built-in data, minutes on 2 cores. Enough to see a sweep run, too little to learn anything."""


@dataclass(frozen=True)
class Question:
    """A named sweep."""

    text: str
    sweep: Sweep
    smoke: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """The smaller grid of `--smoke`."""


QUESTIONS: dict[str, Question] = {
    question.sweep.name: question
    for question in (
        Question(
            "Does the height of the reward matter?",
            Sweep(
                name="alpha",
                base=Config(task="hopper-medium-replay-v2"),
                grid={"reward.alpha": (1.0, 2.5, 5.0, 10.0), "reward.rescale": (True, False)},
                seeds=(0, 1, 2, 3, 4),
            ),
            {"reward.alpha": (1.0, 5.0), "reward.rescale": (False,)},
        ),
        Question(
            "Do the details of the transport matter?",
            Sweep(
                name="cost",
                base=Config(task="hopper-medium-replay-v2"),
                cases=(
                    {"transport.metric": "sqeuclidean"},
                    {"transport.metric": "euclidean"},
                    {"transport.metric": "cosine"},
                    *({"transport.epsilon": epsilon} for epsilon in (0.001, 0.1, 1.0)),
                    *({"transport.start": start} for start in ("mask", "none")),
                ),
            ),
            {},
        ),
        Question(
            "How good must the expert be, and how many?",
            Sweep(
                name="experts",
                base=Config(task="hopper-medium-replay-v2"),
                cases=(
                    *({"expert_quantile": quantile} for quantile in (1.0, 0.9, 0.75, 0.5)),
                    *({"experts": number} for number in (2, 5, 10)),
                ),
            ),
            {},
        ),
        Question(
            "Does look-ahead help?",
            Sweep(
                name="k",
                base=Config(task="halfcheetah-medium-v2"),
                grid={"task": ("halfcheetah-medium-v2", "walker2d-medium-v2"), "transport.k": (0, 1, 2, 5, 10)},
                seeds=(0, 1, 2, 3, 4),
            ),
            {"transport.k": (0, 2)},
        ),
        Question(
            "Is optimal transport needed at all?",
            Sweep(
                name="methods",
                base=Config(task="hopper-medium-replay-v2"),
                cases=(
                    {"method": "ailot"},
                    {"method": "ailot", "transport.solver": "nearest"},
                    *({"method": method} for method in ("otr", "segment", "seabo", "rnd", "iql", "bc", "bc10", "bc10-ailot")),
                ),
            ),
            {},
        ),
        Question(
            "What is the scale s in α·exp(−τ·cost/s) for?",
            Sweep(
                name="scale",
                base=Config(task="antmaze-large-diverse-v0"),
                grid={
                    "task": ("antmaze-large-diverse-v0", "hopper-medium-replay-v2"),
                    "reward.scale": ("median", "none"),
                    "reward.tau": (0.01, 0.1, 0.5, 1.0, 5.0, 20.0),
                },
            ),
            {"reward.scale": ("median", "none"), "reward.tau": (0.1, 0.5)},
        ),
        Question(
            "What does ICVF contribute?",
            Sweep(
                name="space",
                base=Config(task="hopper-medium-replay-v2"),
                cases=(
                    {"transport.space": "raw"},
                    {"transport.space": "standardised"},
                    {"transport.space": "intent", "icvf.steps": 0},
                    {"transport.space": "intent"},
                ),
            ),
            {},
        ),
        Question(
            "How sharp should the reward be?",
            Sweep(
                name="tau",
                base=Config(task="hopper-medium-replay-v2"),
                grid={"reward.tau": (0.1, 0.25, 0.5, 1.0, 2.0)},
                seeds=(0, 1, 2, 3, 4),
            ),
            {"reward.tau": (0.1, 0.5, 2.0)},
        ),
        Question(
            "Which α, τ and k together?",
            Sweep(
                name="search",
                base=Config(task="hopper-medium-replay-v2"),
                space={
                    "reward.alpha": Range(0.5, 20.0, log=True),
                    "reward.tau": Range(0.05, 5.0, log=True),
                    "transport.k": (0, 1, 2, 5, 10),
                },
                seeds=(0, 1, 2),
                samples=30,
            ),
            {},
        ),
    )
}
"""By name, in the order of the help."""
