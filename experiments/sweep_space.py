"""What does ICVF contribute? The same alignment on raw states, standardised states, untrained intents and trained intents.

    python experiments/sweep_space.py --smoke
    python experiments/sweep_space.py --task halfcheetah-medium-v2 --dry-run
    python experiments/sweep_space.py --tasks hopper-medium-replay-v2 halfcheetah-medium-v2 --data-from DIR --rewards-only

Untrained intents are the encoder before its first gradient step: a random feature map of standardised states with LayerNorm.
"""

import sys

from ailot_ray.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sweep", "space", *sys.argv[1:]]))
