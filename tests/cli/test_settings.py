"""The reference of settings: complete, and the same as the page in docs/."""

from pathlib import Path

from ailot_ray.cli.settings import configuration_reference
from ailot_ray.config import Config, flatten

from .conftest import Command

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == configuration_reference() + "\n", "run: python -m ailot_ray settings > docs/configuration.md"


def test_every_setting_is_explained() -> None:
    lines = configuration_reference().splitlines()
    for path in flatten(Config()):
        (line,) = [line for line in lines if line.startswith(f"| `--{path.replace('_', '-')}` |")]
        assert line.count(" | ") == 3 and not line.endswith("|  |"), f"{path} has no explanation in config.py"


def test_the_verb_prints_the_page(command: Command) -> None:
    ended = command("settings", "--json")
    assert ended.out.startswith(configuration_reference()) and ended.json["settings"]["icvf.steps"] == 250_000
