"""The page at a thousand trials."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ailot_ray.report.page import table
from ailot_ray.report.page.browser import EXPLAIN, Browser
from ailot_ray.report.page.sources import Sources

from .conftest import WriteTrial, write_thousand

SECONDS = 2.0


def timed(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


@pytest.mark.slow
def test_every_view_answers_in_two_seconds(tmp_path: Path, write_trial: WriteTrial) -> None:
    write_thousand(write_trial)
    browser = Browser(Sources([tmp_path / "store"]))
    browser.sources.read()  # before the page is served
    spent = {"look": timed(browser.sources.read)}
    page = browser.page()[1]
    assert len(page.done) == 1000
    spent["table"] = timed(lambda: table.as_html(page.runs, lambda run: ""))
    spent |= {view: timed(lambda view=view: page.svg(view, page.choice(view))) for view in EXPLAIN}  # type: ignore[misc]
    assert max(spent.values()) < SECONDS, spent
