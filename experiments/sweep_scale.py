"""What is the scale s in α·exp(−τ·cost/s) for? Wide τ with s = 1 and with s = the dataset's median cost, on two domains.

    python experiments/sweep_scale.py --smoke
    python experiments/sweep_scale.py --tasks antmaze-umaze-v0 hopper-medium-replay-v2 --data-from DIR --rewards-only

Without a scale, τ means what the encoder's units make of it: the same τ collapses the rewards of one task (all near 0) and
saturates another's (all near α). --rewards-only shows where both begin; `results` plots the rest.
"""

import sys

from ailot_ray import Config
from ailot_ray.cli.sweeping import sweep_main
from ailot_ray.cluster import Sweep

SWEEP = Sweep(
    name="scale",
    base=Config(task="antmaze-large-diverse-v0"),
    grid={
        "task": ("antmaze-large-diverse-v0", "hopper-medium-replay-v2"),
        "reward.scale": ("median", "none"),
        "reward.tau": (0.01, 0.1, 0.5, 1.0, 5.0, 20.0),
    },
)

if __name__ == "__main__":
    sys.exit(sweep_main(SWEEP, smoke={"reward.scale": ("median", "none"), "reward.tau": (0.1, 0.5)}))
