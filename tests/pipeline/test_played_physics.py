"""Which physics a policy is played in: D4RL's on D4RL's own files, today's on all others, and what the records say of it."""

import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from data.synthetic import episodes, write_hdf5

from ailot_ray import stages, tasks
from ailot_ray.config import Config, EvaluationConfig, PlayedPhysics
from ailot_ray.envs import make_env
from ailot_ray.errors import ConfigError
from ailot_ray.files import sha256_of
from ailot_ray.pipeline import Experiment, evaluate
from ailot_ray.pipeline.evaluate import reopen
from ailot_ray.report.grouping import group
from ailot_ray.report.record import load_trials
from ailot_ray.resolve import resolve
from pipeline.conftest import ENDS, LENGTHS, TINY, OpenExperiment
from pipeline.test_physics import record

FILE = "gym_mujoco_v2/hopper_medium-v2.hdf5"
D4RL, TODAY = 15.265, 15.820
"""Kilograms."""


@pytest.fixture
def genuine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as the one that D4RL publishes."""
    path = write_hdf5(tmp_path / "hopper_medium-v2.hdf5", episodes(LENGTHS[::-1], ENDS))
    monkeypatch.setitem(tasks._FILES, FILE, (path.stat().st_size, sha256_of(path)))
    return path


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the bodies weigh in which episodes are played, in kilograms."""
    found: list[float] = []

    def made(*given: Any, **named: Any) -> Any:
        env: Any = make_env(*given, **named)
        found.append(round(float(env.unwrapped.model.body_mass.sum()), 3))
        return env

    monkeypatch.setattr(sys.modules["ailot_ray.envs.rollout"], "make_env", made)
    return found


def played(**given: Any) -> dict[str, Any]:
    return {"evaluation": EvaluationConfig(episodes=1, curve_episodes=0, **given)}


def test_d4rls_own_files_are_played_in_d4rls_physics_and_stand_ins_in_todays(
    open_experiment: OpenExperiment, genuine: Path, weights: list[float], tmp_path: Path
) -> None:
    for options, weight in (
        ({"data": genuine} | played(), D4RL),
        ({"data": genuine} | played(physics="mujoco"), TODAY),
        (played(), TODAY),
        (played(physics="d4rl"), D4RL),
    ):
        evaluate(open_experiment("bc", **options), [0])
        assert weights == [weight], options
        weights.clear()
    trials = load_trials(tmp_path / "store")
    assert sorted((trial.substituted, trial.config["evaluation.physics"]) for trial in trials) == [
        (substituted, physics) for substituted in (False, True) for physics in ("d4rl", "mujoco")
    ]
    rows = [(row.substituted, row.settings_text) for row in group(trials) if row.method == "bc"]
    assert {text for _, text in rows} == {"evaluation.physics=d4rl", "evaluation.physics=mujoco"}
    for trial in trials:
        again, seed = reopen(trial.folder)
        assert (again.physics, again.digest("scores", seed)) == (trial.config["evaluation.physics"], trial.digest)


def test_a_row_says_so_where_all_are_played_in_d4rls_physics(
    open_experiment: OpenExperiment, genuine: Path, tmp_path: Path
) -> None:
    evaluate(open_experiment("bc", data=genuine, **played()), [0])
    assert [row.name for row in group(load_trials(tmp_path / "store"))][1:] == ["BC evaluation.physics=d4rl"]


def test_auto_and_what_it_comes_to_are_one_result(open_experiment: OpenExperiment, genuine: Path) -> None:
    def digest(**options: Any) -> str:
        return open_experiment("bc", **options).digest("scores", 0)

    assert digest(data=genuine) == digest(data=genuine, evaluation=EvaluationConfig(3, 1, physics="d4rl"))
    assert digest() == digest(evaluation=EvaluationConfig(3, 1, physics="mujoco"))
    assert digest() != digest(evaluation=EvaluationConfig(3, 1, physics="d4rl"))


def test_scores_of_an_older_version_of_d4rls_physics_are_made_again(
    open_experiment: OpenExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digests() -> dict[str, str]:
        return {
            physics: open_experiment("bc", evaluation=EvaluationConfig(3, 1, physics=physics)).digest("scores", 0)
            for physics in get_args(PlayedPhysics)
        }

    before = digests()
    monkeypatch.setattr(stages, "D4RL_PHYSICS", stages.D4RL_PHYSICS + 1)
    after = digests()
    assert {name for name in before if before[name] != after[name]} == {"d4rl"}


@pytest.fixture
def own(tmp_path: Path, hopper: Path) -> str:
    """A task of the user's own, with Hopper's body."""
    sizes = "observation_size = 11\naction_size = 3\nhorizon = 9\nreference_min = 0.0\nreference_max = 1.0"
    (tmp_path / "own.toml").write_text(f'[mine]\nenvironment = "Hopper-v4"\ndata = "{hopper}"\n{sizes}\n')
    return f"{tmp_path / 'own.toml'}:mine"


def test_what_is_not_d4rls_is_played_in_todays_physics(own: str, tmp_path: Path) -> None:
    for name in ("hopper-builtin", own):
        assert Experiment.open(Config(task=name, method="bc", device="cpu", **TINY), tmp_path / "store").physics == "mujoco"


def test_physics_that_cannot_be_are_refused(own: str) -> None:
    with pytest.raises(ConfigError, match=r"--evaluation\.physics mujoco needs the default simulator"):
        resolve(Config(task="hopper-medium-v2", evaluation=EvaluationConfig(simulator="d4rl", physics="mujoco")))
    with pytest.raises(ConfigError, match=r"--evaluation\.physics d4rl is for D4RL's tasks only"):
        resolve(Config(task=own, evaluation=EvaluationConfig(physics="d4rl")))


def test_a_file_of_other_physics_is_told_in_one_line(
    open_experiment: OpenExperiment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = write_hdf5(tmp_path / "rolled.hdf5", record("hopper-medium-v2", physics="d4rl"))
    evaluate(open_experiment("bc", data=data, **played(physics="d4rl")), [0])
    evaluate(open_experiment("bc", **played()), [0])  # states that no physics repeats
    assert not [line for line in caplog.messages if "other physics" in line]
    evaluate(open_experiment("bc", data=data, **played()), [0])
    assert [line for line in caplog.messages if "other physics" in line] == [
        f"{data} was recorded in other physics (d4rl) than policies are played in (mujoco): "
        "--evaluation.physics d4rl plays them in the file's"
    ]
