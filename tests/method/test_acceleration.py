"""method/fast/ computes what the plain code does, is used for exactly that, and may be deleted."""

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ailot_ray.config import ICVFConfig, IQLConfig, TransportConfig
from ailot_ray.method import acceleration, fast
from ailot_ray.method.goals import GoalSampler
from ailot_ray.method.icvf import ICVF
from ailot_ray.method.iql import IQL, BehaviourCloning, Transitions, value_loss
from ailot_ray.method.transport import align, look_ahead_cost

ROOT = Path(__file__).parents[2]
CONFIG = IQLConfig(steps=50, batch_size=16, width=8, expectile=0.7, temperature=3.0, dropout=0.1, learning_rate=0.01)
ICVF_CONFIG = ICVFConfig(steps=50, batch_size=16, width=8, learning_rate=0.01)


def data(members: int = 2) -> Transitions:
    draw = torch.Generator().manual_seed(3)
    s, a, s_next = (torch.randn(60, size, generator=draw, dtype=torch.float64) for size in (4, 2, 4))
    continues = (torch.rand(60, generator=draw) > 0.1).double()
    rewards = torch.randn(members, 60, generator=draw, dtype=torch.float64)
    return Transitions(s, a.tanh(), s_next, continues, rewards, np.array([0, 60]))


def sampler() -> GoalSampler:
    states = data().observations
    return GoalSampler(states[:-1], states[1:], torch.tensor([0, 20, 59]), torch.ones(59, dtype=torch.bool))


MAKE: dict[str, Callable[..., Any]] = {
    "iql": lambda **flags: IQL(data(), [0, 1], CONFIG, **flags),
    "bc": lambda **flags: BehaviourCloning(data(), [0, 1], CONFIG, **flags),
    "icvf": lambda **flags: ICVF(sampler(), [0, 1], ICVF_CONFIG, **flags),
}


def assert_near(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-7) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name].double(), other[name].double(), rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("kind", MAKE)
def test_training_is_that_of_autograd(kind: str) -> None:
    quick, plain = MAKE[kind](), MAKE[kind](fast=False)
    assert quick.written_out and not plain.written_out
    for _ in range(3):
        assert_near(quick.advance(5), plain.advance(5))
        assert_near(quick.state(), plain.state())


@pytest.mark.parametrize("kind", MAKE)
def test_either_takes_the_others_state_over(kind: str) -> None:
    quick, plain = MAKE[kind](), MAKE[kind](fast=False)
    quick.advance(5)
    plain.restore({name: value.clone() for name, value in quick.state().items()})
    assert_near(quick.advance(5), plain.advance(5))
    quick.restore({name: value.clone() for name, value in plain.state().items()})
    assert_near(quick.state(), plain.state(), 0.0)


class OtherLoss(IQL):
    value_loss = staticmethod(lambda u, expectile: value_loss(u, expectile) + 0.0 * u.mean(-1))


class OtherUpdate(IQL):
    def update(self, rows: Tensor, masks: Any = ()) -> None:
        super().update(rows, masks)


class Cautious(IQL):
    """Nothing of it is changed."""


@pytest.mark.parametrize("kind", [OtherLoss, OtherUpdate])
def test_a_learner_whose_loss_was_changed_runs_by_autograd_and_says_so(
    kind: type[IQL], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        changed = kind(data(), [0, 1], CONFIG)
    assert changed.written_out is None
    (record,) = caplog.records
    assert kind.__name__ in record.getMessage() and "autograd" in record.getMessage()
    assert_near(changed.advance(5), MAKE["iql"]().advance(5))


def test_a_subclass_that_changes_nothing_stays_fast(caplog: pytest.LogCaptureFixture) -> None:
    assert Cautious(data(), [0], CONFIG).written_out and not caplog.records


USED = """
import sys; sys.path.insert(0, sys.argv[1])
from ailot_ray.method import fast
from ailot_ray.method.acceleration import fingerprint
print(*(fingerprint(fast.repeated(k)) == fast.WRITTEN_FOR[k.__name__] for k in (fast.IQL, fast.BehaviourCloning, fast.ICVF)))
"""
IQL_EDIT = ("iql.py", "advantage * temperature", "advantage * temperature * 2")
ICVF_EDIT = ("icvf.py", "target(s, z, z).mean(1)", "target(s, z, z).amin(1)")
NETWORK_EDIT = ("networks.py", "x = torch.relu(x)", "x = torch.tanh(x)")
DOCSTRING_EDITS = [(file, '"""', '"""Another docstring. ') for file in ("iql.py", "icvf.py", "networks.py")]


@pytest.mark.parametrize(
    ("edits", "used"),
    [([IQL_EDIT, ICVF_EDIT], "False True False"), ([NETWORK_EDIT], "False False False"), (DOCSTRING_EDITS, "True True True")],
)
def test_a_formula_that_was_edited_is_seen(edits: list[tuple[str, str, str]], used: str, tmp_path: Path) -> None:
    """As somebody would try it: in a copy of the package, in the source. Which of IQL, BC and ICVF take the fast path."""
    shutil.copytree(ROOT / "ailot_ray", tmp_path / "ailot_ray", ignore=shutil.ignore_patterns("__pycache__"))
    for file, was, becomes in edits:
        path = tmp_path / "ailot_ray" / "method" / file
        assert was in path.read_text()
        path.write_text(path.read_text().replace(was, becomes, 1))
    command = [sys.executable, "-c", USED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=tmp_path)
    assert done.stdout.strip() == used


def test_the_fingerprints_are_those_of_the_plain_code() -> None:
    """After a change of both: write what this prints into WRITTEN_FOR."""
    found = {k.__name__: acceleration.fingerprint(fast.repeated(k)) for k in (IQL, BehaviourCloning, ICVF)}
    assert found == fast.WRITTEN_FOR


def test_without_the_folder_everything_runs(tmp_path: Path) -> None:
    package = tmp_path / "ailot_ray"
    shutil.copytree(ROOT / "ailot_ray", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(package / "method" / "fast")
    code = """
import sys; sys.path[:0] = sys.argv[1:3]
from method.test_acceleration import MAKE, aligned
import ailot_ray, numpy as np, torch
assert ailot_ray.__file__.startswith(sys.argv[1])
torch.save([{name: value for name, value in make().advance(5).items()} for make in MAKE.values()] + [aligned()], sys.argv[3])
"""
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "__init__.py").touch()
    source = Path(__file__).read_text().replace("import acceleration, fast", "import acceleration")
    (tmp_path / "method" / "test_acceleration.py").write_text(source)
    command = [sys.executable, "-c", code, str(tmp_path), str(tmp_path), str(tmp_path / "found.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    *metrics, cost = torch.load(tmp_path / "found.pt", weights_only=False)
    for make, found in zip(MAKE.values(), metrics, strict=True):
        assert_near(make().advance(5), found)
    np.testing.assert_allclose(cost, aligned(), rtol=2e-3)


def aligned() -> Any:
    """The costs of one pair, by Sinkhorn."""
    draw = torch.Generator().manual_seed(5)
    agent, expert = torch.randn(30, 4, generator=draw), torch.randn(25, 4, generator=draw)
    config = TransportConfig("raw", "sqeuclidean", 2, "cut", "sinkhorn", 0.05, "relative", 1e-4)
    return align(agent, expert, config).cost


@pytest.mark.parametrize("start", ["cut", "mask", "none"])
@pytest.mark.parametrize("unit", ["relative", "absolute"])
@pytest.mark.parametrize("k", [0, 3])
def test_an_alignment_is_that_of_plain_torch(start: Any, unit: Any, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(k)
    agent, expert = torch.randn(40, 5, generator=draw), torch.randn(30, 5, generator=draw)
    epsilon = 0.1 if unit == "relative" else 2.0
    config = TransportConfig("raw", "sqeuclidean", k, start, "sinkhorn", epsilon, unit, 1e-4)
    quick = align(agent, expert, config)
    monkeypatch.setattr("ailot_ray.method.transport.fast", lambda: None)
    plain, exact = align(agent, expert, config), align(agent.double(), expert.double(), replace(config, tolerance=1e-9))
    assert quick.first == plain.first == exact.first
    assert type(quick.solution).__name__ == "Scaled" and type(plain.solution).__name__ == "Dense"
    for found in (quick, plain):
        np.testing.assert_allclose(found.cost, exact.cost, rtol=5e-3, atol=1e-4)
        torch.testing.assert_close(found.plan.double(), exact.plan, rtol=0.05, atol=1e-5)
        assert found.converged and found.error <= 1e-4


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine"])
@pytest.mark.parametrize("k", [0, 2, 50])
def test_a_look_ahead_cost_is_that_of_plain_torch(metric: Any, k: int) -> None:
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(20, 5, generator=draw), torch.randn(15, 5, generator=draw)
    quick = fast.look_ahead_cost(x, y, k, metric)
    assert quick is not None
    torch.testing.assert_close(quick, look_ahead_cost(x.double(), y.double(), k, metric).float(), rtol=1e-4, atol=1e-4)
