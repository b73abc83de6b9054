"""The defaults by method and domain, cell by cell."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ailot_ray.config import Config, EvaluationConfig, ICVFConfig, IQLConfig, RewardConfig, TransportConfig, flatten
from ailot_ray.errors import ConfigError
from ailot_ray.methods import METHODS
from ailot_ray.resolve import resolve
from ailot_ray.tasks import TASKS, get_task

DOMAINS = {"locomotion": "hopper-medium-v2", "antmaze": "antmaze-large-diverse-v2", "adroit": "pen-human-v1"}
BY_DOMAIN = {"locomotion": (0.7, 3, 0, 10), "antmaze": (0.9, 10, 0, 100), "adroit": (0.7, 0.5, 0.1, 10)}
"""iql.expectile, iql.temperature, iql.dropout, evaluation.episodes"""
BY_METHOD: dict[str, tuple[Any, ...]] = {
    "ailot": ("intent", "sqeuclidean", 2, "cut", "sinkhorn", 0.01, "relative"),
    "otr": ("raw", "cosine", 0, "none", "sinkhorn", 0.01, "absolute"),
    "segment": ("raw", "cosine", 0, None, "segment", None, None),
    "seabo": ("raw", "sqeuclidean", 1, None, "nearest", None, None),
    "rnd": ("standardised", "sqeuclidean", 1, None, "rnd", None, None),
    "bc10-ailot": ("intent", "sqeuclidean", 2, "cut", "sinkhorn", 0.01, "relative"),
}
"""transport.space, metric, k, start, solver, epsilon, epsilon_unit; None: whatever it is, it is not read."""
REWARDS: dict[str, list[tuple[Any, ...]]] = {  # OTR: β·1000/d times a cost of weight 1/1000 a step, SEABO: β·distance/|A|
    "ailot": [(5, 0.5, "median", True, 0), (5, 0.5, "median", True, -2), (5, 0.5, "median", True, 0)],
    "otr": [(5, 5 / 11, "none", True, 0), (5, 1, "none", True, -2), (5, 5 / 45, "none", True, 0)],
    "segment": [(5, 5 / 11, "none", True, 0), (5, 1, "none", True, -2), (5, 5 / 45, "none", True, 0)],
    "rnd": [(5, 0.5, "median", True, 0), (5, 0.5, "median", True, -2), (5, 0.5, "median", True, 0)],
    "bc10": [(None, None, "median", False, 0)] * 3,
    "bc10-ailot": [(5, 0.5, "median", False, 0)] * 3,
    "seabo": [(1, 0.5 / 3, "none", False, 0), (1, 5 / 8, "none", False, -1), (1, 0.5, "none", False, 0)],
    "iql-shuffled": [(None, None, "none", True, 0), (None, None, "none", False, -1), (None, None, "none", False, 0)],
    "iql": [(None, None, "none", True, 0), (None, None, "none", False, -1), (None, None, "none", False, 0)],
}
"""reward.alpha, tau, scale, rescale, shift, by domain"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_defaults(method: str, domain: str) -> None:
    config = resolve(Config(task=DOMAINS[domain], method=method))
    iql, transport, reward = config.iql, config.transport, config.reward
    assert (iql.expectile, iql.temperature, iql.dropout, config.evaluation.episodes) == BY_DOMAIN[domain]
    found: tuple[Any, ...] = (transport.space, transport.metric, transport.k, transport.start)
    found += (transport.solver, transport.epsilon, transport.epsilon_unit)
    assert all(mine in (value, None) for mine, value in zip(BY_METHOD.get(method, ()), found, strict=False))
    if method in REWARDS:
        expected = REWARDS[method][[*DOMAINS].index(domain)]
        squashed = (reward.alpha, pytest.approx(reward.tau)) if expected[0] else (None, None)  # true rewards are not squashed
        assert (*squashed, reward.scale, reward.rescale, reward.shift) == expected


@pytest.mark.parametrize("method", METHODS)
def test_resolving_leaves_nothing_open_and_changes_nothing_that_was_said(method: str) -> None:
    for task in TASKS:
        config = Config(task=task, method=method)
        once = resolve(config)
        before, after = flatten(config), flatten(once)
        open_paths = {path for path, value in after.items() if value is None}
        target = set() if get_task(task).domain == "antmaze" else {"evaluation.target"}
        assert open_paths == {"data", "data_from", "expert"} | target  # "none given"
        assert resolve(once) == once
        assert all(after[path] == value for path, value in before.items() if value is not None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_the_users_own_values_survive(method: str, domain: str) -> None:
    """Also those that count as false."""
    config = Config(
        task=DOMAINS[domain],
        method=method,
        transport=TransportConfig("standardised", "cosine", 0, "mask", "exact", 0.3, "absolute"),
        reward=RewardConfig(alpha=1.5, tau=0.0, scale="none", rescale=False, shift=0.0),
        iql=IQLConfig(expectile=0.6, temperature=0.0, dropout=0.0),
        icvf=ICVFConfig(standardise=domain != "locomotion"),
        evaluation=EvaluationConfig(episodes=1, curve_episodes=0, target="centre" if domain == "antmaze" else None),
    )
    assert resolve(config) == config


def test_the_target_is_drawn_on_d4rls_own_mazes_and_central_on_stand_ins() -> None:
    own, original = Config(task="antmaze-umaze-v2"), EvaluationConfig(simulator="d4rl")
    centre, drawn = EvaluationConfig(target="centre"), EvaluationConfig(target="drawn")
    for change, target in (
        ({}, "drawn"),
        ({"data": Path("mine.hdf5")}, "centre"),
        ({"data_from": Path("mine")}, "centre"),
        ({"evaluation": centre}, "centre"),
        ({"data": Path("mine.hdf5"), "evaluation": original}, "drawn"),
    ):
        assert resolve(replace(own, **change)).evaluation.target == target, change
    with pytest.raises(ConfigError, match=r"--evaluation\.target centre .*simulator"):
        resolve(replace(own, evaluation=replace(original, target="centre")))
    with pytest.raises(ConfigError, match=r"--evaluation\.target drawn .*AntMaze"):
        resolve(Config(task="hopper-medium-v2", evaluation=drawn))
