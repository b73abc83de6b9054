"""How sharp should the reward be? τ in α·exp(−τ·cost/s): too low saturates, too high collapses.

    python experiments/sweep_tau.py --smoke
    python experiments/sweep_tau.py --task hopper-medium-replay-v2 --seeds 0 1 2 3 4 --dry-run
    python experiments/sweep_tau.py --tasks locomotion antmaze adroit --dry-run --prices spot=0.30
    python experiments/sweep_tau.py --address auto --gpus-per-worker 0.25

Every τ shares the pretrainings and alignments of its seeds: only rewards and policies are made anew.
"""

import sys

from ailot_ray.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sweep", "tau", *sys.argv[1:]]))
