"""Which α, τ and k together? A search by Optuna (tree-structured Parzen estimator) over the mean score of the seeds.

    python experiments/search.py --smoke
    python experiments/search.py --task hopper-medium-replay-v2 --samples 40 --scheduler asha
    python experiments/search.py --tasks locomotion                 # a study for each of nine tasks
    python experiments/search.py --tasks locomotion --over iqm      # one setting for all, by the interquartile mean

A second run goes on from the settings that are done. At most a third of a study's samples is under way at a time: Optuna learns
from what has ended. The alignments of a k that no trial has asked for yet are made by the first that does; others wait.
"""

import sys

from ailot_ray.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sweep", "search", *sys.argv[1:]]))
