"""Rewards for arrays, without an environment, a file of data or a task: the method from states to rewards in one call."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ailot_ray.config import Config, flatten, with_settings
from ailot_ray.data.trajectories import Dataset, Expert
from ailot_ray.errors import ConfigError
from ailot_ray.methods import get_method
from ailot_ray.pipeline.experiment import Experiment
from ailot_ray.pipeline.relabel import load_rewards, relabel
from ailot_ray.runtime import choose_device
from ailot_ray.store import Store
from ailot_ray.tasks import Task


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
    method = get_method(config.method)
    if not method.aligned:
        raise ConfigError(f"method {method.name} has no alignment: choose one that has")
    if not len(experts):
        raise ConfigError("experts is empty: give the states of one trajectory or more")
    dataset = Dataset.from_arrays(observations, lengths=lengths)
    size = dataset.observations.shape[1]
    task = Task("arrays", "custom", "none", size, 1, int(dataset.lengths.max()), 0.0, 1.0, normalised=False)
    given = flatten(config)
    filled = with_settings(config, {path: value for path, value in method.defaults(task).items() if given[path] is None})
    filled = replace(filled, task="arrays", experts=len(experts))
    opened = store if isinstance(store, Store) else Store(store)
    experiment = Experiment(filled, task, dataset, opened, choose_device(config.device))
    experiment.__dict__["experts"] = tuple(_expert(states, i, size) for i, states in enumerate(experts))
    return load_rewards(relabel(experiment, [seed])[0])


def _expert(states: ArrayLike, number: int, size: int) -> Expert:
    array = np.ascontiguousarray(states, np.float32)
    data = Dataset.from_arrays(array, lengths=[len(array)])
    if data.observations.shape[1] != size:
        raise ConfigError(f"expert {number} has states of size {data.observations.shape[1]}, but the data's have {size}")
    return Expert(data.observations, data.next_observations, f"expert {number} of arrays", None)
