"""What all figures share: one style, panels in a grid, a legend below, hover texts, and the files they are written to."""

import io
import math
import re
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from ailot_ray.files import replacing
from ailot_ray.report.figures.series import Panel
from ailot_ray.report.look import DATASET, GREY, label_of

LEGEND_WIDTH = 75
"""Most characters of a line of the legend."""
_DPI = 130
_SVG = "http://www.w3.org/2000/svg"
_TIP = "tip¦"
_NOT_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Signs that a name may hold and an SVG may not."""
_OPTIONS = threading.Lock()
"""Matplotlib's options are the process's: one figure at a time."""
ElementTree.register_namespace("", _SVG)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def empty(width: float, height: float) -> Figure:
    """A figure of these inches that can be drawn without a display."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def grid(panels: int, height: float, columns: int = 3, width: float = 3.9) -> tuple[Figure, list[Axes]]:
    """A figure with a place for each panel, `width` by `height` inches each."""
    columns = max(1, min(columns, panels))
    lines = math.ceil(panels / columns)
    # A single narrow panel would leave no room for the legend.
    figure = empty(max(width * columns, 5.6), height * lines + 0.4)
    axes = [figure.add_subplot(lines, columns, i + 1) for i in range(panels)]
    for axis in axes:
        plain(axis)
    return figure, axes


def plain(axis: Axes) -> None:
    """The style of every panel."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8)


def titles(axes: Sequence[Axes], panels: Sequence[Panel]) -> None:
    """Task and file above each panel, and what sets its scores apart; then a line is left in all, so that they stand level."""
    noted = any(panel.note for panel in panels)
    for axis, panel in zip(axes, panels, strict=True):
        # D4RL's AntMaze names are longer than a panel is wide.
        data = panel.data if len(panel.data) <= 40 else f"{panel.data[:18]}…{panel.data[-21:]}"
        lines = f"{data} ({panel.data_digest[:8]})" + (f"\n{panel.note}" if noted else "")
        axis.set_title(lines, fontsize=7, loc="left", color=GREY, y=1.0)
        above = (0, 27 if noted else 17)
        axis.annotate(panel.title, (0, 1), above, "axes fraction", "offset points", fontsize=9.5, fontweight="bold")


def labels(axes: Sequence[Axes], x: str | Sequence[str], y: str | Sequence[str]) -> None:
    """Name the axes, alike or each its own; those upwards at the first column, or wherever they differ."""
    for i, axis in enumerate(axes):
        axis.set_xlabel(x if isinstance(x, str) else x[i], fontsize=8.5)
        place = axis.get_subplotspec()
        if (not isinstance(y, str) and len(set(y)) > 1) or (place is not None and place.is_first_col()):
            axis.set_ylabel(y if isinstance(y, str) else y[i], fontsize=8.5)


def dataset_line(axis: Axes, panel: Panel, vertical: bool = False) -> None:
    """The mean of the dataset's own episodes, where it is known."""
    if panel.dataset_score is not None:
        draw = axis.axvline if vertical else axis.axhline
        tip(draw(panel.dataset_score, color=GREY, linestyle="--", linewidth=1.2), f"dataset mean: {panel.dataset_score:.1f}")


def legend(figure: Figure, handles: Sequence[Artist], panels: Sequence[Panel] = (), notes: Sequence[str] = ()) -> Figure:
    """The legend below: `handles`, the dataset's line where a panel has one, and `notes` without a mark."""
    known = any(panel.dataset_score is not None for panel in panels)
    dataset = [Line2D([], [], color=GREY, linestyle="--", linewidth=1.2, label=label_of(DATASET))] if known else []
    entries = [*handles, *dataset, *(Line2D([], [], linestyle="none", label=fold(note)) for note in notes)]
    if entries:
        # About 15 characters an inch at this size, and 5 for the line in front.
        texts = [str(entry.get_label()).split("\n") for entry in entries]
        longest = max(len(line) for lines in texts for line in lines) + 5
        columns = max(1, min(len(entries), int(figure.get_figwidth() * 15 / longest)))
        figure.set_figheight(figure.get_figheight() + 0.18 * math.ceil(sum(map(len, texts)) / columns))
        figure.legend(handles=entries, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
    return figure


def fold(text: str, width: int = LEGEND_WIDTH) -> str:
    """`text` in lines of at most `width` characters; words stay whole."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def tip(artist: Artist, *texts: str) -> None:
    """What an SVG of the figure tells under the pointer: one text for all of `artist`, or one for each of its points."""
    artist.set_gid(_TIP + "¦".join(texts))


def tips(artist: Artist) -> list[str]:
    """The texts that `artist` tells."""
    gid = artist.get_gid() or ""
    return gid.removeprefix(_TIP).split("¦") if gid.startswith(_TIP) else []


def save(figure: Figure, path: Path) -> Figure:
    """Write the figure to the PNG file `path`. Raises StoreError where it cannot be written."""
    _literal(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return figure


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element with its hover texts. `name` must differ between the figures of one page."""
    text = io.StringIO()
    _literal(figure)
    with _OPTIONS, rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        engine = figure.get_layout_engine()
        if engine is not None:  # else every mark is drawn twice, once for the layout
            figure.set_dpi(72)  # SVG's own
            engine.execute(figure)
            figure.set_layout_engine("none")
        figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    root = ElementTree.fromstring(_NOT_XML.sub("�", text.getvalue()))
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for group in list(root.iter(f"{{{_SVG}}}g")):
        gid = group.attrib.pop("id", "")  # nothing refers to a group
        if gid.startswith(_TIP):
            _tell(group, gid.removeprefix(_TIP).split("¦"))
    return ElementTree.tostring(root, encoding="unicode")


def _literal(figure: Figure) -> None:
    """Draw every text as it is: names of files, tasks and methods may hold dollar signs, which would be read as formulas."""
    for text in figure.findobj(Text):
        text.set(parse_math=False)


def _tell(group: ElementTree.Element, texts: Sequence[str]) -> None:
    points = [element for element in group.iter() if element.tag in (f"{{{_SVG}}}use", f"{{{_SVG}}}image")]
    if not points:  # marks that are drawn one by one
        points = [element for element in group.findall(f"{{{_SVG}}}path")]
    told = [group] if len(texts) == 1 else points if len(points) == len(texts) else []
    for element, text in zip(told, texts, strict=False):
        title = ElementTree.Element(f"{{{_SVG}}}title")
        title.text = text
        element.insert(0, title)
