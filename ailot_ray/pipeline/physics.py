"""Whether a file was recorded in the simulator that its task is evaluated in: recorded steps, taken again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ailot_ray.data.recorded import Recording, read_recording
from ailot_ray.data.trajectories import Dataset
from ailot_ray.envs import make_env
from ailot_ray.envs.states import RECORDED, only_at_starts, set_state, tells_state, tells_velocities
from ailot_ray.errors import DataError
from ailot_ray.progress import progress_bar
from ailot_ray.tasks import Task, get_task

SAMPLES = 1000
"""Steps that are taken again at most."""
SAME_ERROR, SIMILAR_ERROR = 1e-5, 1e-3
"""Median errors up to which the simulator is the file's, and up to which it is nearly: float32 states give 2e-7 to 7e-7 in the
same MuJoCo; another mass, gravity or time step gives more than 1e-2."""
DOOR_STEPS, DOOR_FITS, DOOR_NEAR = 20, 1e-2, 3e-2
"""A door's observation does not tell velocities: the beginnings of demonstrations are played from rest, and the error of that
shrinks again, since actions are positions that the hand is drawn to."""


@dataclass(frozen=True)
class PhysicsReport:
    """Errors are the largest absolute one of an observation's components; their median and maximum are over the starts."""

    environment: str
    state_from: str
    """What the simulator was set to: ``infos/qpos and infos/qvel``, or ``observations``."""
    starts: int
    """Recorded states that the simulator was set to."""
    steps: int
    """Recorded actions that were played from each."""
    state_error: float
    """Median error of the simulator's own observation once it is set, before any step."""
    median: float
    """Median error after the steps."""
    maximum: float
    verdict: str
    """``fits``, ``near`` or ``differs``."""


def check_physics(dataset: Dataset, seed: int = 0) -> PhysicsReport:
    """Set the simulator of the dataset's task to the states of its file, play the actions and compare observations.

    One step from up to 1,000 random rows; of the door the first step of every episode, or the first 20 where no velocities are
    recorded.
    Raises DataError where the file does not tell the states, SimulatorError as make_env does.
    """
    task = get_task(dataset.task)
    name = task.environment
    if name not in RECORDED:
        raise DataError(
            f"{dataset.source}: --physics cannot set {name} to recorded states; it can in locomotion, AntMaze and door tasks"
        )
    if not h5py.is_hdf5(dataset.source):
        raise DataError(f"{dataset.source}: --physics reads files in D4RL's HDF5 schema alone; give one with --data")
    recording = read_recording(Path(dataset.source), task)
    known = recording.state is not None or tells_velocities(name)
    steps = 1 if known else DOOR_STEPS
    rows = _rows(task, recording, steps, seed)
    env = make_env(task)
    try:
        errors = _errors(env.unwrapped, name, recording, rows, steps)
    finally:
        env.close()
    state_error, median = np.median(errors, axis=0)
    fits, near = (SAME_ERROR, SIMILAR_ERROR) if known else (DOOR_FITS, DOOR_NEAR)
    largest = max(median, state_error)
    return PhysicsReport(
        environment=name,
        state_from="observations" if recording.state is None else "infos/qpos and infos/qvel",
        starts=len(rows),
        steps=steps,
        state_error=float(state_error),
        median=float(median),
        maximum=float(errors[:, 1].max()),
        verdict="fits" if largest <= fits else "near" if largest <= near else "differs",
    )


def _rows(task: Task, recording: Recording, steps: int, seed: int) -> NDArray[np.int64]:
    """The rows to start from: their states are told, and they have `steps` successors in the same episode."""
    usable = np.all(np.isfinite(recording.successors), axis=1, keepdims=True)[:, 0]
    if recording.state is None:
        usable &= tells_state(task.environment, recording.observations)
    if only_at_starts(task.environment):
        last = np.append(recording.starts[1:], True)
        whole = [
            usable[row : row + steps].sum() == steps and not last[row : row + steps - 1].any() for row in range(len(usable))
        ]
        usable = recording.starts & np.array(whole)
    rows = np.flatnonzero(usable)
    if len(rows) > SAMPLES:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SAMPLES, replace=False))
    if len(rows) == 0:
        raise DataError(f"{recording.source}: --physics finds no step whose state and successor the file tells; check the file")
    return rows


def _errors(simulator: Any, name: str, recording: Recording, rows: NDArray[np.int64], steps: int) -> NDArray[np.float64]:
    """Errors of the observation at each row, and of that after the steps, (rows, 2)."""
    simulator.reset(seed=0)
    _check_sizes(simulator, recording)
    errors = np.empty((len(rows), 2))
    with progress_bar(len(rows), f"physics {name}", "state") as bar:
        for number, row in enumerate(rows):
            state = None if recording.state is None else (recording.state[0][row], recording.state[1][row])
            observation = recording.observations[row].astype(np.float64)
            set_state(simulator, name, observation, state)
            errors[number, 0] = np.abs(simulator._get_obs() - observation).max()
            for step in range(row, row + steps):
                reached = simulator.step(recording.actions[step])[0]
            errors[number, 1] = np.abs(reached - recording.successors[row + steps - 1]).max()
            bar.update()
    return errors


def _check_sizes(simulator: Any, recording: Recording) -> None:
    if recording.state is None:
        return
    sizes = (simulator.model.nq, simulator.model.nv)
    found = tuple(array.shape[1] for array in recording.state)
    if found != sizes:
        raise DataError(
            f"{recording.source}: infos/qpos and infos/qvel have sizes {found[0]} and {found[1]}, but the simulator has "
            f"{sizes[0]} and {sizes[1]}; check --task and --data"
        )


def format_physics(report: PhysicsReport) -> str:
    """The report as lines of `data inspect`, the verdict last, with what to do where the simulator does not fit."""
    played = "one step" if report.steps == 1 else f"{report.steps} steps"
    lines = {
        "physics": f"{report.environment} set to {report.starts:,} recorded states from {report.state_from}",
        "error as set": f"median {report.state_error:.1e}",
        f"after {played}": f"median {report.median:.1e}   max {report.maximum:.1e}",
        "verdict": {
            "fits": "recorded in this simulator",
            "near": "recorded in nearly this simulator (another version of MuJoCo?): compare scores with caution",
            "differs": "warning: recorded in another simulator; check --task and --data, or evaluate policies there",
        }[report.verdict],
    }
    if report.steps > 1:
        lines["verdict"] += " as far as its observations tell: velocities are not recorded, 0 was taken"
    return "\n".join(f"{name:<20}{value}" for name, value in lines.items())
