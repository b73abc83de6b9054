"""The core without the extras: what it imports, what it does, and what it says where a library is missing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ailot_ray.lazy import EXTRA_OF, MissingExtraError, require

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
DISTRIBUTIONS = {"ot": "POT", "OpenGL": "PyOpenGL", "gymnasium_robotics": "gymnasium-robotics", "dm_control": "ogbench"}
"""What brings a module, where that is called otherwise."""

WITHOUT = """
import importlib.machinery, sys
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = lambda name, path=None, target=None: (
    None if name.partition(".")[0] in {names!r} else find(name, path, target)
)
"""


def distribution(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ;]", requirement)[0]


def without(names: set[str], code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code where none of the modules `names` can be imported."""
    code = WITHOUT.format(names=names) + code
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_extra_that_is_named_brings_the_library() -> None:
    for module, extra in EXTRA_OF.items():
        brought = {distribution(text) for text in EXTRAS[extra]}
        assert DISTRIBUTIONS.get(module, module) in brought, (module, extra)
    assert set(EXTRA_OF.values()) == EXTRAS.keys() - {"all", "dev"}


def test_all_is_all() -> None:
    (everything,) = EXTRAS["all"]
    assert set(re.findall(r"\w+", everything.partition("[")[2])) == EXTRAS.keys() - {"all", "dev"}


def test_the_tested_set_lies_in_the_ranges() -> None:
    """requirements.txt pins, pyproject.toml ranges: the same libraries, and each pin within its range."""
    pins = dict(re.findall(r"^([\w-]+)(?:\[[^]]*\])?==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    own = {"ogbench"}  # pinned in a file of its own, installed without what it asks for
    wanted = [*PROJECT["dependencies"], *(text for extra in EXTRAS if extra not in ("dev", "all") for text in EXTRAS[extra])]
    ranged = {distribution(text): text for text in wanted if not text.startswith("ailot-ray")}
    assert ranged.keys() - own == pins.keys() - {"PyYAML"}
    for name, text in ranged.items():
        for bound, sign in ((m[2], m[1]) for m in re.finditer(r"(>=|<)([\d.]+)", text)):
            if name not in own:
                pin, limit = ([int(part) for part in re.findall(r"\d+", version)] for version in (pins[name], bound))
                assert pin >= limit if sign == ">=" else pin < limit, text


def test_arrays_become_a_policy_without_any_extra(tmp_path: Path) -> None:
    code = """
import numpy as np
from ailot_ray import Config, ICVFConfig, IQLConfig, relabel_arrays, train_arrays
rng = np.random.default_rng(0)
states, actions = rng.normal(size=(60, 3)).astype(np.float32), rng.uniform(-1, 1, (60, 2))
small = Config(icvf=ICVFConfig(steps=3, width=8), iql=IQLConfig(steps=3, width=8, snapshots=1))
rewards = relabel_arrays(states, [30, 30], [states[:20]], "store", small)
print(train_arrays(states, actions, [30, 30], rewards, "store", small)(states[:1]).shape)
"""
    done = without(set(EXTRA_OF), code, tmp_path)
    assert (done.returncode, done.stdout) == (0, "(1, 2)\n"), done.stderr


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("ray", "sweep tau --smoke"),
        ("ray", "doctor"),
        ("ray", "pretrain --task hopper-builtin --workers 2 --seeds 0 1"),
        ("page", "dashboard STORE"),
        ("page", "results --store STORE --html page.html"),
        ("d4rl", "evaluate --task hopper-builtin --method bc"),
        ("d4rl", "run --task hopper-builtin --methods bc"),
        ("d4rl", "data inspect --task hopper-medium-v2 --data FILE"),
        ("d4rl", "data export --task hopper-builtin --method otr --output relabelled.hdf5"),
        ("d4rl", "data collect --env Pendulum-v1 --policy random --output pendulum.hdf5"),
        ("d4rl", "register --file mine.toml --name pendulum --env Pendulum-v1 --reference-max 0"),
        ("minari", "data inspect --task minari:some/set-v0"),
        ("minari", "data fetch --task minari:some/set-v0"),
        ("pot", "relabel --task hopper-builtin --method otr --transport.solver exact --workers 1"),
    ],
)
def test_a_verb_that_needs_an_extra_says_which_in_one_line(extra: str, arguments: str, tmp_path: Path) -> None:
    """... and before it has made anything that takes time."""
    (tmp_path / "STORE" / "scores").mkdir(parents=True)
    (tmp_path / "FILE").touch()
    absent = {module for module, brings in EXTRA_OF.items() if brings == extra}
    code = f"from ailot_ray.__main__ import main; sys.exit(main({arguments.split()!r}))"
    done = without(absent, code, tmp_path)
    assert done.returncode == 1, (done.stdout, done.stderr)
    told = [line for line in done.stderr.splitlines() if line.startswith("ailot_ray:")]
    assert len(told) == 1 and f"pip install 'ailot-ray[{extra}]'" in told[0], done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_stands_without_plots_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    done = without({"matplotlib"}, "from ailot_ray.__main__ import main; sys.exit(main(['results']))", tmp_path)
    assert done.returncode == 0, done.stderr


def test_another_missing_module_is_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_library") as caught:
        require("mine")
    assert not isinstance(caught.value, MissingExtraError)
