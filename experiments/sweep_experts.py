"""How good must the expert be, and how many? Return levels of one expert, numbers of the best, and an expert from another file.

    python experiments/sweep_experts.py --smoke
    python experiments/sweep_experts.py --task hopper-medium-replay-v2 --dry-run
    python experiments/sweep_experts.py --task hopper-medium-v2 --expert hopper-expert-demos.hdf5

An expert at quantile 0.5 is the trajectory of median return. With --expert FILE its trajectories are the experts of all trials.
"""

import sys

from ailot_ray import Config
from ailot_ray.cli.sweeping import sweep_main
from ailot_ray.cluster import Sweep

SWEEP = Sweep(
    name="experts",
    base=Config(task="hopper-medium-replay-v2"),
    cases=(
        *({"expert_quantile": quantile} for quantile in (1.0, 0.9, 0.75, 0.5)),
        *({"experts": number} for number in (2, 5, 10)),
    ),
)

if __name__ == "__main__":
    sys.exit(sweep_main(SWEEP))
