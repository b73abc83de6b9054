from collections import Counter

import gymnasium
import pytest

from ailot_ray.errors import ConfigError
from ailot_ray.methods import METHODS
from ailot_ray.tasks import SOURCES, TASKS, get_task


def test_the_table_is_complete() -> None:
    assert Counter(task.domain for task in TASKS.values()) == {"locomotion": 10, "antmaze": 12, "adroit": 16}
    assert all(name == task.name for name, task in TASKS.items())
    files = [task.file_name for task in TASKS.values() if task.file_name]
    assert len(files) == len(set(files)) == len(TASKS) - 1  # they share one data directory


def test_published_scores_stay_with_their_version() -> None:
    assert get_task("antmaze-large-diverse-v0").published == {"iql": 47.5, "otr": 45.5, "ailot": 66.6}
    assert get_task("hammer-cloned-v0").published == {"iql": 2.1, "otr": 0.9, "seabo": 2.2}
    later = [TASKS[name] for name in TASKS if (name.startswith("antmaze") and name.endswith("v2")) or name.endswith("v1")]
    assert len(later) == 14
    for task in later:
        assert [(one.method, one.source) for one in task.references] == [(name, "CORL") for name in ("iql", "bc", "bc10")]
    locomotion = [task for task in TASKS.values() if task.domain == "locomotion" and task.published]
    for method, total in (("seabo", 707.6), ("iql", 692.4), ("otr", 685.6)):
        assert sum(task.published[method] for task in locomotion) == pytest.approx(total, abs=0.06)


def test_references_have_sources_methods_and_their_sources_own_averages() -> None:
    """The averages are those that CORL's README prints below its columns."""
    references = [reference for task in TASKS.values() for reference in task.references]
    assert {one.source for one in references} == SOURCES.keys() and {one.method for one in references} <= METHODS.keys()
    for domain, method, average in (
        ("locomotion", "bc", 50.40),
        ("locomotion", "bc10", 69.29),
        ("locomotion", "iql", 81.63),
        ("antmaze", "bc", 17.21),
        ("antmaze", "bc10", 19.71),
        ("antmaze", "iql", 57.17),
    ):
        scores = [
            one.score
            for task in TASKS.values()
            if task.domain == domain
            for one in task.references_of(method)
            if one.source == "CORL"
        ]
        assert sum(scores) / len(scores) == pytest.approx(average, abs=0.006), (domain, method)
    implementations = {one.source: one.score for one in TASKS["hopper-medium-expert-v2"].references_of("iql")}
    assert implementations == {"SEABO": 91.5, "CORL": 107.42, "OfflineRL-Kit": 106.2, "JAX-CORL": 90.7}
    assert TASKS["hopper-medium-expert-v2"].published["iql"] == 91.5, "the paper's comes first"


def test_sizes_are_the_simulators() -> None:
    gymnasium.register_envs(pytest.importorskip("gymnasium_robotics"))
    for environment in {task.environment for task in TASKS.values() if task.domain != "antmaze"}:
        env = gymnasium.make(environment)
        for task in TASKS.values():
            if task.environment == environment:
                assert env.observation_space.shape == (task.observation_size,), task.name
                assert env.action_space.shape == (task.action_size,), task.name
        env.close()


def test_unknown_task_suggests_near_names() -> None:
    with pytest.raises(ConfigError, match=r"--task antmaze-umaze is unknown: did you mean .*antmaze-umaze-v"):
        get_task("antmaze-umaze")
    with pytest.raises(ConfigError, match="python -m ailot_ray tasks") as error:
        get_task("qqqq")
    assert "did you mean" not in str(error.value) and "\n" not in str(error.value)
