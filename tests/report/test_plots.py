"""The plots: what is drawn where, and that the files are whole."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ailot_ray.errors import StoreError
from ailot_ray.mazes import MAZES
from ailot_ray.report.figures.canvas import tips, to_svg
from ailot_ray.report.figures.histograms import plot_histograms
from ailot_ray.report.figures.maps import plot_rewards_on_maze
from ailot_ray.report.figures.measures import plot_measures
from ailot_ray.report.figures.overview import plot_learning_curves, plot_scores
from ailot_ray.report.grouping import group
from ailot_ray.report.page.browser import EXPLAIN, Page
from ailot_ray.report.record import load_trials
from ailot_ray.report.results import collect
from ailot_ray.report.tables import NOTHING_YET

from .conftest import WriteTrial


def assert_drawn(path: Path) -> None:
    """The file is a PNG with something on it, and nothing else was left beside it."""
    pixels = image.imread(path)
    assert min(pixels.shape[:2]) > 200
    assert pixels[..., :3].std() > 0.05
    assert not [entry for entry in path.parent.iterdir() if entry.name.endswith(".tmp")]


def labels(figure: Figure) -> list[str]:
    [legend] = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def assert_fits(figure: Figure) -> None:
    """Panels and legend are within the figure, and do not overlap."""
    [legend] = figure.legends
    boxes = [axis.get_tightbbox() for axis in figure.axes] + [legend.get_window_extent()]
    for i, box in enumerate(boxes):
        assert box is not None
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert not any(other is not None and box.padded(-1).overlaps(other) for other in boxes[i + 1 :])


def dashed(axis: Axes) -> list[list[float]]:
    return [list(np.asarray(line.get_ydata(), float)) for line in axis.lines if line.get_linestyle() == "--"]


def test_learning_curves(store: Path, tmp_path: Path) -> None:
    figure = plot_learning_curves(group(load_trials(store)), tmp_path / "new" / "curves.png")
    assert_drawn(tmp_path / "new" / "curves.png")
    assert_fits(figure)
    hopper, walker = figure.axes
    # A line a configuration and the dataset's; a band a configuration.
    assert (len(hopper.lines), len(hopper.collections)) == (7, 6)
    assert (len(walker.lines), len(walker.collections)) == (3, 2)
    assert dashed(hopper) == [[38.25, 38.25]]
    assert dashed(walker) == [[62.0, 62.0]]
    names = ["BC", "OTR", "SEABO", "AILOT reward.tau=0.1", "AILOT reward.tau=0.5", "AILOT", "IQL (true rewards)"]
    assert labels(figure) == [*names, "± standard deviation over seeds", "dataset mean"]
    colours = [line.get_color() for line in hopper.lines if line.get_linestyle() != "--"]
    assert len(set(colours)) == 6
    assert [text.get_text() for text in hopper.texts] == ["hopper-medium-v2"]
    assert "not D4RL's own file" in hopper.get_title(loc="left")
    assert "not D4RL's own file" not in walker.get_title(loc="left")


def test_a_curve_is_the_mean_over_seeds_with_their_deviation(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial("bc", 0, {100: [0.0, 2.0], 200: [10.0]})
    write_trial("bc", 1, {100: [5.0], 200: [16.0]})
    [axis] = plot_learning_curves(group(load_trials(tmp_path / "store")), tmp_path / "curves.png").axes
    [line] = [line for line in axis.lines if line.get_linestyle() != "--"]
    np.testing.assert_allclose(np.asarray(line.get_xydata()), [[100, 3.0], [200, 13.0]])
    [band] = axis.collections
    [outline] = band.get_paths()
    heights = np.asarray(outline.vertices)[:, 1]
    np.testing.assert_allclose([heights.min(), heights.max()], [3 - np.sqrt(8), 13 + np.sqrt(18)])


def test_a_seed_watched_twice_counts_once(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial("ailot", 0, {1000: [10.0]}, evaluation__curve_episodes=0)
    write_trial("ailot", 0, {500: [4.0], 1000: [10.0]}, evaluation__curve_episodes=1)
    write_trial("ailot", 1, {1000: [40.0]}, evaluation__curve_episodes=0)
    figure = plot_learning_curves(group(load_trials(tmp_path / "store")), tmp_path / "curves.png")
    curve = next(line for line in figure.axes[0].lines if line.get_linestyle() != "--")
    assert np.asarray(curve.get_xydata()).tolist() == [[500.0, 4.0], [1000.0, 25.0]]


def test_variants_of_one_configuration_are_named_by_what_sets_them_apart(tmp_path: Path, write_trial: WriteTrial) -> None:
    usual = {"reward__tau": 0.5, "transport__k": 2, "transport__metric": "cosine"}
    for variant in ({}, {"reward__tau": 5.0}, {"transport__k": 0}, {"transport__metric": "euclidean"}):
        write_trial("ailot", **(usual | variant))
    figure = plot_scores(group(load_trials(tmp_path / "store")), tmp_path / "scores.png")
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["AILOT", "AILOT\ntransport.k=0", "AILOT\ntransport.metric=euclidean", "AILOT\nreward.tau=5"]
    said = "AILOT unless its line says otherwise: reward.tau=0.5 transport.k=2 transport.metric=cosine"
    assert labels(figure)[-1].replace("\n", " ") == said
    assert_fits(figure)


def test_a_curve_of_one_snapshot_is_a_point(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_trial("ailot", 0, {1000: [3.0]}, mean_score=None)
    figure = plot_learning_curves(group(load_trials(tmp_path / "store")), tmp_path / "curves.png")
    assert_drawn(tmp_path / "curves.png")
    [line] = figure.axes[0].lines
    assert line.get_marker() == "o"
    assert labels(figure) == ["AILOT"]


def test_scores(store: Path, tmp_path: Path) -> None:
    figure = plot_scores(group(load_trials(store)), tmp_path / "scores.png")
    assert_drawn(tmp_path / "scores.png")
    assert_fits(figure)
    hopper, walker = figure.axes
    ticks = ["BC", "OTR", "SEABO", "AILOT\nreward.tau=0.1", "AILOT\nreward.tau=0.5", "IQL (true rewards)"]
    assert [tick.get_text() for tick in hopper.get_yticklabels()] == ticks
    assert [tick.get_text() for tick in walker.get_yticklabels()] == ["BC", "AILOT"]
    by_seed = collect(store).filter(collect(store)["method"].to_numpy() == "otr").column("score").to_pylist()
    told = [text for dots in hopper.collections for text in tips(dots) if text.startswith("OTR, seed")]
    assert told == [f"OTR, seed {seed}: {score:.1f}" for seed, score in enumerate(by_seed)]
    drawn = np.concatenate([np.asarray(dots.get_offsets()) for dots in hopper.collections if "OTR, seed 0" in str(tips(dots))])
    assert sorted(x for x, y in drawn if y == 1) == pytest.approx(sorted(by_seed))
    mean = np.asarray(hopper.collections[0].get_paths()[1].vertices)[:, 0]
    np.testing.assert_allclose(mean, np.mean(by_seed))


@pytest.mark.filterwarnings("error")  # matplotlib's, of axes that collapsed
def test_long_settings_leave_room_for_what_is_drawn(tmp_path: Path, write_trial: WriteTrial) -> None:
    swept = ("transport__space", "transport__metric", "transport__start", "expert", "reward__scale", "icvf__standardise")
    for value in ("one", "other"):
        write_trial("ailot", 0, {500: [1.0], 1000: [3.0]}, **dict.fromkeys(swept, value))
    store = tmp_path / "store"
    for figure in (
        plot_learning_curves(group(load_trials(store)), tmp_path / "a.png"),
        plot_scores(group(load_trials(store)), tmp_path / "b.png"),
    ):
        assert_fits(figure)
        [axis] = figure.axes
        assert axis.get_window_extent().width > figure.bbox.width / 2


def test_histograms(tmp_path: Path) -> None:
    arrays = {"reward.tau=0.1": np.full(100, 0.995), "reward.tau=5": np.repeat([0.0, 0.5], [75, 25])}
    figure = plot_histograms(arrays, 0.02, tmp_path / "histograms.png")
    assert_drawn(tmp_path / "histograms.png")
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["reward.tau=0.1\ncollapsed 0.0 %, saturated 100.0 %", "reward.tau=5\ncollapsed 75.0 %, saturated 0.0 %"]
    for axis, peak in zip(figure.axes, (1.0, 0.75), strict=True):
        assert [line.get_xdata()[0] for line in axis.lines] == pytest.approx([0.02, 0.98])  # type: ignore[index]
        heights = [patch.get_height() for patch in axis.patches]  # type: ignore[attr-defined]
        assert (sum(heights), max(heights)) == pytest.approx((1.0, peak))
    none: list[dict[str, list[float]]] = [{"a": []}, {}]
    for nothing in none:
        with pytest.raises(ValueError, match="one reward or more"):
            plot_histograms(nothing, 0.02, tmp_path / "nothing.png")


def test_an_empty_store_and_a_bad_place_are_one_line(tmp_path: Path, store: Path) -> None:
    with pytest.raises(StoreError) as caught:
        plot_learning_curves(group(load_trials(tmp_path / "none")), tmp_path / "curves.png")
    assert str(caught.value) == NOTHING_YET
    with pytest.raises(StoreError):
        plot_scores(group(load_trials(tmp_path / "none")), tmp_path / "scores.png")
    assert not list(tmp_path.glob("*.png"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*scores\.png"):
        plot_scores(group(load_trials(store)), tmp_path / "file" / "scores.png")


@pytest.mark.parametrize("name", [r"$\badcmd$", "$x^2$", "a\x01b"])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_are_drawn_as_they_are(name: str, tmp_path: Path, write_trial: WriteTrial) -> None:
    """Else a formula in a file's name ends a run in a traceback after all of its training."""
    for i in range(16):
        values = {"expert__of": name * (i % 4), "plugin__k": name * (i // 4 % 4)}
        write_trial(name, 0, {1000: [float(i)]}, source=f"/data/{name}.hdf5", **values)
    page = Page(load_trials(tmp_path / "store"))
    figures = [page.figure(view, page.choice(view)) for view in EXPLAIN]
    figures += [plot_learning_curves(group(page.runs), tmp_path / "1.png"), plot_scores(group(page.runs), tmp_path / "2.png")]
    figures += [plot_histograms({name: [0.5, 0.1]}, 0.02, tmp_path / "3.png")]
    figures += [plot_measures([(name, {name: [1.0]}), ("b", {name: [2.0]})], tmp_path / "4.png")]
    maze, places = MAZES["AntMaze-umaze"], np.array([[0, 0], [4, 0], [4, 4]], np.float32)
    rewards, offsets = np.arange(3, dtype=np.float32), np.array([0, 3])
    figures += [plot_rewards_on_maze(maze, places, rewards, offsets, [places], tmp_path / "5.png", name)]
    for figure in figures:
        assert name.replace("\x01", "�") in "".join(ElementTree.fromstring(to_svg(figure, "one")).itertext())
