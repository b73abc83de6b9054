"""What methods are called and which colour they have: the table of methods, and a name and a grey for those it lacks.

Other colours are Okabe and Ito's palette, which colour-blind readers can tell apart.
"""

from ailot_ray.methods import method_table

DATASET = "dataset"
"""Stands as a method where a line is about the dataset itself."""
OTHER = "#56B4E9"
GREY = "#555555"
CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#999933")


def label_of(method: str) -> str:
    """What reports call a method; its own name where no plug-in that is loaded has it."""
    if method == DATASET:
        return "dataset mean"
    return method_table()[method].label if method in method_table() else method


def colour_of(method: str) -> str:
    """Its colour, as ``#RRGGBB``."""
    return method_table()[method].colour if method in method_table() else OTHER


def rank_of(method: str) -> tuple[int, str]:
    """A sort key: the dataset, the methods in the order of their table, then the others by name."""
    order = [DATASET, *method_table()]
    return order.index(method) if method in order else len(order), method
