"""A tiny dataset in Hopper's sizes, settings that finish in milliseconds, and counters of the work that a stage does."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data.synthetic import episodes, write_hdf5

from ailot_ray.config import Config, EvaluationConfig, ICVFConfig, IQLConfig
from ailot_ray.pipeline import Experiment
from ailot_ray.store import Store

LENGTHS = (8, 30, 12, 25, 9, 18, 22, 15, 27, 11, 20, 14)
ENDS = ("terminal", "timeout") * 6
TINY: dict[str, Any] = {
    "icvf": ICVFConfig(steps=6, batch_size=16, width=16),
    "iql": IQLConfig(steps=8, batch_size=16, width=16, snapshots=2),
    "evaluation": EvaluationConfig(episodes=3, curve_episodes=1),
}
_COUNTED = {
    "ailot_ray.pipeline.fit": ("fit",),
    "ailot_ray.pipeline.align": ("align_pair",),
    "ailot_ray.pipeline.relabel": ("rewards_from_costs",),
    "ailot_ray.envs.rollout": ("roll_out",),
}

OpenExperiment = Callable[..., Experiment]


@pytest.fixture
def hopper(tmp_path: Path) -> Path:
    """12 trajectories of 8 to 30 steps, with rewards; every state is in the file once."""
    return write_hdf5(tmp_path / "hopper.hdf5", episodes(LENGTHS, ENDS))


@pytest.fixture
def open_experiment(hopper: Path, tmp_path: Path) -> OpenExperiment:
    """Open an experiment of `hopper`, or of `data`, in the named store; other arguments are fields of Config."""

    def opened(method: str = "ailot", store: str = "store", data: Path = hopper, **fields: Any) -> Experiment:
        config = Config(task="hopper-medium-v2", data=data, method=method, device="cpu", **(TINY | fields))
        return Experiment.open(config, Store(tmp_path / store))

    return opened


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each costly function of the stages has been called."""
    counter: Counter[str] = Counter()

    def count(module: Any, name: str) -> None:
        original = getattr(module, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            counter[name] += 1
            return original(*arguments, **named)

        monkeypatch.setattr(module, name, counted)

    for module, names in _COUNTED.items():
        for name in names:
            count(sys.modules[module], name)  # not by attribute: the functions of `stages` hide modules of the same names
    return counter
