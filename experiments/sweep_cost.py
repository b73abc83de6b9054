"""Do the details of the transport matter? The metric, epsilon, and what becomes of the expert before the agent's start.

    python experiments/sweep_cost.py --smoke
    python experiments/sweep_cost.py --task hopper-medium-replay-v2 --dry-run
    python experiments/sweep_cost.py --tasks hopper-medium-replay-v2 halfcheetah-medium-v2 --data-from DIR --rewards-only

One setting is changed at a time; the first trial is the method as it is.
"""

import sys

from ailot_ray.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sweep", "cost", *sys.argv[1:]]))
