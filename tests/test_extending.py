"""The documented ways to add a method, a task and a learner (docs/extending.md), done as written there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from data.synthetic import episodes, write_hdf5

from ailot_ray.config import Config
from ailot_ray.errors import ConfigError
from ailot_ray.methods import METHODS, Method, get_method, register_learner, register_method
from ailot_ray.resolve import resolve
from ailot_ray.tasks import TASKS, register_task

ROOT = Path(__file__).parents[1]
TINY = ("--iql.steps", "6", "--iql.snapshots", "2", "--iql.batch-size", "8", "--evaluation.episodes", "1", "--seeds", "0", "1")


def documented(heading: str) -> str:
    """The first Python block of a section of docs/extending.md."""
    section = (ROOT / "docs" / "extending.md").read_text().split(f"## {heading}\n")[1]
    block = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert block
    return block[1]


def run(plugin: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ailot_ray", *arguments]
    environment = os.environ | {"AILOT_RAY_PLUGINS": str(plugin), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=plugin.parent, timeout=300)


def test_a_method_of_ones_own_has_its_alignment_rewards_policy_row_and_line(tmp_path: Path) -> None:
    data = write_hdf5(tmp_path / "hop.hdf5", episodes((12, 9, 15, 11, 30), ("terminal", "timeout") * 2 + ("timeout",)))
    plugin = tmp_path / "mine.py"
    plugin.write_text(documented("A method"))
    store, page = tmp_path / "store", tmp_path / "page.html"
    done = run(
        plugin,
        *("run", "--task", "hopper-medium-v2", "--data", str(data), "--methods", "mine", "iql", "--store", str(store)),
        *("--workers", "1", *TINY),
    )
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.split()[:1] == ["Mine"]]
    assert "0, 1" in row and "(2 seeds)" in row
    rewards = {}
    for folder in (store / "scores").iterdir():
        trial = json.loads((folder / "trial.json").read_text())
        artefacts = trial["artefacts"]
        assert set(artefacts) - {"policies", "rewards"} == ({"alignment"} if trial["method"] == "mine" else set())
        for kind, name in artefacts.items():
            assert (store / kind / name / "manifest.json").is_file()
        rewards[trial["method"]] = pq.read_table(store / "rewards" / artefacts["rewards"] / "rewards.parquet")
        if trial["method"] == "mine":
            assert trial["config"]["transport.metric"] == "euclidean" and trial["config"]["reward.tau"] == 2.0
    own, true = (rewards[name]["reward"].to_numpy() for name in ("mine", "iql"))
    assert abs(np.corrcoef(own, true)[0, 1]) < 0.9
    shared = run(plugin, "results", "--store", str(store), "--html", str(page))
    assert shared.returncode == 0, shared.stderr
    assert "<title>Mine: " in page.read_text() and "#332288" in page.read_text()


def test_a_preset_that_is_no_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "odd", Method("odd", "Odd", "#000000", "alignment", presets={"*": {"reward.tua": 1.0}}))
    with pytest.raises(ConfigError, match=r"reward\.tua.*reward\.tau"):
        resolve(Config(method="odd"))


def test_a_plugin_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text("import no_such_module_at_all\n")
    done = run(plugin, "run", "--methods", "mine")
    assert done.returncode != 0 and "broken.py" in done.stderr and "no_such_module_at_all" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_task_of_ones_own_runs(tmp_path: Path) -> None:
    plugin = tmp_path / "swimming.py"
    plugin.write_text(documented("A task"))
    listed = run(plugin, "run", "--task", "swimmer-mine", "--store", str(tmp_path / "store"))
    assert listed.returncode == 1 and "swimmer-mine" in listed.stderr and "--data" in listed.stderr
    data = tmp_path / "swim.hdf5"
    made = run(plugin, "data", "collect", "--task", "swimmer-mine", "--output", str(data), "--transitions", "60")
    assert made.returncode == 0, made.stderr
    flags = ("--task", "swimmer-mine", "--data", str(data), "--methods", "bc", "--store", str(tmp_path / "store"))
    done = run(plugin, "run", *flags, "--workers", "1", *TINY)
    assert done.returncode == 0, done.stderr
    assert "swimmer-mine" in done.stdout


def test_a_learner_of_ones_own_trains_by_its_loss(tmp_path: Path) -> None:
    data = write_hdf5(tmp_path / "hop.hdf5", episodes((12, 9, 15), ("terminal", "timeout", "timeout")))
    plugin = tmp_path / "cautious.py"
    plugin.write_text(documented("A learner"))
    store = tmp_path / "store"
    flags = ("--task", "hopper-medium-v2", "--data", str(data), "--methods", "cautious", "iql", "--store", str(store))
    done = run(plugin, "run", *flags, "--workers", "1", *TINY)
    assert done.returncode == 0, done.stderr
    assert "Cautious IQL" in done.stdout and "trains by autograd" in done.stderr
    policies = {}
    for folder in (store / "policies").iterdir():
        learner = json.loads((folder / "manifest.json").read_text())["key"]["learner"]
        policies[learner] = (folder / "actor-00000006.safetensors").read_bytes()
    assert policies.keys() == {"cautious", "iql"} and policies["cautious"] != policies["iql"]


def method(**changes: Any) -> None:
    register_method(replace(Method("mine", "X", "#000000", "none"), **changes))


def task(**changes: Any) -> None:
    register_task(replace(TASKS["hopper-builtin"], **({"name": "mine"} | changes)))


@pytest.mark.parametrize(
    ("register", "says"),
    [
        (lambda: method(learner="nobody"), r"learner.*nobody"),
        (lambda: method(presets={"chess": {}}), r"presets of chess.*antmaze"),
        (lambda: get_method("sebao"), r"--method is sebao.*seabo"),
        (lambda: register_learner("mine", "somewhere"), "module:Class"),
        (lambda: task(name="a:b"), "colon"),
        (lambda: task(horizon=0), "horizon"),
        (lambda: task(reference_max=-100.0), "reference_max"),
    ],
)
def test_what_cannot_be_registered_is_named(register: Callable[[], object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        register()
    assert "mine" not in {*METHODS, *TASKS}
