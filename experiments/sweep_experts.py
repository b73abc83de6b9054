"""How good must the expert be, and how many? Return levels of one expert, numbers of the best, and an expert from another file.

    python experiments/sweep_experts.py --smoke
    python experiments/sweep_experts.py --task hopper-medium-replay-v2 --dry-run
    python experiments/sweep_experts.py --task hopper-medium-v2 --expert hopper-expert-demos.hdf5

An expert at quantile 0.5 is the trajectory of median return. With --expert FILE its trajectories are the experts of all trials.
"""

import sys

from ailot_ray.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sweep", "experts", *sys.argv[1:]]))
