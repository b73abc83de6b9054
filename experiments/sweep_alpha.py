"""Does the height of the reward matter? α in α·exp(−τ·cost/s), with the domain's rescaling and without it.

    python experiments/sweep_alpha.py --smoke
    python experiments/sweep_alpha.py --task hopper-medium-replay-v2 --dry-run

Where rewards are rescaled by the spread of returns (locomotion), α cancels but for rounding: the sweep shows that, and what α
does where they are not.
"""

import sys

from ailot_ray import Config
from ailot_ray.cli.sweeping import sweep_main
from ailot_ray.cluster import Sweep

SWEEP = Sweep(
    name="alpha",
    base=Config(task="hopper-medium-replay-v2"),
    grid={"reward.alpha": (1.0, 2.5, 5.0, 10.0), "reward.rescale": (True, False)},
    seeds=(0, 1, 2, 3, 4),
)

if __name__ == "__main__":
    sys.exit(sweep_main(SWEEP, smoke={"reward.alpha": (1.0, 5.0), "reward.rescale": (False,)}))
