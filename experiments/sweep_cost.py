"""Do the details of the transport matter? The metric, epsilon, and what becomes of the expert before the agent's start.

    python experiments/sweep_cost.py --smoke
    python experiments/sweep_cost.py --task hopper-medium-replay-v2 --dry-run
    python experiments/sweep_cost.py --tasks hopper-medium-replay-v2 halfcheetah-medium-v2 --data-from DIR --rewards-only

One setting is changed at a time; the first trial is the method as it is.
"""

import sys

from ailot_ray import Config
from ailot_ray.cli.sweeping import sweep_main
from ailot_ray.cluster import Sweep

SWEEP = Sweep(
    name="cost",
    base=Config(task="hopper-medium-replay-v2"),
    cases=(
        {"transport.metric": "sqeuclidean"},
        {"transport.metric": "euclidean"},
        {"transport.metric": "cosine"},
        *({"transport.epsilon": epsilon} for epsilon in (0.001, 0.1, 1.0)),
        *({"transport.start": start} for start in ("mask", "none")),
    ),
)

if __name__ == "__main__":
    sys.exit(sweep_main(SWEEP))
