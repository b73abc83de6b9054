"""Does look-ahead help? Pairs of intents k steps apart against single intents (k = 0): scores, cost, and order in time.

    python experiments/sweep_k.py --smoke
    python experiments/sweep_k.py --data-dir /data --dry-run
    python experiments/sweep_k.py --tasks halfcheetah-medium-v2 hopper-medium-v2 --data-from DIR --rewards-only

Each k is an alignment of its own on the intents of its seed; the second term of the cost is the first, shifted, so a larger k
takes no longer. --rewards-only shows how well each k keeps the order of time, without training a policy.
"""

import sys

from ailot_ray import Config
from ailot_ray.cli.sweeping import sweep_main
from ailot_ray.cluster import Sweep

SWEEP = Sweep(
    name="k",
    base=Config(task="halfcheetah-medium-v2"),
    grid={"task": ("halfcheetah-medium-v2", "walker2d-medium-v2"), "transport.k": (0, 1, 2, 5, 10)},
    seeds=(0, 1, 2, 3, 4),
)

if __name__ == "__main__":
    sys.exit(sweep_main(SWEEP, smoke={"transport.k": (0, 2)}))
