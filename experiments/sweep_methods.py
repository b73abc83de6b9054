"""Is optimal transport needed at all? AILOT, OTR, SEABO, and the distance to the nearest expert pair in AILOT's own intents.

    python experiments/sweep_methods.py --smoke
    python experiments/sweep_methods.py --task hopper-medium-replay-v2 --dry-run
    python experiments/sweep_methods.py --tasks hopper-medium-replay-v2 antmaze-umaze-v0 --data-from DIR --rewards-only

The last case keeps intents, look-ahead, reward and scale of AILOT and drops the transport alone: no marginals, no plan.
"""

import sys

from ailot_ray.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sweep", "methods", *sys.argv[1:]]))
