from pathlib import Path
from typing import Any

import pytest

from ailot_ray.config import (
    Config,
    EvaluationConfig,
    ICVFConfig,
    IQLConfig,
    RewardConfig,
    TransportConfig,
    flatten,
    with_settings,
)
from ailot_ray.errors import AilotError, ConfigError
from ailot_ray.methods import METHODS

NAN = float("nan")


@pytest.mark.parametrize(
    ("section", "field", "flag", "bad", "good"),
    [
        (ICVFConfig, "steps", "--icvf.steps", (-1,), (0, 1)),
        (ICVFConfig, "batch_size", "--icvf.batch-size", (0, -5), (1,)),
        (ICVFConfig, "width", "--icvf.width", (0,), (1,)),
        (ICVFConfig, "learning_rate", "--icvf.learning-rate", (0.0, -1e-3, NAN), (1e-9,)),
        (ICVFConfig, "discount", "--icvf.discount", (-0.1, 1.1, NAN), (0.0, 1.0)),
        (ICVFConfig, "polyak", "--icvf.polyak", (-0.1, 1.1), (0.0, 1.0)),
        (ICVFConfig, "expectile", "--icvf.expectile", (-0.1, 1.1), (0.5, 0.99)),
        (ICVFConfig, "goal_current", "--icvf.goal-current", (-0.1, 1.1), (0.0, 0.5)),
        (ICVFConfig, "goal_trajectory", "--icvf.goal-trajectory", (-0.1, 1.1, 0.81), (0.0, 0.8)),
        (ICVFConfig, "goal_same", "--icvf.goal-same", (-0.1, 1.1), (0.0, 1.0)),
        (TransportConfig, "k", "--transport.k", (-1,), (0, 5, None)),
        (TransportConfig, "epsilon", "--transport.epsilon", (0.0, -1.0, NAN), (1e-6, None)),
        (TransportConfig, "tolerance", "--transport.tolerance", (0.0, -1.0), (1e-9,)),
        (TransportConfig, "max_iterations", "--transport.max-iterations", (0,), (1,)),
        (RewardConfig, "alpha", "--reward.alpha", (0.0, -1.0, NAN), (0.1, None)),
        (RewardConfig, "tau", "--reward.tau", (-0.1, NAN), (0.0, 5.0, None)),
        (IQLConfig, "steps", "--iql.steps", (0, -1), (10,)),
        (IQLConfig, "batch_size", "--iql.batch-size", (0,), (1,)),
        (IQLConfig, "width", "--iql.width", (0,), (1,)),
        (IQLConfig, "learning_rate", "--iql.learning-rate", (0.0,), (1e-9,)),
        (IQLConfig, "discount", "--iql.discount", (-0.1, 1.1), (0.0, 1.0)),
        (IQLConfig, "polyak", "--iql.polyak", (-0.1, 1.1), (0.0, 1.0)),
        (IQLConfig, "expectile", "--iql.expectile", (0.0, 1.0, NAN), (0.5, None)),
        (IQLConfig, "temperature", "--iql.temperature", (-1.0,), (0.0, 10.0, None)),
        (IQLConfig, "dropout", "--iql.dropout", (-0.1, 1.0), (0.0, 0.9, None)),
        (IQLConfig, "snapshots", "--iql.snapshots", (0, 1_000_001), (1, 1_000_000)),
        (EvaluationConfig, "episodes", "--evaluation.episodes", (0, -1), (1, None)),
        (EvaluationConfig, "curve_episodes", "--evaluation.curve-episodes", (-1,), (0,)),
        (Config, "experts", "--experts", (0, -1), (1, 10)),
        (Config, "method", "--method", ("AILOT", ""), METHODS),
    ],
)
def test_ranges(section: type[Any], field: str, flag: str, bad: tuple[Any, ...], good: tuple[Any, ...]) -> None:
    for value in good:
        assert getattr(section(**{field: value}), field) == value
    for value in bad:
        with pytest.raises(ConfigError) as error:
            section(**{field: value})
        message = str(error.value)
        assert message.startswith(f"{flag} is {value}, but it must be ") and "\n" not in message
        assert isinstance(error.value, AilotError)


def test_settings_of_a_section_are_judged_together() -> None:
    ICVFConfig(goal_current=0.3, goal_trajectory=0.7)
    with pytest.raises(ConfigError, match=r"--icvf.goal-trajectory is 0.5, .*--icvf.goal-current"):
        ICVFConfig(goal_current=0.6)
    IQLConfig(steps=10, snapshots=10)
    with pytest.raises(ConfigError, match=r"--iql.snapshots is 10, .*--iql.steps"):
        IQLConfig(steps=9)
    with_settings(Config(), {"iql.snapshots": 4, "iql.steps": 4})  # each alone would be refused, or was not meant
    with pytest.raises(ConfigError, match=r"--iql.snapshots is 10, .*--iql.steps"):
        with_settings(Config(), {"iql.steps": 4})


def test_flat_paths_are_those_of_flags_and_grids() -> None:
    flat = flatten(Config(data=Path("some/file.hdf5"), reward=RewardConfig(tau=0.25)))
    expected = {"reward.tau": 0.25, "reward.alpha": None, "icvf.batch_size": 256, "data": "some/file.hdf5", "data_dir": "data"}
    assert expected.items() <= flat.items()
    assert {path.split(".")[0] for path in flat if "." in path} == {"icvf", "transport", "reward", "iql", "evaluation"}
    assert not any(hasattr(value, "__dataclass_fields__") for value in flat.values())
    assert sum(path.startswith("icvf.") for path in flat) == len(ICVFConfig.__dataclass_fields__)
    own = EvaluationConfig(episodes=3)
    assert flatten(own) == vars(own) and flatten(own, "evaluation.")["evaluation.episodes"] == 3


def test_settings_at_their_paths() -> None:
    base = Config(icvf=ICVFConfig(steps=7), reward=RewardConfig(alpha=2.0))
    changed = with_settings(base, {"reward.tau": 0.25, "iql.steps": 50, "iql.snapshots": 5, "method": "otr", "experts": 3})
    expected = {"reward.tau": 0.25, "iql.steps": 50, "iql.snapshots": 5, "method": "otr", "experts": 3}
    assert flatten(changed) == flatten(base) | expected
    assert with_settings(base, {}) == base and base.reward.tau is None
    assert with_settings(changed, {"reward.tau": None, "transport.space": None}).reward.tau is None


def test_a_setting_is_the_same_however_it_is_written() -> None:
    """Or else a grid with 1 and a flag with 1.0 would make an artefact each."""
    tau = with_settings(Config(), {"reward.tau": 1}).reward.tau
    assert tau == 1.0 and type(tau) is float
    assert with_settings(Config(), {"data": "some/file.hdf5"}).data == Path("some/file.hdf5")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("reward.tua", 1.0, "reward.tua is not a setting: did you mean reward.tau?"),
        ("iql.batch-size", 1, "iql.batch-size is not a setting: did you mean iql.batch_size?"),
        ("reward", 1.0, "reward is not a setting: did you mean"),
        ("", 1.0, " is not a setting: choose of task, data, .*evaluation.curve_episodes"),
        ("reward.tau.deep", 1.0, "reward.tau.deep is not a setting: did you mean reward.tau?"),
        ("reward.tau", "high", "reward.tau cannot be 'high': it must be float or None"),
        ("reward.tau", float("nan"), "--reward.tau is nan, but it must be"),
        ("iql.steps", 10.0, r"iql.steps cannot be 10.0: it must be int"),
        ("iql.steps", True, "iql.steps cannot be True: it must be int"),
        ("icvf.steps", None, "icvf.steps cannot be None: it must be int"),
        ("icvf.layer_norm", 1, "icvf.layer_norm cannot be 1: it must be bool"),
        (
            "transport.solver",
            "pott",
            "cannot be 'pott': it must be sinkhorn or pot or exact or nearest or segment or rnd or None",
        ),
        ("method", "gail", "--method is gail, but it must be one of .*ailot"),
        ("reward.scale", "mean", "reward.scale cannot be 'mean': it must be median or none or None"),
        ("transport.k", -1, "--transport.k is -1, but it must be 0 or more"),
    ],
)
def test_settings_that_cannot_be(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        with_settings(Config(), {path: value})
    assert "\n" not in str(error.value)
