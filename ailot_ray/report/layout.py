"""A table of texts for the terminal, a page, a spreadsheet or a paper."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from ailot_ray.errors import printable

Style = Literal["text", "markdown", "csv", "latex"]
NONE = "–"
"""What stands where a value is not known."""

_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
    "–": "--",
    "−": "$-$",
    "…": r"\dots{}",
    "†": r"$\dagger$",
}

_MARKDOWN = str.maketrans({"|": r"\|", "*": r"\*", "<": "&lt;", ">": "&gt;"})


def aligned(cells: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    """A line of the terminal's table."""
    texts = [
        printable(cell).ljust(width) if to_left else printable(cell).rjust(width)
        for cell, width, to_left in zip(cells, widths, left, strict=True)
    ]
    return ("  " + "  ".join(texts)).rstrip()


def text_lines(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool]) -> list[str]:
    """Columns aligned to the left or to the right, two spaces apart."""
    widths = [max(len(cells[c]) for cells in (header, *rows)) for c in range(len(header))]
    return [aligned(cells, widths, left) for cells in (header, *rows)]


def markdown_lines(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool]) -> list[str]:
    """A Markdown table; stars, bars and tags in cells are taken for what they are."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.translate(_MARKDOWN) for cell in cells) + " |"

    rules = "| " + " | ".join("---" if to_left else "---:" for to_left in left) + " |"
    return [line(header), rules, *(line(cells) for cells in rows)]


def latex_lines(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool], rules_before: Iterable[int] = ()
) -> list[str]:
    r"""A ``tabular`` with the rules of booktabs, one of them before each row of `rules_before`."""

    def line(cells: Iterable[str]) -> str:
        return " & ".join(latex(cell) for cell in cells) + r" \\"

    body = [text for i, cells in enumerate(rows) for text in ([r"\midrule"] if i in set(rules_before) else []) + [line(cells)]]
    columns = "".join("l" if to_left else "r" for to_left in left)
    return [
        r"% \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        line(header),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]


def latex(text: str) -> str:
    """`text` with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(sign, sign) for sign in text)


def note(text: str, style: Style) -> str:
    """A line of text below a table."""
    if style == "latex":
        return rf"\par\smallskip {latex(text)}"
    # Markdown would take a leading star for a list.
    return text.replace("*", r"\*", 1) if style == "markdown" else text


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Comma-separated values, unrounded; None is an empty cell. A text that a spreadsheet would calculate begins with '."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_spreadsheet(cell) for cell in cells] for cells in rows)
    return text.getvalue()


def _spreadsheet(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool], style: Style) -> str:
    """The same table in any style."""
    if style == "csv":
        return csv_text(header, rows).rstrip("\n")
    lines = {"markdown": markdown_lines, "latex": latex_lines, "text": text_lines}[style](header, rows, left)
    return "\n".join(lines)
