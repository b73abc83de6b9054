"""What the documents name is there: links, files, functions, and verbs of commands."""

import ast
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ailot_ray
from ailot_ray.__main__ import ABOUT, FORMER, GROUPS, PROGRAM, VERBS, _sweep, _union
from ailot_ray.cli import command
from ailot_ray.cli.command import UsageError, parse
from ailot_ray.errors import AilotError

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: str) -> list[str]:
    """The blocks of Python on a page."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The arguments of every whole `python -m ailot_ray` line of a page; one with a gap (… or FLAG) is not whole."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = re.findall(r"^ *(?:\w+=\S+ )?python -m ailot_ray +([a-z].*)$", joined, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines if not re.search(r"…|`|FLAG", line)]


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


def anchors(page: Path) -> set[str]:
    """What GitHub and Python's Markdown both call the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_headings_that_a_page_links_to_are_there(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([\w/.-]*)#([^)]+)\)", page.read_text()):
        other = page.parent / target if target else page
        assert anchor in anchors(other), f"{target}#{anchor}"


def test_commands_are_found_with_their_ends() -> None:
    text = """
    python -m ailot_ray tasks        # what there is
A=b.py python -m ailot_ray run --seeds 0 1 \\
    --reward.tau 0.5
python -m ailot_ray evaluate …
"""
    assert commands(text) == [["tasks"], ["run", "--seeds", "0", "1", "--reward.tau", "0.5"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_can_be_parsed(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verbs, flags and values; whether a file is there is another matter."""
    monkeypatch.setattr("ailot_ray.__main__.run_command", lambda *given: command.parse(*given))
    for given in commands(page.read_text()):
        given[0] = FORMER.get(given[0], given[0])
        try:
            if given[0] == "sweep":
                _sweep(given[1:])
            else:
                chosen = " ".join(given[:2]) if given[0] in GROUPS else given[0]
                parse(_union(VERBS, chosen, GROUPS), PROGRAM, ABOUT, given)
        except UsageError as error:
            pytest.fail(f"{' '.join(given)}: {error}")
        except AilotError:
            pass


def quick(code: str) -> str:
    """The lines of a page with the fewest steps: what is tested is that they go together."""
    return re.sub(r"steps=[\d_]+", "steps=3, width=8", code).replace("IQLConfig(", "IQLConfig(snapshots=1, ")


def test_the_lines_of_the_readme_are_six_and_lead_from_arrays_to_an_action(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the first episodes of the example, in a few steps; experiments/tools/check_wheel.py runs exactly them."""
    (lines,) = blocks("README.md")
    assert lines == blocks("docs/index.md")[0]
    assert len(ast.parse(lines).body) == 6
    example = ailot_ray.example_arrays()
    few = int(example.lengths[:3].sum())
    small = example._replace(
        states=example.states[:few], actions=example.actions[:few], lengths=example.lengths[:3], expert=example.expert[:50]
    )
    monkeypatch.setattr("ailot_ray.pipeline.example_arrays", lambda: small)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(quick(lines), found)
    assert found["rewards"].shape == (few,) and found["action"].shape == (1, 3) and abs(found["action"]).max() <= 1


@pytest.mark.slow
def test_exactly_the_lines_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(blocks("README.md")[0], found)
    assert found["rewards"].std() > 0 and found["action"].shape == (1, 3)


def test_the_lines_about_acting_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = ailot_ray.Config(
        task="hopper-builtin",
        method="bc",
        device="cpu",
        iql=ailot_ray.IQLConfig(steps=4_000, batch_size=2, width=4, snapshots=2),
    )
    folder = ailot_ray.train(ailot_ray.Experiment.open(config, "store"), [0])[0].folder
    found: dict[str, Any] = {"observation": np.zeros(11)}
    acting = blocks("docs/acting.md")
    assert len(acting) == 4
    for lines in acting:
        exec(lines.replace("store/policies/hopper-builtin-0123456789ab", str(folder)), found)
    assert found["action"].shape == (3,) and len(found["rewards"]) == len(ailot_ray.example_arrays().states)
    assert np.isfinite(found["reward"]) and "log_std" in found["weights"]


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def test_the_notebook_is_kept_as_it_ran() -> None:
    numbers = [cell["execution_count"] for cell in cells()]
    assert numbers == list(range(1, len(numbers) + 1))
    outputs = [output for cell in cells() for output in cell["outputs"]]
    assert not any(output["output_type"] == "error" for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """... and ends where its text says: nearer to the demonstration than the data are."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    for cell in cells():
        exec("".join(cell["source"]), found)
    pyplot.close("all")
    played = found["nearest"](found["played"][:, found["half"] :].reshape(-1, 2)).mean()
    assert played < 0.8 * found["nearest"](found["driven"]).mean()
