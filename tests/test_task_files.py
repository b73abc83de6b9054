"""Tasks of a user's own file, and what is wrong with one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ailot_ray.config import Config, IQLConfig, RewardConfig
from ailot_ray.errors import ConfigError
from ailot_ray.minari_fetch import no_download
from ailot_ray.resolve import resolve
from ailot_ray.task_files import names_in, unscalable
from ailot_ray.tasks import get_task

GOOD = """
[swing]
environment = "Pendulum-v1"
observation_size = 3
action_size = 1
horizon = 200
reference_min = -1200
reference_max = -150.0
action_low = -2
action_high = [2.0]
data = "sub/swing.hdf5"
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return written


def test_a_task_of_ones_own(write: Write, tmp_path: Path) -> None:
    path = write(GOOD + '[hop]\nenvironment = "Hopper-v4"\nobservation_size = 11\naction_size = 3\nhorizon = 1000\n'
                 'reference_min = 0\nreference_max = 1\ndata = "minari:mujoco/hopper/medium-v0"\n')  # fmt: skip
    swing, hop = (get_task(name) for name in names_in(path))
    assert (swing.name, swing.domain, swing.environment) == (f"{path}:swing", "custom", "Pendulum-v1")
    assert (swing.observation_size, swing.action_size, swing.horizon) == (3, 1, 200)
    assert (swing.action_low, swing.action_high) == ((-2.0,), (2.0,))
    assert swing.score(-150.0) == 100.0 and swing.score(-1200.0) == 0.0
    assert swing.data == str(tmp_path / "sub/swing.hdf5")
    assert (hop.data, hop.action_low) == ("minari:mujoco/hopper/medium-v0", None)
    assert get_task(swing.name) == swing


def test_the_documented_example_is_a_task(write: Write) -> None:
    text = (Path(__file__).parents[1] / "docs/own_data.md").read_text(encoding="utf-8")
    task = get_task(f"{write(text.split('```toml')[1].split('```')[0])}:pendulum")
    assert (task.environment, task.options, task.like) == ("Pendulum-v1", {"g": 9.81}, "locomotion")
    assert task.settings == {"iql.expectile": 0.8, "evaluation.episodes": 20}


def test_settings_stand_between_flags_and_the_domain(write: Write) -> None:
    path = write(
        GOOD + 'like = "antmaze"\n[swing.settings]\niql.expectile = 0.6\n"reward.shift" = -3\nevaluation.episodes = 7\n'
    )
    name = f"{path}:swing"
    left = resolve(Config(task=name, method="iql"))
    assert (left.iql.expectile, left.iql.temperature) == (0.6, 10.0)  # its own, AntMaze's
    assert (left.reward.shift, left.reward.rescale, left.evaluation.episodes) == (-3.0, False, 7)
    said = resolve(Config(task=name, method="iql", iql=IQLConfig(expectile=0.9), reward=RewardConfig(shift=1.0)))
    assert (said.iql.expectile, said.reward.shift) == (0.9, 1.0)
    plain = resolve(Config(task=f"{write(GOOD)}:swing"))
    assert plain.iql == resolve(Config(task="hopper-builtin")).iql


BAD: dict[str, tuple[str, str]] = {
    "a name twice": (GOOD + GOOD, r"mine.toml is not a file of tasks in TOML .*swing.*; each task is one table"),
    "not TOML": ("pendulum: {}", "mine.toml is not a file of tasks in TOML"),
    "no such task": (GOOD.replace("[swing]", "[swung]"), r"mine.toml has no task \[swing\]: did you mean swung\?"),
    "outside of a table": ("swing = 1", r"mine.toml: \[swing\] swing stands outside of a table"),
    "unknown key": (GOOD + "horison = 3", r"mine.toml: \[swing\] horison is unknown: did you mean horizon\?"),
    "no reference": (GOOD.replace("reference_max = -150.0", ""), r"mine.toml: \[swing\] reference_max is missing; .*register"),
    "no size": (GOOD.replace("action_size = 1", ""), r"\[swing\] action_size is missing"),
    "equal references": (GOOD.replace("-150.0", "-1200.0"), r"\[swing\] reference_max is -1200, but it must be above"),
    "a word for a number": (GOOD.replace("-150.0", '"high"'), r"\[swing\] reference_max is 'high', but it must be a number"),
    "no horizon": (GOOD.replace("= 200", "= 0"), r"\[swing\] horizon is 0, but it must be a whole number, 1 or more"),
    "half a size": (GOOD.replace("= 3", "= 3.5"), r"\[swing\] observation_size is 3.5, but it must be a whole number"),
    "one bound": (GOOD.replace("action_low = -2", ""), r"\[swing\] action_low must be a number, or a list of 1, beside"),
    "bounds upside down": (GOOD.replace("action_low = -2", "action_low = 3"), r"action_high must be above action_low"),
    "bounds of another size": (GOOD.replace("[2.0]", "[2.0, 2.0]"), r"action_high must be a number, or a list of 1"),
    "unknown domain": (GOOD + 'like = "atari"', r"like is 'atari', but it must be one of locomotion, antmaze, adroit"),
    "data of no name": (GOOD.replace('"sub/swing.hdf5"', "3"), r"\[swing\] data must be the name of a file"),
    "unknown setting": (GOOD + "[swing.settings]\nreward.taw = 1", r"settings: reward.taw .* did you mean reward.tau"),
    "bad setting": (GOOD + "[swing.settings]\nreward.tau = -1", r"\[swing\] settings: --reward.tau is -1.0, but it must be 0"),
    "common setting": (GOOD + "[swing.settings]\niql.steps = 5", r"settings.iql.steps is the same for all tasks, .* a flag"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_is_one_line(name: str, write: Write) -> None:
    text, pattern = BAD[name]
    with pytest.raises(ConfigError, match=pattern) as caught:
        get_task(f"{write(text)}:swing")
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"none.toml: No such file .*--task FILE.toml:NAME"):
        get_task(f"{tmp_path / 'none.toml'}:swing")
    with (
        no_download(),
        pytest.raises(ConfigError, match=r"minari:a/b-v0 is not on this machine .*`.* data fetch minari:a/b-v0`"),
    ):
        get_task("minari:a/b-v0")


BOX = {"type": "Box", "dtype": "float32", "shape": [2], "low": [-1.0, -1.0], "high": [1.0, 1.0]}
ABOUT: dict[str, Any] = {
    "observation_space": json.dumps(BOX),
    "action_space": json.dumps(BOX),
    "env_spec": json.dumps({"id": "Point-v0", "max_episode_steps": 50}),
}


def described(root: Path, **about: Any) -> str:
    folder = root / "toy" / "point-v0" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.json").write_text(json.dumps(ABOUT | about))
    return "minari:toy/point-v0"


def test_a_minari_dataset_is_a_task_of_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    task = get_task(described(tmp_path))
    assert (task.name, task.domain, task.environment, task.horizon) == ("minari:toy/point-v0", "custom", "Point-v0", 50)
    assert (task.data, task.action_low, task.normalised) == (task.name, None, False)
    assert task.score(-321.5) == -321.5  # without references a score is the return
    known = get_task(described(tmp_path, ref_min_score=10.0, ref_max_score=30.0))
    assert known.normalised and known.score(20.0) == 50.0
    scaled = get_task(described(tmp_path, action_space=json.dumps(BOX | {"low": [-2.0, 0.0]})))
    assert (scaled.action_low, scaled.action_high) == ((-2.0, 0.0), (1.0, 1.0))
    # data alone names the task, unless another is said
    assert resolve(Config(data=Path(task.name))).task == task.name
    assert Config(task="hopper-medium-v2", data=Path(task.name)).task_name == "hopper-medium-v2"


@pytest.mark.parametrize(
    ("about", "pattern"),
    [
        ({"observation_space": '{"type": "Dict", "subspaces": {}}'}, "the observations are a Dict without parts; record"),
        ({"observation_space": '{"type": "Dict"}'}, "is not a Minari dataset's description"),
        ({"action_space": '{"type": "Discrete", "n": 3}'}, "has Discrete actions, but ailot_ray reads Box vectors only"),
        ({"observation_space": json.dumps(BOX | {"shape": [2, 2]})}, r"has Box observations of shape \[2, 2\]"),
        ({"action_space": json.dumps(BOX | {"low": [-float("inf"), -1.0]})}, "has unbounded actions"),
        ({"observation_space": "nothing"}, "is not a Minari dataset's description"),
    ],
)
def test_minari_datasets_that_cannot_be_used(
    about: dict[str, str], pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=f"minari:toy/point-v0.*{pattern}") as caught:
        get_task(described(tmp_path, **about))
    assert "\n" not in str(caught.value)


def test_bounds_that_float32_cannot_scale_are_found() -> None:
    assert unscalable((-1.0, -2.0), (1.0, 3.0)) is None
    assert unscalable((0.0, 3.0), (1.0, 3.0)) == 1
    for low, high in (((2.0, 0.0), (1.0, 1.0)), ((-3e38,), (3e38,)), ((0.0,), (1e-40,)), ((float("nan"),), (1.0,))):
        assert unscalable(low, high) == 0
