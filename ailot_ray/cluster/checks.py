"""What doctor looks at on one machine. No Ray here: the driver and every node run these functions, and so do tests.

What may crash or hang (CUDA, a simulator, OpenGL) runs in a process of its own: a crash is then a finding like any other.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ailot_ray
from ailot_ray.cluster.facts import differences
from ailot_ray.data.builtin import read_builtin
from ailot_ray.errors import AilotError
from ailot_ray.tasks import TASKS, get_task

GIBIBYTE = 1 << 30
LOCOMOTION, ADROIT = "hopper-builtin", "door-human-v1"
"""Tasks that stand for their simulators."""
SAME_PACKAGES = "install the same requirements.txt and the same project there (`ray up` does), then restart Ray on that node"
DATA_REMEDY = "install ailot_ray again there, and check --data-dir"
PACKAGES_REMEDY = "run `pip install -r requirements.txt` there"

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
for name in sys.argv[1:]:
    env = make_env(get_task(name))
    env.reset(seed=0)
    for step in range(5):
        observation, *_ = env.step(np.zeros(env.action_space.shape, np.float32))
    if not np.isfinite(observation).all():
        sys.exit(f"{get_task(name).environment} has states that are not finite")
    env.close()
"""
_DRAW = """
import sys
from ailot_ray.envs import make_env
from ailot_ray.tasks import get_task
env = make_env(get_task(sys.argv[1]), render=True)
env.reset(seed=0)
if not env.render().any():
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


def perform(checks: Mapping[str, Check], seconds: float) -> dict[str, Outcome]:
    """Run `checks` side by side; one that raises, or takes more than `seconds`, has failed."""
    found: dict[str, Outcome] = {}

    def run(name: str, check: Check) -> None:
        try:
            found[name] = check.run()
        except AilotError as error:
            found[name] = failed(error, check.remedy)
        except Exception as error:
            found[name] = Outcome(False, reason(error), check.remedy)

    # Daemons, not an executor: a thread that hangs (a dead file server) must not keep the process from ending.
    threads = {name: threading.Thread(target=run, args=(name, check), daemon=True) for name, check in checks.items()}
    for thread in threads.values():
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads.values():
        thread.join(max(0.0, end - time.monotonic()))
    return {
        name: found.get(name) or Outcome(False, f"no result within {seconds:g} s", check.remedy)
        for name, check in checks.items()
    }


def failed(error: AilotError, remedy: str = "") -> Outcome:
    """An error of this package as a failed check: what follows its last colon is its remedy."""
    detail, _, own = str(error).rpartition(": ")
    return Outcome(False, detail, own) if detail else Outcome(False, own, remedy)


def reason(error: BaseException) -> str:
    """An error in one line: of a message with a traceback the last line, which is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    name = type(error).__name__
    if len(lines) > 1 or (lines and type(error) in (RuntimeError, TimeoutError)):
        return lines[-1]
    return f"{name}: {lines[0]}" if lines else name


def run_script(script: str, *arguments: str, seconds: float, **environment: str | None) -> str:
    """Standard output of a Python `script`; None in `environment` unsets a variable.

    Raises RuntimeError with its last line, or with the signal that ended it, and subprocess.TimeoutExpired.
    """
    here = str(Path(ailot_ray.__file__).parents[1])
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {**os.environ, "PYTHONPATH": path, **environment}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
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


def hardware(offered: Mapping[str, float], meminfo: Path = Path("/proc/meminfo")) -> Outcome:
    """Cores and memory. `offered` is what Ray schedules here."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    detail = f"{cores} cores (Ray offers {offered.get('CPU', 0):g})"
    if not meminfo.exists():
        return Outcome(True, detail)
    lines = (line.split() for line in meminfo.read_text().splitlines())
    amounts = {name.rstrip(":"): int(kibibytes) / (1 << 20) for name, kibibytes, *_ in lines}
    available = amounts["MemAvailable"]
    detail += f", {available:.1f} of {amounts['MemTotal']:.1f} GiB memory available"
    enough = available >= 1
    return Outcome(enough, detail, "" if enough else "end other programs there, or take a machine with more memory")


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
    if not names:
        return Outcome(None, f"none ({build})")
    spare = f" (Ray offers {offered:g})" if len(names) > offered else ""
    return Outcome(True, f"{len(names)} × {', '.join(dict.fromkeys(names))}{spare}, {build}")


def simulators(seconds: float) -> Outcome:
    """Whether Hopper steps, and door where gymnasium-robotics is there."""
    adroit = importlib.util.find_spec("gymnasium_robotics") is not None
    chosen = [LOCOMOTION, ADROIT] if adroit else [LOCOMOTION]
    run_script(_SIMULATE, *chosen, seconds=seconds)
    detail = " and ".join(get_task(name).environment for name in chosen) + " step"
    return Outcome(True, detail if adroit else f"{detail}s; no gymnasium-robotics, so no Adroit scores")


def rendering(seconds: float) -> Outcome:
    """Whether MuJoCo draws a frame with the backend that a video would take."""
    chosen = os.environ.get("MUJOCO_GL")
    failures = []
    for backend in dict.fromkeys([*([chosen] if chosen else []), "egl", "osmesa"]):
        try:
            run_script(_DRAW, LOCOMOTION, seconds=seconds / 3, MUJOCO_GL=backend)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failures.append(f"{backend}: {reason(error)}")
            continue
        if chosen in (None, backend):
            return Outcome(True, f"{backend} draws a frame (videos only)")
        remedy = f"set MUJOCO_GL={backend}, which works there, before Ray starts"
        return Outcome(False, f"MUJOCO_GL={chosen} draws nothing (videos only; scores need none)", remedy)
    remedy = "`apt-get install libegl1` or `libosmesa6` there"
    return Outcome(False, f"no frame (videos only; scores need none): {'; '.join(failures)[:300]}", remedy)


def files_in(data_dir: Path) -> set[str]:
    """Names of the tasks' own files that lie in `data_dir`."""
    return {task.file_name for task in TASKS.values() if task.file_name and (data_dir / task.file_name).is_file()}


def datasets(data_dir: Path, wanted: Sequence[str], on_driver: Collection[str]) -> Outcome:
    """Whether the built-in set is readable, and the files of the tasks `wanted`, and those the driver has, are there."""
    builtin = read_builtin(get_task(LOCOMOTION))
    here = files_in(data_dir)
    needed = {name: get_task(name).file_name for name in wanted}
    if missing := [f"{name} ({file})" for name, file in needed.items() if file and file not in here]:
        task = next(name for name, file in needed.items() if file and file not in here)
        remedy = f"`python -m ailot_ray data fetch --task {task} --data-dir {data_dir}`, or another --data-dir"
        return Outcome(False, f"{data_dir} lacks {', '.join(missing)}", remedy)
    if lacking := sorted(set(on_driver) - here):
        remedy = "put --data-dir on storage that every node shares, at the same path"
        return Outcome(False, f"{data_dir} lacks {_some(lacking)}, which the driver has there", remedy)
    files = f"{_some(sorted(here))} in {data_dir}" if here else f"no task's file in {data_dir}"
    return Outcome(True, f"built-in set reads ({len(builtin):,} transitions); {files}")


def dashboard(address: str | None, token_required: bool) -> Outcome:
    """Whether others on the network could run code through Ray's dashboard. `address` is host:port, nothing where it is off."""
    guard = "token authentication is on" if token_required else "token authentication is off"
    if not address:
        return Outcome(None, f"no dashboard; {guard}")
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost" or host.startswith("127.") or host == "::1":
        return Outcome(True, f"{address}, this machine only; {guard}")
    if token_required:
        return Outcome(True, f"{address}, open to the network; {guard}")
    remedy = (
        "start Ray with --dashboard-host 127.0.0.1 (reach it through `ray dashboard`), and RAY_AUTH_MODE=token on every node"
    )
    return Outcome(False, f"{address} is open to the network and {guard}: whoever reaches it can run code", remedy)


def clock(offset: float, uncertainty: float, limit: float = 5.0) -> Outcome:
    """Whether a node's clock, `offset` ± `uncertainty` seconds ahead of the driver's, is near enough."""
    detail = f"{offset:+.1f} s from the driver's (± {uncertainty:.1f})"
    if abs(offset) - uncertainty > limit:
        return Outcome(False, detail, "keep time with chrony or systemd-timesyncd there: logs and tokens go by the clock")
    return Outcome(True, detail)


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
