"""Does the height of the reward matter? α in α·exp(−τ·cost/s), with the domain's rescaling and without it.

    python experiments/sweep_alpha.py --smoke
    python experiments/sweep_alpha.py --task hopper-medium-replay-v2 --dry-run

Where rewards are rescaled by the spread of returns (locomotion), α cancels but for rounding: the sweep shows that, and what α
does where they are not.
"""

import sys

from ailot_ray.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sweep", "alpha", *sys.argv[1:]]))
