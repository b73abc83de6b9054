"""Colours of all plots: Okabe and Ito's palette, which colour-blind readers can tell apart."""

METHODS = {"ailot": "#0072B2", "otr": "#E69F00", "seabo": "#009E73", "bc": "#CC79A7", "iql": "#D55E00"}
OTHER = "#56B4E9"
GREY = "#555555"
CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#999933")
