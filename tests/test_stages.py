"""The table of stages: what each key holds, and what it does not."""

from dataclasses import replace
from typing import Any

import pytest

from ailot_ray.config import Config, flatten, with_settings
from ailot_ray.methods import METHODS
from ailot_ray.resolve import relevant_settings, resolve
from ailot_ray.stages import STAGES, Facts, get_stage, keys_to, path_to
from ailot_ray.store import digest_of
from ailot_ray.tasks import get_task


def facts(method: str = "ailot", settings: dict[str, Any] | None = None, **changes: Any) -> Facts:
    config = resolve(with_settings(Config(task="hopper-medium-v2", method=method), settings or {}))
    experts = ("e0",) if METHODS[method].aligned else ()
    return replace(Facts(config, get_task(config.task), "d" * 64, True, 12, experts), **changes)


def digests(facts: Facts, seed: int = 0, verb: str = "evaluate") -> dict[str, str]:
    return {kind: digest_of(kind, key) for kind, key in keys_to(verb, facts, seed).items()}


def changed(before: Facts, after: Facts, seed: int = 0, verb: str = "evaluate") -> set[str]:
    one, other = digests(before, 0, verb), digests(after, seed, verb)
    assert one.keys() == other.keys()
    return {kind for kind in one if one[kind] != other[kind]}


ALL = {"intents", "alignment", "rewards", "policies", "scores"}
FROM_ALIGNMENT, FROM_REWARDS, FROM_POLICIES = ALL - {"intents"}, ALL - {"intents", "alignment"}, {"policies", "scores"}
OTHER: dict[str, Any] = {  # another value of every setting, and the first artefact that it changes
    **dict.fromkeys(("icvf.steps", "icvf.batch_size", "icvf.width"), 7),
    **dict.fromkeys(("icvf.learning_rate", "icvf.discount", "icvf.polyak", "icvf.expectile", "icvf.goal_current"), 0.11),
    **{"icvf.goal_trajectory": 0.3, "icvf.goal_same": 0.3, "icvf.layer_norm": True, "icvf.standardise": False},
    **{"transport.metric": "euclidean", "transport.k": 3, "transport.start": "mask", "transport.solver": "pot"},
    **{"transport.epsilon": 0.5, "transport.epsilon_unit": "absolute", "transport.tolerance": 0.5},
    **{"transport.max_iterations": 9, "reward.alpha": 2.0, "reward.tau": 2.0, "reward.scale": "none"},
    **{"reward.rescale": False, "reward.shift": 3.0, "iql.steps": 50, "iql.batch_size": 7, "iql.width": 7},
    **dict.fromkeys(("iql.learning_rate", "iql.discount", "iql.polyak", "iql.expectile", "iql.temperature"), 0.11),
    **{"iql.max_weight": 7.0, "iql.dropout": 0.3, "iql.snapshots": 5, "evaluation.episodes": 3},
    **{"evaluation.curve_episodes": 2, "evaluation.simulator": "d4rl", "evaluation.physics": "mujoco"},
    **{"evaluation.actions": "sample"},
}
FIRST = {"icvf": ALL, "transport": FROM_ALIGNMENT, "reward": FROM_REWARDS, "iql": FROM_POLICIES, "evaluation": {"scores"}}


def test_every_setting_of_a_section_has_another_value_here() -> None:
    """`transport.space` and `evaluation.target` have tests of their own."""
    assert OTHER.keys() == {path for path in flatten(Config()) if "." in path} - {"transport.space", "evaluation.target"}


@pytest.mark.parametrize("path", OTHER)
def test_a_setting_changes_the_artefacts_that_come_of_it_and_no_other(path: str) -> None:
    base = facts(settings={"iql.steps": 100})
    assert changed(base, facts(settings={"iql.steps": 100, path: OTHER[path]})) == FIRST[path.partition(".")[0]]


@pytest.mark.parametrize("path", OTHER)
@pytest.mark.parametrize("method", METHODS)
def test_a_setting_that_a_method_does_not_read_changes_nothing(method: str, path: str) -> None:
    common = {name: value for name, value in flatten(facts(settings={"iql.steps": 100}).config).items() if name in OTHER}
    base = facts(method, common)
    assert bool(changed(base, facts(method, common | {path: OTHER[path]}))) == (path in relevant_settings(base.config))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data": "e" * 64}, ALL),
        ({"experts": ("e1",)}, FROM_ALIGNMENT),
        ({"experts": ("e0", "e1")}, FROM_ALIGNMENT),
        ({"official": False}, {"scores"}),
        ({"trajectories": 13}, set()),
        ({"task": replace(get_task("hopper-medium-v2"), domain="custom")}, ALL),
        ({"task": replace(get_task("hopper-medium-v2"), action_low=(-2.0,), action_high=(2.0,))}, ALL),
        ({"task": replace(get_task("hopper-medium-v2"), name="other")}, {"scores"}),
    ],
)
def test_what_is_known_of_the_data_changes_what_depends_on_it(change: dict[str, Any], expected: set[str]) -> None:
    assert changed(facts(), facts(**change)) == expected


def test_the_definition_of_a_custom_task_is_in_its_scores_key() -> None:
    task = replace(get_task("hopper-medium-v2"), domain="custom", like="locomotion")
    for change in ({"horizon": 9}, {"reference_max": 9.0}, {"environment": "Other-v0"}):
        assert changed(facts(task=task), facts(task=replace(task, **change))) == {"scores"}
    assert changed(facts(task=task), facts(task=replace(task, data="elsewhere.hdf5"))) == set()
    assert changed(facts(task=task), facts(task=replace(task, parts=(("goal", 2), ("observation", 9))))) == set()


def test_the_seed_is_in_what_depends_on_it() -> None:
    assert changed(facts(), facts(), seed=1) == ALL
    assert changed(facts("otr"), facts("otr"), seed=1) == FROM_POLICIES
    raw = {"transport.space": "raw"}
    assert changed(facts(settings=raw), facts(settings=raw), seed=1) == FROM_POLICIES


def test_methods_share_what_they_have_in_common_but_no_scores() -> None:
    same = {path: value for path, value in flatten(facts("otr").config).items() if path.startswith(("transport.", "reward."))}
    assert changed(facts("otr"), facts("ailot", same)) == {"scores"}


def test_no_key_holds_a_path_or_the_machine() -> None:
    elsewhere = {"data": "elsewhere/hop.hdf5", "data_dir": "elsewhere", "device": "cpu", "expert": "elsewhere.hdf5"}
    assert changed(facts(), facts(settings=elsewhere)) == set()


@pytest.mark.parametrize("verb", [stage.verb for stage in STAGES])
def test_a_stages_version_is_in_its_key_and_in_those_after_it(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = get_stage(verb)
    goal = "diagnose" if verb == "diagnose" else "evaluate"
    before = digests(facts(), verb=goal)
    monkeypatch.setitem(stage.__dict__, "version", stage.version + 1)
    after = digests(facts(), verb=goal)
    order = [*before]
    assert {kind for kind in order if before[kind] != after[kind]} == set(order[order.index(stage.artefact) :])


def test_diagnostics_come_of_rewards() -> None:
    assert [*keys_to("diagnose", facts(), 0)] == ["intents", "alignment", "rewards", "diagnostics"]
    assert path_to("diagnose", facts("bc")) == []
