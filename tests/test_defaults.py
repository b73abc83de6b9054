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


def resolved(method: str, domain: str = "locomotion") -> dict[str, Any]:
    return flatten(resolve(Config(task=DOMAINS[domain], method=method)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", [*TASKS])
def test_nothing_is_left_open(method: str, task: str) -> None:
    flat = flatten(resolve(Config(task=task, method=method)))
    open_paths = {path for path, value in flat.items() if value is None}
    assert open_paths - {"evaluation.target"} == {"data", "data_from", "expert"}  # "none given"
    assert ("evaluation.target" in open_paths) == (get_task(task).domain != "antmaze")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_resolving_is_idempotent_and_touches_only_what_was_open(method: str, domain: str) -> None:
    config = Config(task=DOMAINS[domain], method=method)
    once = resolve(config)
    assert resolve(once) == once
    before, after = flatten(config), flatten(once)
    assert all(after[path] == value for path, value in before.items() if value is not None)


@pytest.mark.parametrize(
    ("domain", "expectile", "temperature", "dropout", "episodes"),
    [("locomotion", 0.7, 3, 0, 10), ("antmaze", 0.9, 10, 0, 100), ("adroit", 0.7, 0.5, 0.1, 10)],
)
@pytest.mark.parametrize("method", METHODS)
def test_iql_by_domain(method: str, domain: str, expectile: float, temperature: float, dropout: float, episodes: int) -> None:
    flat = resolved(method, domain)
    assert flat["iql.expectile"] == expectile
    assert flat["iql.temperature"] == temperature
    assert flat["iql.dropout"] == dropout
    assert flat["evaluation.episodes"] == episodes


@pytest.mark.parametrize(
    ("method", "space", "metric", "k", "start", "solver", "epsilon", "unit"),
    [
        ("ailot", "intent", "sqeuclidean", 2, "cut", "sinkhorn", 0.01, "relative"),
        ("otr", "raw", "cosine", 0, "none", "sinkhorn", 0.01, "absolute"),
    ],
)
def test_alignment_by_method(
    method: str, space: str, metric: str, k: int, start: str, solver: str, epsilon: float, unit: str
) -> None:
    for domain in DOMAINS:
        flat = resolved(method, domain)
        names = ("space", "metric", "k", "start", "solver", "epsilon", "epsilon_unit")
        assert [flat[f"transport.{name}"] for name in names] == [space, metric, k, start, solver, epsilon, unit]


def test_seabo_compares_pairs_with_the_nearest() -> None:
    for domain in DOMAINS:
        flat = resolved("seabo", domain)
        assert (flat["transport.solver"], flat["transport.k"], flat["transport.space"]) == ("nearest", 1, "raw")


@pytest.mark.parametrize(
    ("method", "domain", "alpha", "tau", "scale", "rescale", "shift"),
    [
        ("ailot", "locomotion", 5, 0.5, "median", True, 0),
        ("ailot", "antmaze", 5, 0.5, "median", True, -2),
        ("ailot", "adroit", 5, 0.5, "median", True, 0),
        # β·1000/d times a cost of weight 1/1000 a step: β/d times ours, d the size of an observation
        ("otr", "locomotion", 5, 5 / 11, "none", True, 0),
        ("otr", "antmaze", 5, 1, "none", True, -2),
        ("otr", "adroit", 5, 5 / 45, "none", True, 0),
        # β·distance/|A|
        ("seabo", "locomotion", 1, 0.5 / 3, "none", False, 0),
        ("seabo", "antmaze", 1, 5 / 8, "none", False, -1),
        ("seabo", "adroit", 1, 0.5, "none", False, 0),
        ("iql", "locomotion", None, None, "none", True, 0),
        ("iql", "antmaze", None, None, "none", False, -1),
        ("iql", "adroit", None, None, "none", False, 0),
    ],
)
def test_reward_by_method_and_domain(
    method: str, domain: str, alpha: float | None, tau: float | None, scale: str, rescale: bool, shift: float
) -> None:
    flat = resolved(method, domain)
    if alpha is not None:  # true rewards are not squashed
        assert flat["reward.alpha"] == alpha and flat["reward.tau"] == pytest.approx(tau)
    assert (flat["reward.scale"], flat["reward.rescale"], flat["reward.shift"]) == (scale, rescale, shift)


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
    assert resolve(replace(config, transport=TransportConfig(k=0))).transport.k == 0


def test_unknown_task_suggests_near_names() -> None:
    with pytest.raises(ConfigError, match=r"--task hopper-mediun-v2 is unknown: did you mean .*hopper-medium-v2"):
        resolve(Config(task="hopper-mediun-v2"))
    with pytest.raises(ConfigError) as error:
        resolve(Config(task="qqqq"))
    assert "did you mean" not in str(error.value) and "python -m ailot_ray tasks" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_target_is_drawn_on_d4rls_own_mazes_and_central_on_stand_ins() -> None:
    own = Config(task="antmaze-umaze-v2")
    assert resolve(own).evaluation.target == "drawn"
    assert resolve(replace(own, data=Path("mine.hdf5"))).evaluation.target == "centre"
    assert resolve(replace(own, data_from=Path("mine"))).evaluation.target == "centre"
    assert resolve(replace(own, evaluation=EvaluationConfig(target="centre"))).evaluation.target == "centre"
    assert resolve(Config(task="hopper-medium-v2")).evaluation.target is None
    original = EvaluationConfig(simulator="d4rl")
    assert resolve(replace(own, data=Path("mine.hdf5"), evaluation=original)).evaluation.target == "drawn"
    with pytest.raises(ConfigError, match=r"--evaluation\.target centre needs the default simulator"):
        resolve(replace(own, evaluation=replace(original, target="centre")))
    with pytest.raises(ConfigError, match=r"--evaluation\.target drawn is for AntMaze tasks only"):
        resolve(Config(task="hopper-medium-v2", evaluation=EvaluationConfig(target="drawn")))
