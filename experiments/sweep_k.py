"""Does look-ahead help? Pairs of intents k steps apart against single intents (k = 0): scores, cost, and order in time.

    python experiments/sweep_k.py --smoke
    python experiments/sweep_k.py --data-dir /data --dry-run
    python experiments/sweep_k.py --tasks halfcheetah-medium-v2 hopper-medium-v2 --data-from DIR --rewards-only

Each k is an alignment of its own on the intents of its seed; the second term of the cost is the first, shifted, so a larger k
takes no longer. --rewards-only shows how well each k keeps the order of time, without training a policy.
"""

import sys

from ailot_ray.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sweep", "k", *sys.argv[1:]]))
