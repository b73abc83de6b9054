"""Imports run only downward. Read off the source, so that imports inside functions count too."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ailot_ray.lazy import EXTRA_OF

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ailot_ray"
LAYERS = (
    {"errors"},
    {"plugins", "files", "records", "memory", "bounds", "lazy"},
    {"methods", "provenance"},
    {"config"},
    {"minari_fetch", "parts"},
    {"task_files", "ogbench_tasks"},
    {"tasks", "mazes"},
    {"store", "resolve", "data", "method", "envs", "progress", "runtime"},
    {"stages"},
    {"pipeline", "report"},
    {"cluster"},
    {"cli"},
    {"__main__", "__init__"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILE_BOUND = {"h5py", "gymnasium", "pyarrow", "pathlib", "os", "io", "shutil", "tempfile", "safetensors", "mujoco", "minari"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def top_name(path: Path) -> str:
    """The module or package right below ailot_ray that `path` belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(source: str) -> Iterator[str]:
    """Dotted names of everything imported in `source`, ``from a import b`` as ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def rooms_used(path: Path) -> set[str]:
    """Which parts of ailot_ray a module imports, its own aside."""
    parts = (name.split(".") for name in imports_of(path.read_text()))
    return {part[1] for part in parts if part[0] == "ailot_ray" and len(part) > 1} - {top_name(path)}


def libraries_used(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path.read_text())}


def test_the_reader_sees_every_kind_of_import() -> None:
    source = """
import a.b, c as d
from e.f import g
from . import h
def inner():
    from ray.train import i
    import j
"""
    assert set(imports_of(source)) == {"a.b", "c", "e.f.g", "..h", "ray.train.i", "j"}


def test_every_module_has_a_layer() -> None:
    assert len(MODULES) > 30
    assert {top_name(path) for path in MODULES} <= LEVEL.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downward(path: Path) -> None:
    name = top_name(path)
    assert not any(imported.startswith(".") for imported in imports_of(path.read_text())), "absolute imports only"
    for used in rooms_used(path):
        assert LEVEL[used] < LEVEL[name], f"{name} imports {used}"


def test_ray_stays_in_its_rooms() -> None:
    for path in [*MODULES, *(ROOT / "experiments").rglob("*.py")]:
        if not path.is_relative_to(PACKAGE / "cluster"):
            assert "ray" not in libraries_used(path), path


def test_reports_read_stores_only() -> None:
    for path in (PACKAGE / "report").rglob("*.py"):
        assert rooms_used(path) <= {
            "errors",
            "config",
            "methods",
            "records",
            "stages",
            "tasks",
            "mazes",
            "store",
            "files",
            "lazy",
        }, path
        assert not {"torch", "ray"} & libraries_used(path), path


def test_the_method_touches_no_file() -> None:
    for path in (PACKAGE / "method").rglob("*.py"):
        assert not FILE_BOUND & libraries_used(path), path
        assert rooms_used(path) <= {"errors", "config", "lazy"}, path
        called = {node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        assert not any(isinstance(function, ast.Name) and function.id in ("open", "print") for function in called), path
        saving = {"save", "load", "savez", "tofile", "fromfile"}
        assert not any(isinstance(function, ast.Attribute) and function.attr in saving for function in called), path


def test_every_library_belongs_to_the_core_or_to_an_extra() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    core = {text.partition(">=")[0] for text in listed}
    elsewhere = {"gym", "d4rl", "mujoco_py", "grpc", "yaml"}  # in the environment of D4RL's own simulator; brought by Ray
    for path in MODULES:
        foreign = libraries_used(path) - set(sys.stdlib_module_names) - {"ailot_ray"}
        assert foreign <= core | EXTRA_OF.keys() | elsewhere, path
    assert not core & EXTRA_OF.keys()


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import ailot_ray", ("torch", "ray", "gymnasium", "pyarrow")),
        ("import ailot_ray.config, ailot_ray.tasks, ailot_ray.resolve, ailot_ray.store", ("torch", "ray", "gymnasium")),
        ("import ailot_ray.report.figures.overview, ailot_ray.report.page.server", ("torch", "ray", "gymnasium")),
        ("import ailot_ray.method.iql, ailot_ray.method.icvf", ("ray", "gymnasium", "pyarrow", "h5py")),
        ("import ailot_ray.pipeline", (*EXTRA_OF, "sklearn", "jax")),
    ],
)
def test_what_an_import_loads(statement: str, absent: tuple[str, ...]) -> None:
    code = f"import sys; {statement}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["ailot_ray", "ailot_ray.cluster", "ailot_ray.pipeline"])
def test_a_public_name_is_never_the_module_of_the_same_name(package: str) -> None:
    """As it would be where a lazy package has a function and a module called alike: the module is found first."""
    code = f"import types, {package} as p\n" + (
        f"for name in p.__all__:\n    found = {{}}; exec(f'from {package} import {{name}}', found)\n"
        "    assert not isinstance(found[name], types.ModuleType), name"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
