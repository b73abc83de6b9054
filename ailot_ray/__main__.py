"""python -m ailot_ray <verb>: finds the verb's file, and imports no other."""

import ast
import functools
import importlib
import operator
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from ailot_ray.cli.command import run_command
from ailot_ray.memory import keep_freed_memory

PROGRAM = "python -m ailot_ray"
ABOUT = "Offline imitation learning by optimal transport between intents: from a dataset without rewards to a policy."
VERBS = {
    "tasks": "Tasks",
    "register": "Register",
    "data inspect": "Inspect",
    "data fetch": "Fetch",
    "data collect": "Collect",
    "data export": "Export",
    "pretrain": "Pretrain",
    "relabel": "Relabel",
    "train": "Train",
    "evaluate": "Evaluate",
    "run": "Run",
    "sweep": "SweepVerb",
    "results": "Results",
    "settings": "Settings",
    "dashboard": "Dashboard",
    "diagnose": "Diagnose",
    "doctor": "Doctor",
}
"""Every verb and its class, in the file of its name in `ailot_ray/cli/`."""
GROUPS = {"data": "Look into a dataset, download or collect one, or export a relabelled one."}
FORMER = {"portrait": "diagnose"}
"""Former names of verbs, which still work."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    keep_freed_memory()
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if given[0] == "--version":
        code = importlib.import_module("ailot_ray.provenance").code_version()
        changed = ", with changes since" if code.dirty else ""
        print(f"ailot_ray {code.version}" + (f" ({code.commit[:12]}{changed})" if code.commit else ""))
        return 0
    given[0] = FORMER.get(given[0], given[0])
    if given[0] == "sweep":
        return _sweep(given[1:] or ["--help"])
    chosen = " ".join(given[:2]) if given[0] in GROUPS else given[0]
    return run_command(_union(VERBS, chosen, GROUPS), PROGRAM, ABOUT, given)


def _sweep(given: list[str]) -> int:
    """A named sweep, or one of any other name whose settings --vary gives."""
    verb: Any = importlib.import_module("ailot_ray.cli.sweep")
    questions = importlib.import_module("ailot_ray.cli.sweeps").QUESTIONS
    name = given[0]
    if name in questions or (re.fullmatch(r"[\w.]+[\w.-]*", name) and any(word.startswith("--vary") for word in given)):
        about = questions[name].text if name in questions else f"Sweep {name}, over the values that --vary gives."
        return run_command(verb.SweepVerb, f"{PROGRAM} sweep {name}", about, given[1:], verb.of_name(name))
    texts = {name: question.text for name, question in questions.items()}
    stubs = {name: _stub(name, text) for name, text in texts.items()}
    return run_command(_joined(stubs, texts), f"{PROGRAM} sweep", "Sweeps by name; any other name needs --vary.", given)


def _union(verbs: Mapping[str, str], chosen: str, groups: Mapping[str, str] = {}) -> Any:
    """All verbs as tyro's subcommands: the chosen one as it is, the others by their first lines of help alone."""
    types: dict[str, Any] = {}
    for verb, name in verbs.items():
        group, _, rest = verb.partition(" ")
        if rest:
            inside = {v.partition(" ")[2]: _kind(v, n, chosen) for v, n in verbs.items() if v.startswith(f"{group} ")}
            types[group] = _joined(inside)
        else:
            types[verb] = _kind(verb, name, chosen)
    return _joined(types, groups)


def _joined(types: Mapping[str, Any], texts: Mapping[str, str] = {}) -> Any:
    named = (Annotated[kind, tyro.conf.subcommand(name, description=texts.get(name))] for name, kind in types.items())
    return functools.reduce(operator.or_, named)


def _kind(verb: str, name: str, chosen: str) -> Any:
    module = verb.replace(" ", "_")
    if verb == chosen:
        return getattr(importlib.import_module(f"ailot_ray.cli.{module}"), name)
    tree = ast.parse((Path(__file__).parent / "cli" / f"{module}.py").read_text(encoding="utf-8"))
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return _stub(name, ast.get_docstring(found) or "")


def _stub(name: str, text: str) -> Any:
    return make_dataclass(name.capitalize(), [], namespace={"__doc__": text})


if __name__ == "__main__":
    sys.exit(main())
