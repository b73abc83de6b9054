"""Which of the two physics a file was recorded in (docs/fidelity.md): recorded steps, taken again in both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from ailot_ray.config import PlayedPhysics
from ailot_ray.data.recorded import Recording, read_recording
from ailot_ray.data.trajectories import Dataset
from ailot_ray.envs import make_env
from ailot_ray.envs.adroit import ADROIT
from ailot_ray.envs.states import DOOR, RECORDED, State, joints_told, set_scene, set_state, tells_state, tells_velocities
from ailot_ray.errors import DataError
from ailot_ray.tasks import Task, get_task

SAMPLES, FEW = 1000, 48
"""Steps that are taken again at most; before an evaluation."""
SAME_ERROR, SIMILAR_ERROR = 1e-5, 1e-3
"""Median errors up to which the simulator is the file's, and up to which it is nearly: float32 states give 2e-7 to 7e-7 in the
same physics; another mass, gravity or time step gives more than 1e-2."""
REST_STEPS, REST_FITS, REST_NEAR = 20, 1e-2, 3e-2
"""A hand's observation does not tell velocities: the beginnings of demonstrations are played from rest, and the error of that
shrinks again, since actions are positions that the hand is drawn to."""
MIN_LEAD = 0.005
"""Share of steps by which one physics must repeat more than the other to be the file's."""
PHYSICS: tuple[PlayedPhysics, ...] = get_args(PlayedPhysics)


@dataclass(frozen=True)
class Errors:
    """Largest absolute errors of an observation's components after the steps: their median and maximum over the starts."""

    median: float
    maximum: float
    repeated: float
    """Share of the starts whose error is that of the same physics."""


@dataclass(frozen=True)
class PhysicsReport:
    """What comes of recorded states and actions in both physics."""

    environment: str
    state_from: str
    """What the simulator was set to: ``infos/qpos and infos/qvel``, or ``observations``."""
    starts: int
    """Recorded states that the simulator was set to."""
    steps: int
    """Recorded actions that were played from each."""
    state_error: float
    """Median error of the simulator's own observation once it is set, before any step."""
    errors: dict[str, Errors]
    """By physics."""
    physics: PlayedPhysics | None
    """The one that repeats more steps; None where both repeat as many."""
    verdict: str
    """``fits``, ``near`` or ``differs``: the better one's."""

    @property
    def best(self) -> Errors:
        return self.errors[self.physics or PHYSICS[-1]]


def check_physics(dataset: Dataset, seed: int = 0) -> PhysicsReport:
    """Set the simulator of the dataset's task to the states of its file, play the actions and compare observations.

    One step from up to 1,000 random rows; of the Adroit hand, where no velocities are recorded, the first 20 of every episode.
    Raises DataError where the file does not tell the states, SimulatorError as make_env does.
    """
    task = get_task(dataset.task)
    if task.domain == "custom" or task.environment not in RECORDED:
        raise DataError(f"{dataset.source}: --physics cannot set {task.environment} to recorded states; it can in D4RL's tasks")
    if not h5py.is_hdf5(dataset.source):
        raise DataError(f"{dataset.source}: --physics reads files in D4RL's HDF5 schema alone; give one with --data")
    recording = read_recording(Path(dataset.source), task)
    if recording.state is None and task.environment in ADROIT and task.environment != DOOR:
        raise DataError(
            f"{dataset.source}: --physics needs infos/qpos and infos/qvel for {task.environment}, and it has not both"
        )
    return _compare(task, recording, SAMPLES, seed)


def told_physics(dataset: Dataset) -> PlayedPhysics | None:
    """The physics that a few steps of a dataset repeat in, asked once for each; None where they do not tell.

    They do in locomotion and AntMaze; the Adroit hand's observations do not tell its velocities.
    """
    task = get_task(dataset.task)
    if task.domain == "custom" or task.environment not in RECORDED or not tells_velocities(task.environment):
        return None
    if dataset.digest not in _TOLD:
        successors = np.where(dataset.successor_known[:, None], dataset.next_observations, np.float32(np.nan))
        starts = np.isin(np.arange(len(dataset)), dataset.offsets[:-1])
        recording = Recording(dataset.source, dataset.observations, dataset.actions, successors, starts, None)
        try:
            report = _compare(task, recording, FEW, 0)
        except DataError:
            return None
        _TOLD[dataset.digest] = report.physics if report.verdict == "fits" else None
    return _TOLD[dataset.digest]


_TOLD: dict[str, PlayedPhysics | None] = {}


def _compare(task: Task, recording: Recording, samples: int, seed: int) -> PhysicsReport:
    known = recording.state is not None or tells_velocities(task.environment)
    steps = 1 if known else REST_STEPS
    rows = _rows(task, recording, steps, samples, seed)
    found: dict[str, Errors] = {}
    fits, near = (SAME_ERROR, SIMILAR_ERROR) if known else (REST_FITS, REST_NEAR)
    for physics in PHYSICS:
        env = make_env(task, physics=physics)
        try:
            errors = _errors(env.unwrapped, task.environment, recording, rows, steps)
        finally:
            env.close()
        state_error, median = np.median(errors, axis=0)
        found[physics] = Errors(float(median), float(errors[:, 1].max()), float(np.mean(errors[:, 1] <= fits)))
    theirs, today = (found[physics] for physics in PHYSICS)
    lead = theirs.repeated - today.repeated
    better = None if abs(lead) < MIN_LEAD else PHYSICS[0] if lead > 0 else PHYSICS[1]
    largest = max(min(theirs.median, today.median) if better is None else found[better].median, float(state_error))
    return PhysicsReport(
        environment=task.environment,
        state_from="observations" if recording.state is None else "infos/qpos and infos/qvel",
        starts=len(rows),
        steps=steps,
        state_error=float(state_error),
        errors=found,
        physics=better,
        verdict="fits" if largest <= fits else "near" if largest <= near else "differs",
    )


def _rows(task: Task, recording: Recording, steps: int, samples: int, seed: int) -> NDArray[np.int64]:
    """The rows to start from: their states are told, and they have `steps` successors in the same episode."""
    usable = np.all(np.isfinite(recording.successors), axis=1, keepdims=True)[:, 0]
    if recording.state is None:
        usable &= tells_state(task.environment, recording.observations)
    if steps > 1:
        last = np.append(recording.starts[1:], True)
        whole = [
            usable[row : row + steps].sum() == steps and not last[row : row + steps - 1].any() for row in range(len(usable))
        ]
        usable = recording.starts & np.array(whole)
    rows = np.flatnonzero(usable)
    if len(rows) > samples:
        rows = np.sort(np.random.default_rng(seed).choice(rows, samples, replace=False))
    if len(rows) == 0:
        raise DataError(f"{recording.source}: --physics finds no step whose state and successor the file tells; check the file")
    return rows


def _errors(simulator: Any, name: str, recording: Recording, rows: NDArray[np.int64], steps: int) -> NDArray[np.float64]:
    """Errors of the observation at each row, and of that after the steps, (rows, 2)."""
    simulator.reset(seed=0)
    _check_sizes(simulator, recording)
    begun = np.maximum.accumulate(np.where(recording.starts, np.arange(len(recording.starts)), 0))
    told = joints_told(name, recording.observations.shape[1])
    errors, episode = np.empty((len(rows), 2)), -1
    for number, row in enumerate(rows):
        observation = recording.observations[row].astype(np.float64)
        if name in ADROIT and begun[row] != episode:
            episode = int(begun[row])
            set_scene(simulator, name, recording.observations[episode].astype(np.float64), _state(recording, episode))
        if name not in ADROIT or recording.state is not None:
            set_state(simulator, name, observation, _state(recording, int(row)))
        errors[number, 0] = np.abs(simulator._get_obs() - observation)[:told].max()
        for step in range(row, row + steps):
            reached = simulator.step(recording.actions[step])[0]
        errors[number, 1] = np.abs(reached - recording.successors[row + steps - 1]).max()
    return errors


def _state(recording: Recording, row: int) -> State | None:
    return None if recording.state is None else (recording.state[0][row], recording.state[1][row])


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
    """The report as lines of `data inspect`, the verdict last, with what to do where neither physics fits."""
    played = "one step" if report.steps == 1 else f"{report.steps} steps"
    which = f"--evaluation.physics {report.physics}" if report.physics else "--evaluation.physics d4rl and mujoco alike"
    lines = {
        "physics": f"{report.environment} set to {report.starts:,} recorded states from {report.state_from}",
        "error as set": f"median {report.state_error:.1e}",
    }
    for physics, found in report.errors.items():
        text = f"median {found.median:.1e}   max {found.maximum:.1e}   {found.repeated:.1%} repeated"
        lines[f"{played}, {physics}"] = text
    lines["verdict"] = {
        "fits": f"recorded in this simulator ({which})",
        "near": f"recorded in nearly this simulator ({which}; another version of MuJoCo?): compare scores with caution",
        "differs": "warning: recorded in another simulator; check --task and --data, or evaluate policies there",
    }[report.verdict]
    if report.steps > 1:
        lines["verdict"] += " as far as its observations tell: velocities are not recorded, 0 was taken"
    return "\n".join(f"{name:<20}{value}" for name, value in lines.items())
