"""Verb settings: docs/configuration.md is what it prints."""

import ast
import inspect
import itertools
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

from ailot_ray import config as config_module
from ailot_ray.cli.options import Verb
from ailot_ray.config import Config, flatten
from ailot_ray.methods import METHODS
from ailot_ray.report.layout import markdown_lines
from ailot_ray.resolve import relevant_settings, resolve
from ailot_ray.tasks import Domain

_EXAMPLES: dict[Domain, str] = {"locomotion": "hopper-medium-v2", "antmaze": "antmaze-umaze-v2", "adroit": "door-human-v1"}
"""A task of each domain; OTR's and SEABO's tau goes with the sizes of the task."""
_HEAD = """# Configuration

Written by `python -m ailot_ray settings > docs/configuration.md` from the dataclasses of `ailot_ray/config.py`; a test holds
the two together. The path of a setting is its flag (`--reward.tau 0.5`), its key in a sweep's grid
(`"reward.tau": (0.1, 0.5)`), its column in `results.parquet` and its field in Python (`Config(reward=RewardConfig(tau=0.5))`).
A default of – is the method's or the domain's own value, which the last tables show.
"""


@dataclass(frozen=True, kw_only=True)
class Settings(Verb):
    """Explain every setting, with its default, in Markdown."""

    def execute(self) -> dict[str, Any]:
        print(configuration_reference())
        return {"settings": flatten(Config())}


def configuration_reference() -> str:
    """Markdown: a table for each section of the configuration, then what unset settings come to by method and domain."""
    docs = _attribute_docs()
    sections: list[tuple[str, Any]] = [("", Config())]
    sections += [
        (item.name, getattr(Config(), item.name)) for item in fields(Config) if is_dataclass(getattr(Config(), item.name))
    ]
    blocks = [_HEAD]
    for name, section in sections:
        kind = type(section)
        hints = get_type_hints(kind)
        lines = [
            (
                f"`--{_flag(name, item.name)}`",
                _choices(hints[item.name]),
                _default(item),
                docs.get((kind.__name__, item.name), ""),
            )
            for item in fields(section)
            if not is_dataclass(getattr(section, item.name))
        ]
        title = f"## {name or 'The experiment'}\n\n{inspect.getdoc(kind)}\n"
        blocks.append(
            "\n".join([title, *markdown_lines(("flag", "values", "default", ""), lines, (True, True, True, True)), ""])
        )
    return "\n".join([*blocks, *_presets()]).rstrip("\n")


def _presets() -> list[str]:
    """What settings of None come to: for each domain a table of methods."""
    unset = [path for path, value in flatten(Config()).items() if value is None and "." in path]
    blocks = ["## What unset settings come to\n"]
    for domain, task in _EXAMPLES.items():
        resolved = [resolve(replace(Config(task=task), method=method)) for method in METHODS]
        lines = [(f"`{path}`", *(_used(config, path) for config in resolved)) for path in unset]
        table = markdown_lines(("path", *METHODS), lines, (True, *[True] * len(METHODS)))
        blocks.append("\n".join([f"### {domain} (`{task}`)\n", *table, ""]))
    return blocks


def _used(config: Config, path: str) -> str:
    """The value, or a dash for what the method never reads, or the domain does not have."""
    value = flatten(config)[path]
    if value is None or path not in relevant_settings(config):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _attribute_docs() -> dict[tuple[str, str], str]:
    """The string below each field of each class of config.py, which Python itself forgets."""
    classes = [node for node in ast.parse(inspect.getsource(config_module)).body if isinstance(node, ast.ClassDef)]
    pairs = [(node.name, item, after) for node in classes for item, after in itertools.pairwise(node.body)]
    return {
        (name, item.target.id): " ".join(after.value.value.split())
        for name, item, after in pairs
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
    }


def _flag(section: str, name: str) -> str:
    return f"{section}.{name}".lstrip(".").replace("_", "-")


def _choices(hint: Any) -> str:
    """`cut | mask | none`, `float`, …"""
    parts = [part for part in get_args(hint) or (hint,) if part is not type(None)]
    return " | ".join(
        _choices(part) if get_args(part) else part.__name__ if isinstance(part, type) else str(part) for part in parts
    )


def _default(item: Field[Any]) -> str:
    value = item.default if item.default is not MISSING else None
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
