"""The method on arrays, without an environment, a file of data or a task: states to rewards, and rewards to a policy."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ailot_ray.config import Config, flatten, with_settings
from ailot_ray.data.builtin import builtin_expert, read_builtin
from ailot_ray.data.trajectories import Dataset, Expert
from ailot_ray.errors import ConfigError, DataError
from ailot_ray.method.iql import DeterministicPolicy
from ailot_ray.methods import get_method
from ailot_ray.pipeline.evaluate import load_policy
from ailot_ray.pipeline.experiment import Experiment
from ailot_ray.pipeline.relabel import load_rewards, relabel
from ailot_ray.pipeline.train import train
from ailot_ray.runtime import choose_device
from ailot_ray.store import Store
from ailot_ray.tasks import Task, get_task


class ExampleArrays(NamedTuple):
    """A dataset and a demonstration, of the shapes that `relabel_arrays` and `train_arrays` take."""

    states: NDArray[np.float32]
    """(N, o), one trajectory after the other."""
    actions: NDArray[np.float32]
    """(N, a), within ±1."""
    lengths: NDArray[np.int64]
    """(E,), steps of each trajectory; their sum is N."""
    expert: NDArray[np.float32]
    """(T, o), the demonstration: states alone."""


def example_arrays() -> ExampleArrays:
    """The built-in data, of a hopping robot that learns to hop, and one good episode: 11 numbers a state, 3 an action."""
    data = read_builtin(get_task("hopper-builtin"))
    return ExampleArrays(data.observations, data.actions, data.lengths, builtin_expert().observations)


def relabel_arrays(
    observations: ArrayLike,
    lengths: ArrayLike,
    experts: Sequence[ArrayLike],
    store: Store | Path | str,
    config: Config | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """The rewards of a method for states (N, o), one trajectory after the other, of `lengths` (E,) steps each: (N,).

    `experts`: the states (Te, o) of each expert trajectory. `config` chooses the method and its hyperparameters; what it leaves
    open takes the defaults of locomotion. Intents, alignment and rewards are kept in `store`, so that the same arrays are
    relabelled once, and a killed call resumes. Raises DataError for arrays that do not go together, and ConfigError for a
    method without an alignment.

    >>> rewards = relabel_arrays(states, [1000, 987], [expert_states], "store", Config(method="otr"))
    """
    config = config or Config()
    if not get_method(config.method).aligned:
        raise ConfigError(f"method {config.method} has no alignment: choose one that has")
    if not len(experts):
        raise ConfigError("experts is empty: give the states of one trajectory or more")
    dataset = Dataset.from_arrays(observations, lengths=lengths)
    experiment = _open(replace(config, experts=len(experts)), dataset, store)
    size = dataset.observations.shape[1]
    experiment.__dict__["experts"] = tuple(_expert(states, i, size) for i, states in enumerate(experts))
    return load_rewards(relabel(experiment, [seed])[0])


def train_arrays(
    observations: ArrayLike,
    actions: ArrayLike,
    lengths: ArrayLike,
    rewards: ArrayLike,
    store: Store | Path | str,
    config: Config | None = None,
    seed: int = 0,
    terminals: ArrayLike | None = None,
) -> DeterministicPolicy:
    """The policy that IQL learns from states (N, o), actions (N, a) within ±1 and rewards (N,): called with states (n, o), it
    gives its mean actions (n, a).

    `rewards` are learned from as they are, those of `relabel_arrays` or of your own. `terminals` (N,) is true where an episode
    ended because of what happened (a fall), not because time was up; without it every end is a matter of time. `config.iql` has
    the hyperparameters; what it leaves open takes the defaults of locomotion. The policy is kept in `store`: the same arrays
    are learned from once, and a killed call resumes. Raises DataError for arrays that do not go together.

    >>> policy = train_arrays(states, actions, [1000, 987], rewards, "store")
    >>> action = policy(states[:1])[0]
    """
    dataset = Dataset.from_arrays(observations, lengths=lengths, actions=actions, rewards=rewards, terminals=terminals)
    largest = float(np.abs(dataset.actions).max(initial=0.0))
    if dataset.actions.ndim != 2 or dataset.actions.shape[1] == 0 or largest > 1.0 + 1e-5:
        told = f"actions of shape {dataset.actions.shape} reach {largest:.3g}"
        raise DataError(f"{told}: actions must be (N, a) and lie within ±1; scale them by their bounds")
    given = with_settings(replace(config or Config(), method="iql"), {"reward.rescale": False, "reward.shift": 0.0})
    return load_policy(train(_open(given, dataset, store), [seed])[0].folder)


def _open(config: Config, dataset: Dataset, store: Store | Path | str) -> Experiment:
    """An experiment on arrays: of a task without an environment, with locomotion's settings where `config` leaves them open."""
    sizes = dataset.observations.shape[1], dataset.actions.shape[1] or 1
    task = Task("arrays", "custom", "none", *sizes, int(dataset.lengths.max()), 0.0, 1.0, normalised=False)
    given, defaults = flatten(config), get_method(config.method).defaults(task)
    filled = with_settings(config, {path: value for path, value in defaults.items() if given[path] is None})
    opened = store if isinstance(store, Store) else Store(store)
    return Experiment(replace(filled, task="arrays"), task, dataset, opened, choose_device(config.device))


def _expert(states: ArrayLike, number: int, size: int) -> Expert:
    array = np.ascontiguousarray(states, np.float32)
    data = Dataset.from_arrays(array, lengths=[len(array)])
    if data.observations.shape[1] != size:
        raise ConfigError(f"expert {number} has states of size {data.observations.shape[1]}, but the data's have {size}")
    return Expert(data.observations, data.next_observations, f"expert {number} of arrays", None)
