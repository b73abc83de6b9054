"""What the documents name is there: links, files, functions, and verbs of commands."""

import re
from pathlib import Path

import pytest

from ailot_ray.__main__ import FORMER, VERBS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_those_there_are(page: Path) -> None:
    text = page.read_text()
    verbs = {verb.split()[0] for verb in VERBS} | FORMER.keys()
    for verb in re.findall(r"python -m ailot_ray +([a-z]\w*)", text):
        assert verb in verbs, verb
    for script in re.findall(r"(?:python |\(|`)(experiments/[\w/]+\.py)", text):
        assert (ROOT / script).is_file(), script


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
def test_files_of_the_package_that_a_page_names_exist(page: Path) -> None:
    for name in re.findall(r"`(ailot_ray/[\w/]+\.py)`", page.read_text()):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"`((?:method|pipeline|report|data|envs|cluster|cli)/[\w/]+\.py)`", page.read_text()):
        assert (ROOT / "ailot_ray" / name).is_file(), name
