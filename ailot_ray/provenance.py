"""Which code and which machine made something: facts that stand beside an artefact and are no part of it."""

import functools
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from ailot_ray.records import CodeVersion, RunRecord


def run_facts(amount: int, sources: Mapping[str, str]) -> RunRecord:
    """When, where and with what something has just been made; its seconds are the caller's to know."""
    return RunRecord(
        finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds=0.0,
        host=platform.node(),
        machine=f"{platform.machine()}, {os.cpu_count()} cores{_gpus()}",
        python=platform.python_version(),
        packages={name: _version(name) for name in ("torch", "numpy", "mujoco", "gymnasium")},
        amount=amount,
        sources=dict(sources),
    )


def _gpus() -> str:
    """Names of the GPUs that torch sees, where it is loaded at all: an artefact made with it has loaded it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return ""
    return "".join(f", {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count()))


@functools.cache
def code_version() -> CodeVersion:
    """The package's version and, where it runs from a git checkout, the commit and whether files have changed since."""
    version = _version("ailot-ray") or "unknown"
    home = Path(__file__).parent
    commit = _git(home, "rev-parse", "HEAD")
    if not commit or not _git(home, "ls-files", "store.py"):  # none, or the repository of somebody else around it
        return CodeVersion(version)
    return CodeVersion(version, commit, bool(_git(home, "status", "--porcelain", "--", ".")))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    """None where it is not installed: a machine that only trains needs no simulator."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
