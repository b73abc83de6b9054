"""Which α, τ and k together? A search by Optuna (tree-structured Parzen estimator) over the mean score of the seeds.

    python experiments/search.py --smoke
    python experiments/search.py --task hopper-medium-replay-v2 --samples 40 --scheduler asha

The alignments of a k that no trial has asked for yet are made by the first trial that does; others wait for them.
"""

import sys

from ailot_ray import Config
from ailot_ray.cli.sweeping import sweep_main
from ailot_ray.cluster import Range, Sweep

SWEEP = Sweep(
    name="search",
    base=Config(task="hopper-medium-replay-v2"),
    space={
        "reward.alpha": Range(0.5, 20.0, log=True),
        "reward.tau": Range(0.05, 5.0, log=True),
        "transport.k": (0, 1, 2, 5, 10),
    },
    seeds=(0, 1, 2),
    samples=30,
)

if __name__ == "__main__":
    sys.exit(sweep_main(SWEEP))
