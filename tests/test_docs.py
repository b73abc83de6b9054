"""What the documents name is there: links, files, functions, and verbs of commands."""

import re
from pathlib import Path

import pytest

from ailot_ray.__main__ import FORMER, VERBS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_answers_of_the_architecture_are_where_they_are_said_to_be() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| [^|]+\? \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) == 10
    for row in rows:
        for names, path in re.findall(r"((?:`[\w.]+`(?:, | and )?)+) in \[[^]]*\]\(\.\./([\w/.]+)\)", row):
            source = (ROOT / path).read_text()
            for name in re.findall(r"`([\w.]+)`", names):
                last = name.split(".")[-1]
                assert re.search(rf"(?:def|class) {last}\b|^{last}\b", source, re.MULTILINE), f"{name} is not in {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert target.startswith("http") or (page.parent / target).exists(), target
    verbs = {verb.split()[0] for verb in VERBS} | FORMER.keys()
    assert set(re.findall(r"python -m ailot_ray +([a-z]\w*)", text)) <= verbs
    named = re.findall(r"(?:python |\(|`)(experiments/[\w/]+\.py)", text) + re.findall(r"`(ailot_ray/[\w/]+\.py)`", text)
    rooms = re.findall(r"`((?:method|pipeline|report|data|envs|cluster|cli)/[\w/]+\.py)`", text)
    for name in [*named, *(f"ailot_ray/{room}" for room in rooms)]:
        assert (ROOT / name).is_file(), name
