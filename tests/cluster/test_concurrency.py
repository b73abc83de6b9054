"""How many trials a sweep has under way at once, where the nodes for them come only when they are asked for."""

from dataclasses import replace
from typing import Literal

import pytest

from ailot_ray.cluster import tuning
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.sweep import Sweep
from ailot_ray.config import Config

GRID = Sweep("grid", Config(), grid={"reward.tau": tuple(0.1 * i for i in range(1, 41))})
ON_DEMAND = ClusterOptions(address="auto", gpus_per_worker=0.25)


@pytest.fixture(autouse=True)
def nothing_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ailot_ray.cluster.session._resources", dict)
    monkeypatch.setattr("ailot_ray.cluster.session._workers_at_most", lambda kind, each: 0)


@pytest.mark.parametrize("scheduler", ["fifo", "asha"])
def test_trials_of_gpu_nodes_yet_to_come_are_all_handed_to_tune(scheduler: Literal["fifo", "asha"]) -> None:
    assert not tuning._by_train(replace(GRID, scheduler=scheduler), ON_DEMAND, 40), (
        "a group's place is not what its trial waits for"
    )
    assert tuning._at_once(ON_DEMAND, by_train=False, workers=1) is None
    assert tuning._at_once(replace(ON_DEMAND, workers=6), by_train=False, workers=1) == 6


def test_groups_that_were_asked_for_are_as_many_as_can_come(monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(ON_DEMAND, launcher="train")
    assert tuning._by_train(GRID, options, 40)
    assert tuning._at_once(options, by_train=True, workers=1) == 1
    monkeypatch.setattr("ailot_ray.cluster.session._resources", lambda: {"GPU": 2.0})
    assert tuning._at_once(options, by_train=True, workers=1) == 8
    monkeypatch.setattr("ailot_ray.cluster.session._workers_at_most", lambda kind, each: 32)
    assert tuning._at_once(options, by_train=True, workers=1) == 32


def test_on_a_cpu_groups_fill_what_trials_leave_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ailot_ray.cluster.session._resources", lambda: {"CPU": 4.0})
    here = ClusterOptions()
    assert tuning._by_train(GRID, here, 3) and not tuning._by_train(GRID, here, 4)
    assert tuning._by_train(replace(GRID, scheduler="asha"), here, 40), "ASHA needs the mean over all seeds at each step"
