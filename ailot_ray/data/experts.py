"""The choice of the expert trajectories."""

import numpy as np
from numpy.typing import NDArray

from ailot_ray.config import Config
from ailot_ray.data import read_trajectories
from ailot_ray.data.builtin import SOURCE, builtin_expert
from ailot_ray.data.maze_checks import check_expert_path
from ailot_ray.data.ogbench_experts import stretches
from ailot_ray.data.trajectories import Dataset, Expert
from ailot_ray.errors import DataError
from ailot_ray.tasks import get_task

_REMEDY = "give the expert's trajectories with --expert FILE"


def choose_experts(config: Config, dataset: Dataset) -> tuple[Expert, ...]:
    """The `config.experts` expert trajectories (K), best first, from the return level `config.expert_quantile` downwards.

    - With `--expert FILE`: that file's trajectories, by return where it has rewards, else in the file's order.
    - The built-in dataset: its own expert episode, then the dataset's K − 1 best.
    - Otherwise the dataset's K best by return; AntMaze: by return / (1e-4 + ‖xy of the start‖) (METHOD, as OTR does), since
      a return of 1 says nothing about where the ant came from. Ties go to the earlier trajectory.
    - A task of OGBench's: the K best ways to its goal (:func:`ailot_ray.data.ogbench_experts.stretches`), with `--expert` too.
    - Below a quantile of 1 the same order is entered further down, at (1 − quantile) of its length or as far down as leaves K;
      the built-in dataset's own expert then takes no part.

    Raises DataError for an unusable file, one whose path through a maze jumps, too few trajectories, a dataset without rewards
    or with one and the same reward everywhere, states of another size than the dataset's, and an expert of fewer than 2 steps.
    """
    wanted = config.experts
    if get_task(config.task_name).domain == "ogbench":
        experts = _to_goal(config, dataset)
    elif config.expert is not None:
        source = read_trajectories(str(config.expert), get_task(config.task_name), substituted=True, flag="--expert")
        if get_task(config.task_name).domain == "antmaze":
            check_expert_path(config.expert, source)
        order = np.arange(source.trajectories) if source.rewards is None else _best_first(source.returns())
        experts = _take(source, order, wanted, config.expert_quantile)
    elif dataset.source == SOURCE and config.expert_quantile == 1.0:
        experts = builtin_expert(), *_take(dataset, _best_first(_merit(dataset)), wanted - 1)
    else:
        experts = _take(dataset, _best_first(_merit(dataset)), wanted, config.expert_quantile)

    size = dataset.observations.shape[1]
    for expert in experts:
        steps, expert_size = expert.observations.shape
        if expert_size != size:
            raise DataError(
                f"{expert.origin}: expert states have size {expert_size}, but {dataset.source} has {size}; {_REMEDY}"
            )
        if steps < 2:
            raise DataError(f"{expert.origin}: the expert trajectory has {steps} step, but needs at least 2; {_REMEDY}")
    return experts


def _to_goal(config: Config, dataset: Dataset) -> tuple[Expert, ...]:
    task = get_task(config.task_name)
    if config.expert is not None:
        dataset = read_trajectories(str(config.expert), task, substituted=True, flag="--expert")
    ways = stretches(dataset)
    if len(ways) < config.experts:
        held = f"{len(ways)} ways to the goal, but --experts is {config.experts}" if ways else "no way to the goal"
        raise DataError(f"{dataset.source} holds {held}, for task {task.name}; {_REMEDY}")
    first = _entry(len(ways), config.experts, config.expert_quantile)
    return tuple(way.expert(dataset) for way in ways[first : first + config.experts])


def _entry(length: int, wanted: int, quantile: float) -> int:
    """Where an order of that length, best first, is entered."""
    return min(round((1.0 - quantile) * (length - 1)), length - wanted)


def _merit(dataset: Dataset) -> NDArray[np.float64]:
    """What the experts are chosen by, (E,)."""
    if dataset.rewards is None:
        raise DataError(f"{dataset.source} has no rewards to choose an expert by; {_REMEDY}")
    if (dataset.rewards == dataset.rewards[0]).all():
        raise DataError(
            f"{dataset.source}: every reward is {dataset.rewards[0]:g}, so there is none to choose an expert by; {_REMEDY}"
        )
    if get_task(dataset.task).domain != "antmaze":
        return dataset.returns()
    starts = dataset.observations[dataset.offsets[:-1], :2].astype(np.float64)
    distances: NDArray[np.float64] = np.linalg.norm(starts, axis=1)
    return dataset.returns() / (1e-4 + distances)


def _best_first(merit: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argsort(-merit, kind="stable")


def _take(dataset: Dataset, order: NDArray[np.int64], wanted: int, quantile: float = 1.0) -> tuple[Expert, ...]:
    if wanted > len(order):
        raise DataError(
            f"--experts asks for {wanted} trajectories of {dataset.source}, which has {len(order)}; "
            f"lower --experts or {_REMEDY}"
        )
    first = _entry(len(order), wanted, quantile)
    rows = list(dataset.rows())
    returns = None if dataset.rewards is None else dataset.returns()
    return tuple(
        Expert(
            observations=dataset.observations[rows[number]],
            next_observations=dataset.next_observations[rows[number]],
            origin=f"{dataset.source}, trajectory {number}",
            true_return=None if returns is None else float(returns[number]),
        )
        for number in order[first : first + wanted]
    )
