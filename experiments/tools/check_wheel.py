"""Build the wheel, install it into bare environments, and do there what the README promises.

    python experiments/tools/check_wheel.py                            # the core alone, at the newest versions
    python experiments/tools/check_wheel.py --extras page d4rl         # and each of these extras alone beside the core
    python experiments/tools/check_wheel.py --extras all --oldest      # at the lowest versions of the ranges
    python experiments/tools/check_wheel.py --python python3.13

Nothing of the checkout is imported: commands run in an empty folder, with the environment's own Python. The standard library
alone is needed to run it, and pip.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = "--icvf.steps 20 --iql.steps 20 --iql.snapshots 1 --evaluation.episodes 1"
CORE = (
    "ailot-ray --version",
    "ailot-ray --help",
    "ailot-ray tasks --task hopper-builtin",
    "ailot-ray settings",
    "ailot-ray sweep --help",
    "ailot-ray sweep tau --dry-run --task hopper-builtin",
    f"ailot-ray relabel --task hopper-builtin {TINY}",
    f"ailot-ray train --task hopper-builtin --method otr {TINY} --workers 1",
)
"""What works without any extra."""
_OGBENCH = (
    "from ailot_ray.envs import make_env; from ailot_ray.tasks import get_task; "
    "make_env(get_task('pointmaze-medium-navigate-singletask-task1-v0')).close()"
)
_COLLECT = "ailot-ray data collect --env Hopper-v4 --policy random --transitions 300 --output random.hdf5"
_EVALUATE = f"ailot-ray evaluate --task hopper-builtin --method bc {TINY} --workers 1"
_REWARDS = f"ailot-ray relabel --task hopper-builtin --method otr {TINY} --workers 1"
_HTML = "ailot-ray results --html page.html"
EXTRAS: dict[str, tuple[str, ...]] = {
    "ray": (f"ailot-ray train --task hopper-builtin --method bc {TINY} --seeds 0 1 --workers 2",),
    "page": (_REWARDS, _HTML),
    "d4rl": (_COLLECT, "ailot-ray data inspect --task hopper-medium-v2 --data random.hdf5", _EVALUATE),
    "minari": ("python -c 'import minari, huggingface_hub'", _COLLECT),
    "ogbench": (f'python -c "{_OGBENCH}"',),
    "trackers": ("python -c 'import wandb, tensorboard'",),
    "pot": (f"{_REWARDS} --transport.solver exact",),
    "all": (_EVALUATE, f"ailot-ray run --task hopper-builtin --methods bc otr {TINY} --workers 2", _HTML),
}
"""What works with an extra alone."""
REFUSED = {"ray": "ailot-ray doctor", "page": _HTML, "d4rl": _EVALUATE, "minari": "ailot-ray data inspect --task minari:a/b-v0"}
"""What the core alone refuses, in one line that names the extra."""


def main() -> int:
    """Check what the arguments ask for; the exit status is that of the first failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", nargs="*", default=[], choices=EXTRAS, help="extras to install, each alone")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that makes the environments")
    parser.add_argument("--oldest", action="store_true", help="the lowest versions of the ranges, not the newest")
    parser.add_argument("--keep", type=Path, help="a folder for the environments, kept and used again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.keep or Path(scratch)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        source = Path(scratch) / "source"  # a copy, so that the build leaves nothing in the checkout
        for name in ("ailot_ray", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
            shutil.copytree(ROOT / name, source / name) if (ROOT / name).is_dir() else shutil.copy(ROOT / name, source)
        run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(source)], folder)
        wheel = max(folder.glob("ailot_ray-*.whl"), key=lambda path: path.stat().st_mtime)
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
        limits = ["-c", str(lowest(folder))] if given.oldest else []
        core = Environment(folder / "core", given.python)
        core.install(str(wheel), limits)
        check_core(core)
        for extra in given.extras:
            beside = Environment(folder / extra, given.python, core)
            beside.install(str(wheel), ["--no-deps", "--force-reinstall"])  # its script, for this environment
            beside.install(f"{wheel}[{extra}]", limits)
            for command in EXTRAS[extra]:
                beside.do(command)
    print("all of it works")
    return 0


def lowest(folder: Path) -> Path:
    """A file of constraints to the lowest version of every range in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for texts in project["optional-dependencies"].values() for text in texts)]
    found = {match[1]: match[2] for text in texts if (match := re.match(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", text))}
    path = folder / "lowest.txt"
    path.write_text("".join(f"{name}=={version}{'' if version.count('.') > 1 else '.*'}\n" for name, version in found.items()))
    return path


class Environment:
    """A virtual environment with nothing in it, or with nothing but what another one has."""

    def __init__(self, folder: Path, python: str, below: "Environment | None" = None) -> None:
        self.folder, self.work = folder, folder / "work"
        if not (folder / "bin" / "pip").exists():
            run([python, "-m", "venv", str(folder)], folder.parent)
        self.work.mkdir(exist_ok=True)
        if below:  # pip and Python both look there, so that the core is not installed twice
            (self.packages() / "core.pth").write_text(f"{below.packages()}\n")

    def packages(self) -> Path:
        return next(self.folder.glob("lib/python3*/site-packages"))

    def install(self, what: str, limits: list[str]) -> None:
        begun = time.monotonic()
        run([str(self.folder / "bin/pip"), "install", "-q", *limits, what], self.work)
        print(f"{self.folder.name}: installed in {time.monotonic() - begun:.0f} s")

    def do(self, command: str, fails_with: str = "") -> None:
        """Run a command as a user in this environment would. SystemExit where it fails, or does not fail as it should."""
        begun, path = time.monotonic(), f"{self.folder / 'bin'}:{os.environ['PATH']}"
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {"PATH": path}
        done = subprocess.run(command, shell=True, cwd=self.work, env=variables, capture_output=True, text=True)
        told = [line for line in done.stderr.splitlines() if line.startswith("ailot_ray:")]
        good = done.returncode == 0 if not fails_with else len(told) == 1 and fails_with in told[0]
        print(f"{self.folder.name}: {time.monotonic() - begun:5.1f} s  {command}" + (f"\n    {told[0]}" if told else ""))
        if not good or "Traceback" in done.stderr:
            sys.exit(f"{self.folder.name}: {command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}\nstatus {done.returncode}")


def check_core(core: Environment) -> None:
    """The README's lines of Python, the verbs that need nothing more, and how the others refuse."""
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block, "README.md has no block of Python"
    (core.work / "readme.py").write_text(block[1])
    for command in ("python readme.py", *CORE):
        core.do(command)
    for extra, command in REFUSED.items():
        core.do(command, fails_with=f"pip install 'ailot-ray[{extra}]'")


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    sys.exit(main())
