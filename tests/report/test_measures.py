"""The picture of measures: what it shows of which trial, and what it leaves out."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ailot_ray.report.figures.measures import plot_measures

TRIALS = [
    ("k=0", {"rank": [0.2, 0.4], "same": [0.5, 0.5], "distance": [], "collapsed": [0.0, 0.1], "none": []}),
    ("k=2", {"rank": [0.8], "same": [0.5, 0.5], "distance": [0.1], "collapsed": [0.5], "none": []}),
]


def drawn(axis: Axes, marker: str) -> list[NDArray[np.float64]]:
    """What each line of this marker shows, (n, 2)."""
    return [np.asarray(line.get_xydata()) for line in axis.lines if line.get_marker() == marker]


def test_a_panel_for_each_measure_that_tells_trials_apart(tmp_path: Path) -> None:
    figure = plot_measures(TRIALS, tmp_path / "measures.png", frozenset({"collapsed"}))
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["rank", "distance", "collapsed"]
    rank, distance, collapsed = figure.axes
    assert [label.get_text() for label in rank.get_yticklabels()] == ["k=0", "k=2"]
    means = np.concatenate(drawn(rank, "|"))
    np.testing.assert_allclose(means, [[0.3, 0], [0.8, -1]], err_msg="from above, in the order of the trials")
    assert [len(points) for points in drawn(rank, "o")] == [2, 1]
    assert len(distance.lines) == 2, "k = 0 has no distance"
    assert collapsed.xaxis.get_major_formatter()(0.5) == "50%"
    assert (tmp_path / "measures.png").stat().st_size > 1000


def test_a_single_trial_is_shown_whole(tmp_path: Path) -> None:
    figure = plot_measures(TRIALS[:1], tmp_path / "measures.png")
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["rank", "same", "collapsed"]
