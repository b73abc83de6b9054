"""Grids, plans and estimates, without Ray."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from data.synthetic import episodes, write_hdf5
from pipeline.conftest import ENDS, LENGTHS

from ailot_ray.cluster.planning import duration, plan
from ailot_ray.cluster.sweep import Range, Sweep
from ailot_ray.config import Config, ICVFConfig
from ailot_ray.errors import AilotError, ConfigError
from ailot_ray.pipeline import Experiment, evaluate, pretrain, relabel
from ailot_ray.stages import STAGES
from ailot_ray.store import RUN, read_json, write_json

from .tiny import DISTINCT, GRID, opened, tiny_sweep

SECONDS = {stage.artefact: stage.seconds for stage in STAGES if stage.verb != "diagnose"}


def counts(sweep: Sweep, store: Path) -> dict[str, tuple[int, int]]:
    """Distinct artefacts of each kind, and those that are missing."""
    made = plan(sweep, store)
    return {kind: (len(made.steps[kind]), len(made.missing(kind))) for kind in SECONDS}


def test_a_grid_is_every_combination_in_order() -> None:
    sweep = Sweep("s", grid={"reward.tau": (0.1, 2.0), "method": ("ailot", "otr"), "transport.k": (3,)})
    assert sweep.settings() == [
        {"reward.tau": 0.1, "method": "ailot", "transport.k": 3},
        {"reward.tau": 0.1, "method": "otr", "transport.k": 3},
        {"reward.tau": 2.0, "method": "ailot", "transport.k": 3},
        {"reward.tau": 2.0, "method": "otr", "transport.k": 3},
    ]
    assert Sweep("s").settings() == [{}]


def test_cases_are_combined_with_the_grid() -> None:
    cases = ({"transport.space": "raw"}, {"method": "otr", "reward.tau": 9.0})
    sweep = Sweep("s", grid={"reward.tau": (0.1, 2.0)}, cases=cases)
    assert sweep.settings() == [
        {"reward.tau": 0.1, "transport.space": "raw"},
        {"reward.tau": 9.0, "method": "otr"},
        {"reward.tau": 2.0, "transport.space": "raw"},
    ]
    assert Sweep("s", cases=cases).settings() == list(cases)


def test_a_trials_configuration_is_the_base_with_its_settings() -> None:
    base = Config(icvf=ICVFConfig(steps=7))
    config = Sweep("s", base).config({"reward.tau": 0.25, "reward.alpha": 3.0, "method": "otr"})
    assert (config.method, config.reward.tau, config.reward.alpha) == ("otr", 0.25, 3.0)
    assert config.icvf == base.icvf and config.transport == base.transport


def test_shared_stages_are_counted_once(tmp_path: Path) -> None:
    sweep = tiny_sweep(tmp_path)
    assert counts(sweep, tmp_path / "store") == {kind: (count, count) for kind, count in DISTINCT.items()}
    made = plan(sweep, tmp_path / "store")
    assert len(made.trials) == 18 and len(set().union(*(scores for _, scores in made.trials))) == 36
    assert [dict(settings) for settings, _ in made.trials] == sweep.settings()
    assert {step.config.transport.k for step in made.steps["alignment"]} == {0, 2}
    assert {step.seed for step in made.steps["intents"]} == {0, 1}
    assert not list((tmp_path / "store").glob("[a-z]*")), "a plan makes nothing"
    text = made.format(2)
    assert "18 trials of 2 seeds" in text and "on 2 workers" in text
    assert [line.split()[:4] for line in text.splitlines()[3:8]] == [
        ["pretrainings", "2", "0", "2"],
        ["alignments", "4", "0", "4"],
        ["relabellings", "36", "0", "36"],
        ["trainings", "36", "0", "36"],
        ["evaluations", "36", "0", "36"],
    ]


def test_what_methods_have_in_common(tmp_path: Path) -> None:
    methods = tiny_sweep(tmp_path, grid={"method": ("ailot", "otr", "seabo", "iql", "bc")})
    # OTR, SEABO and the true rewards do not depend on the seed
    assert counts(methods, tmp_path / "store") == {
        "intents": (2, 2),
        "alignment": (4, 4),
        "rewards": (5, 5),
        "policies": (10, 10),
        "scores": (10, 10),
    }
    only_bc = tiny_sweep(tmp_path, grid={"method": ("bc",)})
    assert counts(only_bc, tmp_path / "store")["rewards"] == (0, 0)
    assert "relabellings" not in plan(only_bc, tmp_path / "store").format()


def test_what_is_done_is_not_to_do(tmp_path: Path) -> None:
    sweep, store = tiny_sweep(tmp_path), tmp_path / "store"
    pretrain(opened(sweep.base, store), [1])
    assert counts(sweep, store)["intents"] == (2, 1)
    trial = sweep.config({"reward.alpha": 5.0, "reward.tau": 0.5, "transport.k": 0})
    evaluate(opened(trial, store), [0])[0]
    left = {"intents": 0, "alignment": 3, "rewards": 35, "policies": 35, "scores": 35}
    assert counts(sweep, store) == {kind: (DISTINCT[kind], count) for kind, count in left.items()}
    assert [step.seed for step in plan(sweep, store).missing("alignment") if step.config.transport.k == 0] == [1]
    # another question that needs the same answer
    other = tiny_sweep(tmp_path, name="other", grid={"transport.k": (0,)}, base=replace(trial))
    assert counts(other, store)["scores"] == (2, 1)
    # other settings of the data, other artefacts
    longer = replace(sweep, base=replace(sweep.base, icvf=replace(sweep.base.icvf, steps=7)))
    assert counts(longer, store)["policies"] == (36, 36)


def test_the_estimate_is_of_reference_times_until_something_was_measured(tmp_path: Path) -> None:
    sweep, store = tiny_sweep(tmp_path), tmp_path / "store"
    first = plan(sweep, store)
    config = sweep.base
    assert first.measured == frozenset() and "nothing measured" in first.format()
    amounts = {"intents": 2 * config.icvf.steps, "alignment": 4 * 12, "rewards": 36, "policies": 36 * config.iql.steps}
    amounts["scores"] = 36
    assert first.seconds == pytest.approx(sum(SECONDS[kind] * amount for kind, amount in amounts.items()))

    trial = opened(sweep.config({"reward.alpha": 5.0, "reward.tau": 0.5, "transport.k": 0}), store)
    relabel(trial, [0])[0]
    measured = {"intents": 12.0, "alignment": 6.0, "rewards": 1.5}
    for kind, seconds in measured.items():
        (run,) = store.glob(f"{kind}/*/{RUN}")
        write_json(run, read_json(run) | {"seconds": seconds})
    second = plan(sweep, store)
    assert second.measured == set(measured)
    assert "measured in this store: pretrainings, alignments, relabellings" in second.format()
    # 12 s for 6 steps; 6 s for 12 solves; 1.5 s for one artefact
    assert sum(step.seconds for step in second.missing("intents")) == pytest.approx(12.0)
    assert sum(step.seconds for step in second.missing("alignment")) == pytest.approx(3 * 6.0)
    assert sum(step.seconds for step in second.missing("rewards")) == pytest.approx(35 * 1.5)
    assert sum(step.seconds for step in second.missing("scores")) == pytest.approx(36 * SECONDS["scores"])
    run.write_text("{}")  # of another shape: it is no part of the artefact, and stops nothing
    assert plan(sweep, store).measured == set(measured) - {"rewards"}


def test_a_second_plan_opens_no_data_until_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, store = tiny_sweep(tmp_path), tmp_path / "store"
    first = plan(sweep, store)
    exact = {step.digest for steps in first.steps.values() for step in steps}
    with monkeypatch.context() as patch:
        patch.setattr(Experiment, "open", lambda *arguments: pytest.fail("the data are known"))
        again = plan(sweep, store)
        assert {step.digest for steps in again.steps.values() for step in steps} == exact
        assert again.entries == first.entries
    made = opened(sweep.config(sweep.settings()[3]), store)
    assert {made.digest(kind, 1) for kind in SECONDS} <= exact
    worse = replace(sweep, base=replace(sweep.base, expert_quantile=0.5))  # another expert, of the same file
    assert not {step.digest for step in plan(worse, store).steps["alignment"]} & exact
    write_hdf5(tmp_path / "hopper.hdf5", episodes(LENGTHS, ENDS, seed=8))
    changed = plan(sweep, store)
    assert changed.data != first.data and not {step.digest for steps in changed.steps.values() for step in steps} & exact


def test_a_setting_of_another_type_names_the_same_artefact(tmp_path: Path) -> None:
    """Sections are made once for equal settings: none may answer for one of another type."""
    ones = [Sweep("s", Config(), grid={"reward.tau": (value,)}) for value in (1, 1.0)]
    assert [repr(one.config(one.settings()[0]).reward.tau) for one in ones] == ["1.0", "1.0"]
    with pytest.raises(ConfigError, match="layer_norm cannot be 1"):
        Sweep("s").config({"icvf.layer_norm": True}), Sweep("s").config({"icvf.layer_norm": 1})


def test_a_search_is_planned_by_its_base(tmp_path: Path) -> None:
    search = tiny_sweep(tmp_path, grid={}, space={"reward.tau": Range(0.1, 1.0), "transport.k": (0, 2)}, samples=7)
    assert counts(search, tmp_path / "store")["policies"] == (2, 2)
    text = plan(search, tmp_path / "store").format()
    assert "7 trials of 2 seeds" in text and "times the samples" in text


BAD_SWEEPS: dict[str, tuple[dict[str, Any], str]] = {
    "grid and space": ({"grid": GRID, "space": {"reward.tau": (1.0,)}}, "sweep s has both a grid and a search space"),
    "cases and space": ({"cases": ({"method": "otr"},), "space": {"reward.tau": (1.0,)}}, "has both a grid and a search space"),
    "no case": ({"cases": ()}, "sweep s has no case"),
    "no value": ({"grid": {"reward.alpha": (1.0,), "reward.tau": ()}}, "the grid has no value of reward.tau"),
    "seed twice": ({"seeds": (0, 1, 0)}, "--seeds 0 1 0 must be one or more different numbers"),
    "no seed": ({"seeds": ()}, "--seeds  must be one or more"),
    "negative seed": ({"seeds": (-1,)}, "--seeds -1 must be"),
    "no sample": ({"samples": 0}, "--samples is 0, but it must be 1 or more"),
    "path as a name": ({"name": "../s"}, "a sweep's name may have letters, .*not '../s'"),
    "no name": ({"name": ""}, "a sweep's name may have letters"),
}


@pytest.mark.parametrize("case", BAD_SWEEPS)
def test_a_sweep_that_cannot_be(case: str) -> None:
    fields, message = BAD_SWEEPS[case]
    with pytest.raises(ConfigError, match=message) as error:
        Sweep(**({"name": "s"} | fields))
    assert "\n" not in str(error.value)


BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown path": ({"reward.tua": (1.0,)}, "reward.tua is not a setting: did you mean reward.tau"),
    "flag for path": ({"icvf.batch-size": (1,)}, "icvf.batch-size is not a setting: did you mean icvf.batch_size"),
    "section": ({"reward": (1.0,)}, "reward is not a setting"),
    "value out of range": ({"reward.tau": (0.5, -1.0)}, "--reward.tau is -1.0, but it must be 0 or more"),
    "not a number": ({"reward.tau": ("high",)}, "reward.tau cannot be 'high'"),
    "method": ({"method": ("ailot", "gail")}, "--method is gail, but it must be one of"),
    "task": ({"task": ("no-such-task",)}, "no-such-task"),
    "solver": ({"transport.solver": ("exact", "pott")}, "transport.solver cannot be 'pott': it must be sinkhorn or pot or"),
    "file": ({"data": ("nowhere.hdf5",)}, "nowhere.hdf5"),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_settings_that_cannot_be_are_told_before_anything_starts(case: str, tmp_path: Path) -> None:
    grid, message = BAD_SETTINGS[case]
    with pytest.raises(AilotError, match=message) as error:
        plan(tiny_sweep(tmp_path, grid=grid), tmp_path / "store")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("low", "high", "log"), [(1.0, 1.0, False), (2.0, 1.0, False), (0.0, 1.0, True), (-1.0, 1.0, True)])
def test_a_range_that_holds_nothing(low: float, high: float, log: bool) -> None:
    with pytest.raises(ConfigError, match=r"a range from .* is empty, or not positive"):
        Range(low, high, log=log)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (40.2, "40 s"), (89.0, "89 s"), (90.0, "2 min"), (180.0, "3 min"), (5400.0, "1.5 h"), (18_720.0, "5.2 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
