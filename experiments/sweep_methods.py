"""Is optimal transport needed at all? AILOT, OTR, SEABO, and the distance to the nearest expert pair in AILOT's own intents.

    python experiments/sweep_methods.py --smoke
    python experiments/sweep_methods.py --task hopper-medium-replay-v2 --dry-run
    python experiments/sweep_methods.py --tasks hopper-medium-replay-v2 antmaze-umaze-v0 --data-from DIR --rewards-only

The last case keeps intents, look-ahead, reward and scale of AILOT and drops the transport alone: no marginals, no plan.
"""

import sys

from ailot_ray import Config
from ailot_ray.cli.sweeping import sweep_main
from ailot_ray.cluster import Sweep

SWEEP = Sweep(
    name="methods",
    base=Config(task="hopper-medium-replay-v2"),
    cases=(
        {"method": "ailot"},
        {"method": "ailot", "transport.solver": "nearest"},
        {"method": "otr"},
        {"method": "seabo"},
        {"method": "iql"},
        {"method": "bc"},
    ),
)

if __name__ == "__main__":
    sys.exit(sweep_main(SWEEP))
