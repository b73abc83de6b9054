"""The workflows call what is there: targets of the Makefile, scripts, extras, and the Pythons that the package names."""

import re
import tomllib
from pathlib import Path
from typing import Any

import check_wheel
import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_steps_run_what_is_there(path: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [step["run"] for job in jobs(path).values() for step in job["steps"] if "run" in step]
    named = [target for line in lines if line.startswith("make ") for target in line.split()[1:]]
    assert named and set(named) <= targets
    for script in (word for line in lines for word in line.split() if word.endswith(".py")):
        assert (ROOT / script).is_file()


def test_tests_and_wheels_run_on_the_pythons_that_the_package_names() -> None:
    named = {text.rpartition(" ")[2] for text in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", text)}
    found = jobs(ROOT / ".github" / "workflows" / "ci.yml")
    assert set(found["test"]["strategy"]["matrix"]["python"]) == named
    assert {row["python"] for row in found["wheel"]["strategy"]["matrix"]["include"]} == named
    assert min(named, key=lambda version: int(version.split(".")[1])) == PROJECT["requires-python"].removeprefix(">=")


def test_each_extra_is_tried_alone_by_a_workflow_and_by_the_script() -> None:
    extras = PROJECT["optional-dependencies"].keys() - {"dev"}
    assert check_wheel.EXTRAS.keys() == extras
    rows = jobs(ROOT / ".github" / "workflows" / "ci.yml")["wheel"]["strategy"]["matrix"]["include"]
    assert any(extras <= set(row["versions"].split()) for row in rows)
    assert any("--oldest" in row["versions"] for row in rows)


def test_the_lowest_versions_are_the_bounds_of_the_ranges(tmp_path: Path) -> None:
    lines = check_wheel.lowest(tmp_path).read_text().splitlines()
    assert "ray==2.55.*" in lines and "torch==2.6.*" in lines
    assert len(lines) == len({line.partition("==")[0] for line in lines}) > 20


@pytest.mark.parametrize("name", ["bug.yml", "idea.yml"])
def test_an_issue_form_has_what_the_host_asks_for(name: str) -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / name).read_text())
    assert form["name"] and form["description"]
    assert all({"type", "id", "attributes"} <= field.keys() and field["attributes"]["label"] for field in form["body"])
