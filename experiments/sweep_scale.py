"""What is the scale s in α·exp(−τ·cost/s) for? Wide τ with s = 1 and with s = the dataset's median cost, on two domains.

    python experiments/sweep_scale.py --smoke
    python experiments/sweep_scale.py --tasks antmaze-umaze-v0 hopper-medium-replay-v2 --data-from DIR --rewards-only

Without a scale, τ means what the encoder's units make of it: the same τ collapses the rewards of one task (all near 0) and
saturates another's (all near α). --rewards-only shows where both begin; `results` plots the rest.
"""

import sys

from ailot_ray.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sweep", "scale", *sys.argv[1:]]))
