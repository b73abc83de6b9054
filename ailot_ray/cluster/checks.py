"""What doctor looks at on one machine. No Ray here: the driver and every node run these functions, and so do tests.

What may crash or hang (CUDA, a simulator, OpenGL) runs in a process of its own: a crash is then a finding like any other.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ailot_ray
from ailot_ray.cluster.facts import differences
from ailot_ray.data.builtin import read_builtin
from ailot_ray.errors import AilotError, one_line
from ailot_ray.minari_fetch import no_download
from ailot_ray.tasks import get_task

LOCOMOTION, ADROIT = "hopper-builtin", "door-human-v1"
"""Tasks that stand for their simulators."""
SAME_PACKAGES = "install the same requirements.txt and the same project there (`ray up` does), then restart Ray on that node"
PACKAGES_REMEDY = "run `pip install -r requirements.txt` there"
DRAW_REMEDY = "`apt-get install libegl1` or `libosmesa6` there"

_GPUS = """
import json, warnings
import torch
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    reasons = [str(warning.message) for warning in caught if "CUDA" in str(warning.message)]
    try:
        names = [torch.cuda.get_device_name(index) for index in range(count)]
        for index in range(count):
            torch.ones(8, device=f"cuda:{index}").sum().item()
    except Exception as error:
        names, reasons = [], [str(error)]
print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda, "names": names, "reason": " ".join(reasons)}))
"""
_SIMULATE = """
import sys
import numpy as np
from ailot_ray.envs import make_env
from ailot_ray.tasks import get_task
render, *names = sys.argv[1:]
for name in names:
    env = make_env(get_task(name), render=bool(render))
    env.reset(seed=0)
    observation, *_ = env.step(np.zeros(env.action_space.shape, np.float32))
    if not np.isfinite(observation).all():
        sys.exit(f"{get_task(name).environment} has states that are not finite")
    if render and not env.render().any():
        sys.exit("the frame is black")
"""


class Outcome(NamedTuple):
    """What a check found: passed, failed, or (None) does not apply; a failed one has a remedy."""

    ok: bool | None
    detail: str
    remedy: str = ""


class Check(NamedTuple):
    run: Callable[[], Outcome]
    remedy: str
    """What to do where the check itself breaks."""


def run_checks(checks: Mapping[str, Check]) -> dict[str, Outcome]:
    """Run `checks` one after another; one that raises has failed."""
    found = {}
    for name, check in checks.items():
        try:
            found[name] = check.run()
        except AilotError as error:
            found[name] = failed(error, check.remedy)
        except Exception as error:  # whatever a machine may raise is a finding about it
            found[name] = Outcome(False, f"{type(error).__name__}: {one_line(error)}", check.remedy)
    return found


def failed(error: AilotError, remedy: str = "") -> Outcome:
    """An error of this package as a failed check: what follows its last colon is its remedy."""
    detail, _, own = str(error).rpartition(": ")
    return Outcome(False, detail, own) if detail else Outcome(False, own, remedy)


def run_script(script: str, *arguments: str, seconds: float, **environment: str | None) -> str:
    """Standard output of a Python `script`; None in `environment` unsets a variable.

    Raises RuntimeError with its last line, with the signal that ended it, or where it takes more than `seconds`.
    """
    here = str(Path(ailot_ray.__file__).parents[1])
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {name: value for name, value in {**os.environ, "PYTHONPATH": path, **environment}.items() if value is not None}
    command = [sys.executable, "-c", script, *arguments]
    try:
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no result within {seconds:g} s") from None
    if done.returncode < 0:
        raise RuntimeError(f"crashed ({signal.Signals(-done.returncode).name})")
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1])
    return done.stdout


def compare_versions(here: Mapping[str, str], driver: Mapping[str, str]) -> Outcome:
    """Whether a node has the driver's versions."""
    if missing := [name for name, version in here.items() if version == "not installed"]:
        return Outcome(False, f"{', '.join(missing)} not installed", PACKAGES_REMEDY)
    if differing := differences(here, driver):
        return Outcome(False, ", ".join(differing), SAME_PACKAGES)
    return Outcome(True, ", ".join(f"{name} {version}" for name, version in here.items()))


def gpus(offered: float, seconds: float) -> Outcome:
    """Whether torch can use as many GPUs as Ray says there are."""
    # Ray hides the GPUs from a task that asks for none; asking for them would wait until all of them are free.
    return judge_gpus(offered, json.loads(run_script(_GPUS, seconds=seconds, CUDA_VISIBLE_DEVICES=None)))


def judge_gpus(offered: float, seen: Mapping[str, Any]) -> Outcome:
    """The same, from what torch reported: its version, its CUDA version or None, names of usable GPUs, and why it failed."""
    names = seen["names"]
    build = f"torch {seen['torch']}" + (f" for CUDA {seen['cuda']}" if seen["cuda"] else ", the CPU build")
    if offered and not seen["cuda"]:
        remedy = "install torch's CUDA build there (pytorch.org/get-started), or start Ray with --num-gpus 0"
        return Outcome(False, f"Ray offers {offered:g}, but this is {build}", remedy)
    if seen["reason"]:
        remedy = "update the NVIDIA driver there, or install the torch build for the driver's CUDA"
        return Outcome(False, f"{build}, cannot use the GPU: {' '.join(seen['reason'].split())[:200]}", remedy)
    if len(names) < offered:
        remedy = "check `nvidia-smi` there, and start Ray with --num-gpus set to what works"
        return Outcome(False, f"Ray offers {offered:g}, but {build}, sees {len(names)}", remedy)
    return (
        Outcome(True, f"{len(names)} × {', '.join(dict.fromkeys(names))}, {build}")
        if names
        else Outcome(None, f"none ({build})")
    )


def simulators(seconds: float) -> Outcome:
    """Whether Hopper steps, and door where gymnasium-robotics is there."""
    adroit = importlib.util.find_spec("gymnasium_robotics") is not None
    chosen = [LOCOMOTION, ADROIT] if adroit else [LOCOMOTION]
    run_script(_SIMULATE, "", *chosen, seconds=seconds)
    detail = " and ".join(get_task(name).environment for name in chosen) + " step"
    return Outcome(True, detail if adroit else f"{detail}s; no gymnasium-robotics, so no Adroit scores")


def rendering(seconds: float) -> Outcome:
    """Whether MuJoCo draws a frame with the backend that a video would take."""
    chosen = os.environ.get("MUJOCO_GL")
    failures = []
    for backend in dict.fromkeys([*([chosen] if chosen else []), "egl", "osmesa"]):
        try:
            run_script(_SIMULATE, "render", LOCOMOTION, seconds=seconds / 3, MUJOCO_GL=backend)
        except RuntimeError as error:
            failures.append(f"{backend}: {one_line(error)}")
            continue
        if chosen in (None, backend):
            return Outcome(True, f"{backend} draws a frame (videos only)")
        remedy = f"set MUJOCO_GL={backend}, which works there, before Ray starts"
        return Outcome(False, f"MUJOCO_GL={chosen} draws nothing (videos only; scores need none)", remedy)
    return Outcome(False, f"no frame (videos only; scores need none): {'; '.join(failures)[:300]}", DRAW_REMEDY)


def datasets(data_dir: Path, wanted: Sequence[str]) -> Outcome:
    """Whether the built-in set is readable, and the files of the tasks `wanted` are in `data_dir`."""
    builtin = read_builtin(get_task(LOCOMOTION))
    with no_download():
        files = {name: get_task(name).file_name for name in wanted}
    if missing := {name: file for name, file in files.items() if file and not (data_dir / file).is_file()}:
        remedy = f"`python -m ailot_ray data fetch --task {next(iter(missing))} --data-dir {data_dir}`, or another --data-dir"
        return Outcome(False, f"{data_dir} lacks {', '.join(f'{name} ({file})' for name, file in missing.items())}", remedy)
    there = f"; {len(files)} files asked for are in {data_dir}" if files else ""
    return Outcome(True, f"built-in set reads ({len(builtin):,} transitions){there}")


def dashboard(address: str | None, token_required: bool) -> Outcome:
    """Whether others on the network could run code through Ray's dashboard. `address` is host:port, nothing where it is off."""
    guard = f"token authentication is {'on' if token_required else 'off'}"
    if not address:
        return Outcome(None, f"no dashboard; {guard}")
    host = address.rpartition(":")[0].strip("[]")
    if host in ("localhost", "::1") or host.startswith("127."):
        return Outcome(True, f"{address}, this machine only; {guard}")
    if token_required:
        return Outcome(True, f"{address}, open to the network; {guard}")
    remedy = (
        "start Ray with --dashboard-host 127.0.0.1 (reach it through `ray dashboard`), and RAY_AUTH_MODE=token on every node"
    )
    return Outcome(False, f"{address} is open to the network and {guard}: whoever reaches it can run code", remedy)
