"""Cells that hold what a file's name may hold."""

import csv
import io

from ailot_ray.errors import AilotError, one_line
from ailot_ray.report.layout import table

HOSTILE = "=HYPERLINK(1)\x1b[2J<script>|*"


def test_a_cell_is_text_wherever_it_is_pasted() -> None:
    def lines(style: str) -> str:
        return table(("name", "score"), [(HOSTILE, "-3.5")], (True, False), style)  # type: ignore[arg-type]

    (found,) = csv.DictReader(io.StringIO(lines("csv")))
    assert found == {"name": f"'{HOSTILE}", "score": "-3.5"}
    assert "\x1b" not in lines("text") and "=HYPERLINK(1)�[2J<script>" in lines("text")
    assert r"&lt;script&gt;\|\*" in lines("markdown") and "<script>" not in lines("markdown")


def test_an_error_steers_no_terminal() -> None:
    assert one_line(AilotError("a\nb\x1b[31m\x07")) == "a b�[31m�"
