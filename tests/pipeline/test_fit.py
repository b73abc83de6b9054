import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from torch import Tensor, nn

from ailot_ray import progress
from ailot_ray.errors import AilotError
from ailot_ray.pipeline import fit as module
from ailot_ray.pipeline.fit import DivergenceError, fit, fit_members, load_tensors, save_tensors
from ailot_ray.store import CHECKPOINTS

TOTAL, SNAPSHOTS = 60, (10, 31, 60)
CHECKPOINT = Path(CHECKPOINTS) / "learner.safetensors"


class Killed(BaseException):
    """As a signal would: nothing catches it."""


class Fuse:
    """Kills whoever burns it for the n-th time."""

    def __init__(self, ticks: int | None) -> None:
        self.ticks = ticks

    def burn(self) -> None:
        if self.ticks is not None:
            self.ticks -= 1
            if self.ticks < 0:
                raise Killed


class Walk:
    """A learner of two members whose every step counts, and whose draws depend on where the chunks end, as those of ICVF do."""

    members = 2

    def __init__(self, fuse: Fuse | None = None) -> None:
        self.fuse, self.step = fuse or Fuse(None), 0
        self.layer = nn.Linear(2, 1, bias=False).requires_grad_(False)
        self.layer.weight.zero_()
        self.generator = torch.Generator().manual_seed(7)
        self.chunks: list[int] = []

    def advance(self, steps: int) -> dict[str, Tensor]:
        self.fuse.burn()
        drawn = torch.rand(steps, 2, generator=self.generator)
        self.layer.weight.mul_(0.99).add_(drawn.mean(0))
        self.fuse.burn()  # in the middle of it
        self.step += steps
        self.chunks.append(steps)
        return {"loss": self.layer.weight[0].clone(), "drawn": drawn[-1]}

    def state(self) -> dict[str, Tensor]:
        self.fuse.burn()
        return {"step": torch.tensor(self.step), "weight": self.layer.weight, "generator": self.generator.get_state()}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.layer.load_state_dict({"weight": state["weight"]})
        self.generator.set_state(state["generator"])
        self.step = int(state["step"])

    def result(self, member: int) -> dict[str, Tensor]:
        return {"weight": self.layer.weight[0, member].clone()}


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Chunks of 7 steps, a curve of 5 points, no checkpoints unless a test wants them, no bars."""
    monkeypatch.setattr(module, "CHUNK", 7)
    monkeypatch.setattr(module, "CURVE_POINTS", 5)
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 1e9)
    progress.silence()
    yield
    progress.silence(False)


def train(folder: Path, learner: Walk) -> tuple[module.Curve, dict[int, Tensor]]:
    """Fit with snapshots, kept in `folder` as the stages keep them; the curve, and what the snapshots hold in the end."""

    def keep(step: int) -> None:
        learner.fuse.burn()
        assert step == learner.step
        save_tensors(folder / f"{step}.safetensors", learner.result(1))
        learner.fuse.burn()

    curve = fit(learner, TOTAL, folder, "a walk", SNAPSHOTS, keep)
    return curve, {step: load_tensors(folder / f"{step}.safetensors")[0]["weight"] for step in SNAPSHOTS}


def test_chunks_end_at_their_multiples_and_at_snapshots(tmp_path: Path) -> None:
    learner = Walk()
    curve, snapshots = train(tmp_path, learner)
    assert list(itertools.accumulate(learner.chunks)) == [7, 10, 14, 21, 28, 31, 35, 42, 49, 56, 60]
    assert [point["step"] for point in curve] == [14, 28, 42, 49, 60]  # the first stop in each twelve steps, and the end
    assert curve[-1]["loss"] == learner.layer.weight[0].tolist()
    assert set(curve[0]) == {"step", "loss", "drawn"} and len(curve[0]["loss"]) == 2
    assert snapshots[60] == learner.layer.weight[0, 1] and snapshots[10] != snapshots[31]
    assert not (tmp_path / CHECKPOINT).exists()
    assert [point["step"] for point in fit(Walk(), 10, tmp_path, "a walk")] == [7, 10]  # the end always
    assert fit(Walk(), 0, tmp_path, "a walk") == []


@pytest.fixture(scope="module")
def undisturbed() -> tuple[module.Curve, dict[int, Tensor], dict[str, Tensor]]:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(module, "CHUNK", 7)
        patch.setattr(module, "CURVE_POINTS", 5)
        patch.setattr(module, "CHECKPOINT_SECONDS", 1e9)
        learner = Walk()
        curve, snapshots = train(Path(folder), learner)
        return curve, snapshots, learner.state()


@given(kills=st.lists(st.integers(0, 45), max_size=4), patience=st.sampled_from([-1.0, 1.5, 4.5, 1e9]))
@example(kills=[9, 9, 9, 9], patience=-1.0)
@example(kills=[44, 0, 1, 2], patience=1.5)
@settings(max_examples=60)
def test_killed_and_resumed_is_undisturbed(
    kills: list[int], patience: float, undisturbed: tuple[module.Curve, dict[int, Tensor], dict[str, Tensor]]
) -> None:
    """Whenever it is killed: before, in and after a chunk, a snapshot or a checkpoint; and however old the checkpoint is."""
    ticks = itertools.count()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
        patch.setattr(module, "CHECKPOINT_SECONDS", patience)
        for fuse in (*kills, None):
            learner = Walk(Fuse(fuse))
            try:
                curve, snapshots = train(Path(name), learner)
            except Killed:
                continue
            break
    expected_curve, expected_snapshots, expected_state = undisturbed
    assert curve == expected_curve
    assert snapshots.keys() == expected_snapshots.keys()
    assert all(torch.equal(snapshots[step], expected_snapshots[step]) for step in snapshots)
    learner.fuse = Fuse(None)
    state = learner.state()
    assert all(torch.equal(state[name], expected_state[name]) for name in expected_state)


def test_checkpoints_are_taken_by_the_clock_and_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Killed):
        train(tmp_path, Walk(Fuse(17)))
    saved, about = load_tensors(tmp_path / CHECKPOINT)
    assert int(saved["step"]) == 28
    assert [point["step"] for point in json.loads(about)] == [14, 28]
    resumed = Walk()
    train(tmp_path, resumed)
    assert sum(resumed.chunks) == TOTAL - 28  # nothing is done again
    assert not list(tmp_path.rglob(".tmp-*"))


def test_each_member_has_its_own_curve(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    curves = fit_members(Walk(), TOTAL, folders, "a walk")
    together = fit(Walk(), TOTAL, tmp_path, "a walk")
    assert len(curves) == 2
    for member, curve in enumerate(curves):
        assert [point["step"] for point in curve] == [point["step"] for point in together]
        assert [point["loss"] for point in curve] == [point["loss"][member] for point in together]


def test_a_checkpoint_of_another_group_is_not_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Killed):
        fit_members(Walk(Fuse(17)), TOTAL, [tmp_path / "a", tmp_path / "b"], "a walk")
    for other, steps in (("c", TOTAL), ("b", TOTAL - 35)):
        learner = Walk()
        fit_members(learner, TOTAL, [tmp_path / "a", tmp_path / other], "a walk")
        assert sum(learner.chunks) == steps


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", -1.0)

    class Diverging(Walk):
        def advance(self, steps: int) -> dict[str, Tensor]:
            metrics = super().advance(steps)
            if self.step > 20:
                metrics["drawn"][1] = value
            return metrics

    with pytest.raises(DivergenceError) as error:
        train(tmp_path, Diverging())
    message = str(error.value)
    assert message.startswith(f"a walk: drawn of member 1 is {value} at step 21:")
    assert "lower the learning rate" in message
    assert "\n" not in message and isinstance(error.value, AilotError)
    assert int(load_tensors(tmp_path / CHECKPOINT)[0]["step"]) == 14  # the last good one, not the diverged


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garble(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 4)


def lack(path: Path) -> None:
    tensors, about = load_tensors(path)
    del tensors["generator"]
    save_tensors(path, tensors, about)


def reshape(path: Path) -> None:
    tensors, about = load_tensors(path)
    save_tensors(path, tensors | {"weight": torch.zeros(3, 3)}, about)


def forget_curve(path: Path) -> None:
    save_tensors(path, load_tensors(path)[0])


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [truncate, empty, garble, lack, reshape, forget_curve, make_folder])
def test_a_spoilt_checkpoint_is_named(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    save_tensors(tmp_path / CHECKPOINT, Walk().state(), "[]")
    spoil(tmp_path / CHECKPOINT)
    with pytest.raises(AilotError, match=r"cannot be resumed from .*: delete it") as error:
        train(tmp_path, Walk())
    assert str(tmp_path / CHECKPOINT) in str(error.value)
    assert "\n" not in str(error.value)


def test_tensors_round_trip(tmp_path: Path) -> None:
    tensors = {"turned": torch.arange(6.0).view(2, 3).T, "leaf": torch.ones(2, requires_grad=True), "n": torch.tensor(3)}
    save_tensors(tmp_path / "new" / "t.safetensors", tensors, "about it")
    loaded, about = load_tensors(tmp_path / "new" / "t.safetensors")
    assert about == "about it" and loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) and loaded[name].dtype == tensors[name].dtype for name in tensors)
    save_tensors(tmp_path / "t", tensors)
    assert load_tensors(tmp_path / "t")[1] == ""


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_never_read_as_another_number(tmp_path_factory: pytest.TempPathFactory, place: int, bit: int) -> None:
    path = tmp_path_factory.mktemp("flipped") / "checkpoint.safetensors"
    save_tensors(path, {"weight": torch.arange(40.0).reshape(8, 5), "step": torch.tensor(7)}, '[{"step": 7}]')
    whole, about = load_tensors(path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        found, told = load_tensors(path)
    except (AilotError, SafetensorError, OSError, ValueError):
        return
    assert told in (about, "") and all(torch.equal(found[name], tensor) for name, tensor in whole.items())
