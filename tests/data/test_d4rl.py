import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ailot_ray.data import d4rl, read_trajectories
from ailot_ray.data.cutting import ANT_STEP
from ailot_ray.data.d4rl import read_d4rl
from ailot_ray.data.recorded import read_recording
from ailot_ray.errors import DataError
from ailot_ray.files import sha256_of
from ailot_ray.tasks import get_task

from .synthetic import ANTMAZE, HOPPER, episodes, shared, write_hdf5


def test_stored_successors_keep_every_transition(tmp_path: Path) -> None:
    arrays = episodes([4, 1, 3, 5], ["terminal", "timeout", "none", "none"])
    path = write_hdf5(tmp_path / "a.hdf5", arrays)
    data = read_d4rl(path, HOPPER, substituted=True)
    assert data.lengths.tolist() == [4, 1, 3, 5]
    assert data.ends == ("terminal", "timeout", "gap", "file")
    for key in ("observations", "actions", "next_observations", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(data, key), arrays[key])
    assert data.successor_known.all() and data.notes.dropped == 0 and data.notes.transitions_in_file == 13
    assert data.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (data.task, data.source, data.substituted) == ("hopper-medium-v2", str(path), True)


def test_without_successors_they_come_from_the_next_row(tmp_path: Path) -> None:
    arrays = episodes([4, 1, 3, 2], ["terminal", "timeout", "timeout", "none"])
    path = write_hdf5(tmp_path / "a.hdf5", arrays, without=["next_observations"])
    data = read_d4rl(path, HOPPER, substituted=False)
    assert data.lengths.tolist() == [4, 2, 1]  # the one-step timeout is gone
    assert data.ends == ("terminal", "timeout", "file")
    kept = [0, 1, 2, 3, 5, 6, 8]
    np.testing.assert_array_equal(data.observations, arrays["observations"][kept])
    np.testing.assert_array_equal(data.rewards, arrays["rewards"][kept])
    known = np.array([True, True, True, False, True, True, True])
    np.testing.assert_array_equal(data.successor_known, known)
    np.testing.assert_array_equal(data.next_observations[known], arrays["next_observations"][kept][known])
    np.testing.assert_array_equal(data.next_observations[3], arrays["observations"][3])
    assert data.terminals.tolist() == [False, False, False, True, False, False, False]
    assert (data.notes.dropped, data.notes.vanished) == (3, 1)


def test_optional_keys_may_be_absent_and_infos_are_ignored(tmp_path: Path) -> None:
    arrays = episodes([3, 3], ["terminal", "terminal"])
    path = write_hdf5(tmp_path / "a.hdf5", arrays, without=["rewards", "timeouts"])
    with h5py.File(path, "a") as file:
        file["infos/goal"] = np.full(2, np.nan)
    data = read_d4rl(path, HOPPER, substituted=False)
    assert data.rewards is None and data.lengths.tolist() == [3, 3]


def test_flags_and_rewards_may_be_float_columns(tmp_path: Path) -> None:
    arrays = episodes([3, 3], ["terminal", "timeout"])
    for key in ("terminals", "timeouts", "rewards"):
        arrays[key] = arrays[key].astype(np.float64)[:, None]
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", arrays), HOPPER, substituted=False)
    assert data.ends == ("terminal", "timeout") and data.rewards is not None and data.rewards.shape == (6,)
    assert data.rewards.dtype == data.observations.dtype == np.float32


def test_actions_are_clipped_and_counted(tmp_path: Path) -> None:
    arrays = episodes([5], ["terminal"])
    arrays["actions"][1] = [1.5, -2.5, 0.25]
    arrays["actions"][3, 0] = -1.01
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", arrays), HOPPER, substituted=False)
    assert data.actions[1].tolist() == [1.0, -1.0, 0.25] and data.actions[3, 0] == -1.0
    assert data.notes.clipped == 2 and data.notes.largest_action == 2.5


@pytest.mark.parametrize("stored", [True, False])
def test_without_timeouts_locomotion_is_cut_at_its_horizon(tmp_path: Path, stored: bool) -> None:
    arrays = episodes([7, 25], ["terminal", "none"])
    without = ["timeouts"] if stored else ["timeouts", "next_observations"]
    path = write_hdf5(tmp_path / "a.hdf5", arrays, without=without)
    data = read_d4rl(path, replace(HOPPER, horizon=10), substituted=False)
    assert data.ends == ("terminal", "timeout", "timeout", "file") and data.notes.horizons == 2
    assert data.lengths.tolist() == ([7, 10, 10, 5] if stored else [7, 9, 9, 4])
    assert data.notes.warnings() == ["the file has no `timeouts`: 2 episodes were cut at the task's horizon"]
    whole = read_d4rl(write_hdf5(tmp_path / "b.hdf5", arrays), replace(HOPPER, horizon=10), substituted=False)
    assert whole.lengths.tolist() == [7, 25] and not whole.notes.warnings(), "the file says where its episodes end"


def test_a_successor_that_is_the_next_episodes_first_state_is_none(tmp_path: Path) -> None:
    """As `qlearning_dataset` gives them: each row's successor is the row after it, whatever ended there."""
    arrays = episodes([4, 3, 5], ["terminal", "timeout", "terminal"])
    arrays["next_observations"][:-1] = arrays["observations"][1:]
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", arrays), HOPPER, substituted=False)
    assert data.lengths.tolist() == [4, 2, 5] and data.ends == ("terminal", "timeout", "terminal")
    assert np.flatnonzero(~data.successor_known).tolist() == [3]
    np.testing.assert_array_equal(data.next_observations[3], data.observations[3])
    ends = data.offsets[1:-1] - 1
    assert not (data.next_observations[ends] == data.observations[ends + 1]).all(axis=1).any()


def test_an_ant_that_goes_on_after_its_flag_keeps_its_successor(tmp_path: Path) -> None:
    arrays = episodes([6], ["terminal"], ANTMAZE)
    arrays["terminals"][2] = True
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", arrays), ANTMAZE, substituted=False)
    assert data.lengths.tolist() == [3, 3] and data.successor_known.all()


def test_many_clipped_actions_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    arrays = episodes([50, 50], ["timeout", "timeout"])
    arrays["actions"][:] = 0.5
    arrays["actions"][0] = 3.0
    path = write_hdf5(tmp_path / "a.hdf5", arrays)
    read_trajectories(str(path), HOPPER, substituted=True)
    assert "a.hdf5: 1% of the actions lie outside the environment's bounds (largest 3 times" in caplog.text


def test_rows_out_of_order_are_told(tmp_path: Path) -> None:
    arrays = episodes([60, 40], ["terminal", "timeout"])
    assert not read_d4rl(write_hdf5(tmp_path / "a.hdf5", arrays), HOPPER, substituted=True).notes.warnings()
    shifted = arrays | {"next_observations": np.roll(arrays["next_observations"], 1, axis=0)}
    found = read_d4rl(write_hdf5(tmp_path / "b.hdf5", shifted), HOPPER, substituted=True).notes.warnings()
    assert len(found) == 1 and "of 100 rows the stored successor is not the next row" in found[0]


@pytest.mark.parametrize("way", ["link", "virtual", "raw"])
def test_data_outside_of_the_file_are_refused(tmp_path: Path, way: str) -> None:
    arrays = episodes([4, 2], ["terminal", "timeout"])
    elsewhere, path = write_hdf5(tmp_path / "b.hdf5", arrays), write_hdf5(tmp_path / "a.hdf5", arrays)
    (tmp_path / "secret").write_bytes(bytes(48))
    with h5py.File(path, "a") as file:
        del file["rewards"]
        if way == "link":
            file["rewards"] = h5py.ExternalLink(str(elsewhere), "rewards")
        elif way == "virtual":
            layout = h5py.VirtualLayout((6,), np.float32)
            layout[:] = h5py.VirtualSource(str(elsewhere), "rewards", (6,))
            file.create_virtual_dataset("rewards", layout)
        else:
            file.create_dataset("rewards", (6,), np.float32, external=[(str(tmp_path / "secret"), 0, 24)])
    where = "secret" if way == "raw" else r"b\.hdf5"
    with pytest.raises(DataError, match=rf"a\.hdf5: rewards is .*{where}\): copy its data into this file"):
        read_d4rl(path, HOPPER, substituted=False)
    elsewhere.unlink()
    with pytest.raises(DataError, match="copy its data into this file"):
        read_d4rl(path, HOPPER, substituted=False)


@pytest.mark.parametrize("name", ["Walker2d-v2", b"Walker2d-v2"])
def test_another_body_is_refused_however_its_name_is_stored(tmp_path: Path, name: str | bytes) -> None:
    path = write_hdf5(tmp_path / "a.hdf5", episodes([4], ["terminal"]))
    with h5py.File(path, "a") as file:
        file.attrs["environment"] = np.bytes_(name) if isinstance(name, bytes) else name
    with pytest.raises(DataError, match="was recorded in Walker2d-v2, but task hopper-medium-v2 is Hopper"):
        read_d4rl(path, HOPPER, substituted=False)


def test_hidden_antmaze_reset_is_a_gap(tmp_path: Path) -> None:
    arrays = episodes([30, 30], ["none", "timeout"], ANTMAZE)
    arrays["observations"][30:, 0] += 4.0
    path = write_hdf5(tmp_path / "a.hdf5", arrays, without=["next_observations"])
    data = read_d4rl(path, ANTMAZE, substituted=False)
    assert data.ends == ("gap", "timeout") and data.lengths.tolist() == [29, 29]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "missing key": ({"actions": None}, "has no key actions"),
    "nan": ({"observations": (3, np.nan)}, "observations has 11 NaN or infinite values, the first in row 3"),
    "infinite": ({"rewards": (2, np.inf)}, "rewards has 1 NaN or infinite values, the first in row 2"),
    "overflow": ({"actions": np.full((6, 3), 1e300)}, "actions has 18 NaN or infinite values, the first in row 0"),
    "rank": ({"observations": np.zeros((6, 11, 1))}, r"observations has shape \(6, 11, 1\)"),
    "scalar": ({"terminals": np.array(True)}, r"terminals has shape \(\)"),
    "flag rank": ({"timeouts": np.zeros((6, 2))}, r"timeouts has shape \(6, 2\)"),
    "length": ({"rewards": np.zeros(5)}, "rewards has 5 rows, but observations has 6"),
    "observation size": ({"observations": np.zeros((6, 17))}, "observations have size 17.*11.*--task and --data"),
    "successor size": ({"next_observations": np.zeros((6, 17))}, "next_observations have size 17"),
    "action size": ({"actions": np.zeros((6, 6))}, "actions have size 6, but task hopper-medium-v2 has 3; check --task"),
    "no flag": ({"terminals": np.full(6, 0.5)}, "terminals has values other than 0 and 1"),
    "text": ({"rewards": np.array([b"a"] * 6)}, "rewards is not an array of numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_content_is_one_line(tmp_path: Path, case: str) -> None:
    replaced, message = BAD[case]
    arrays = episodes([4, 2], ["terminal", "timeout"])
    for key, value in replaced.items():
        if value is None:
            del arrays[key]
        elif isinstance(value, tuple):
            arrays[key][value[0]] = value[1]
        else:
            arrays[key] = value
    path = write_hdf5(tmp_path / "bad.hdf5", arrays)
    with pytest.raises(DataError, match=message) as caught:
        read_d4rl(path, HOPPER, substituted=False)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_unusable_files_are_one_line(tmp_path: Path) -> None:
    whole = write_hdf5(tmp_path / "whole.hdf5", episodes([400], ["terminal"])).read_bytes()
    (tmp_path / "truncated.hdf5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.hdf5").write_text("<html>not found</html>")
    (tmp_path / "nothing.hdf5").touch()
    write_hdf5(tmp_path / "empty.hdf5", {key: array[:0] for key, array in episodes([2], ["none"]).items()})
    lone = episodes([1, 1], ["timeout", "timeout"])
    write_hdf5(tmp_path / "lone.hdf5", lone, without=["next_observations"])
    with h5py.File(tmp_path / "group.hdf5", "w") as file:
        file.create_group("observations")
    cases = {
        "absent.hdf5": "no such file; check --expert",
        "": "is not a file; --expert",
        "truncated.hdf5": "cannot be read as HDF5, it is truncated",
        "page.hdf5": "cannot be read as HDF5",
        "nothing.hdf5": "cannot be read as HDF5",
        "empty.hdf5": "is empty",
        "lone.hdf5": "no episode has a transition with a known successor left",
        "group.hdf5": "observations is not an array of numbers",
    }
    for name, message in cases.items():
        with pytest.raises(DataError, match=message) as caught:
            read_d4rl(tmp_path / name, HOPPER, substituted=False, flag="--expert")
        assert "\n" not in str(caught.value) and str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "task", "trajectories", "transitions"),
    [
        ("hopper-medium-replay", "hopper-medium-replay-v2", 539, 80_000),
        ("halfcheetah-medium-expert", "halfcheetah-medium-expert-v2", 120, 120_000),
        ("antmaze-umaze", "antmaze-umaze-v0", 455, 59_800),  # 460 episodes, 5 of them a single step and a timeout
        ("door-human", "door-human-v0", 25, 6_704),
    ],
)
def test_development_files(name: str, task: str, trajectories: int, transitions: int) -> None:
    data = read_d4rl(shared(name), get_task(task), substituted=True)
    assert (data.trajectories, len(data)) == (trajectories, transitions)
    assert data.notes.dropped == data.notes.transitions_in_file - transitions
    inner = np.ones(len(data), np.bool_)
    inner[data.offsets[1:] - 1] = False
    np.testing.assert_array_equal(data.next_observations[inner], data.observations[1:][inner[:-1]])
    assert not data.terminals[inner].any()


def test_join_of_two_runs_is_found_where_its_flag_is_lost(tmp_path: Path) -> None:
    with h5py.File(shared("hopper-medium-expert")) as file:
        rows = slice(59_000, 61_500)
        arrays = {key: file[key][rows] for key in ("observations", "actions", "next_observations", "terminals", "timeouts")}
    assert arrays["timeouts"][999]
    arrays["timeouts"][999] = False
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", arrays), HOPPER, substituted=True)
    gaps = [number for number, end in enumerate(data.ends) if end == "gap"]
    assert len(gaps) == 1 and data.offsets[gaps[0] + 1] == 1000


def test_antmaze_resets_are_found_where_all_timeouts_are_lost(tmp_path: Path) -> None:
    with h5py.File(shared("antmaze-umaze")) as file:
        arrays = {key: file[key][()] for key in ("observations", "actions", "terminals", "timeouts")}
    true_ends = np.flatnonzero(arrays["timeouts"])
    arrays["timeouts"][:] = False
    data = read_d4rl(write_hdf5(tmp_path / "a.hdf5", arrays), ANTMAZE, substituted=True)
    steps = np.linalg.norm(data.next_observations[:, :2] - data.observations[:, :2], axis=1)
    assert steps.max() <= ANT_STEP
    found = data.ends.count("gap") + data.notes.vanished
    assert 0.95 * len(true_ends) < found <= len(true_ends)  # no false alarm; resets nearer than the bound stay unseen
    assert data.ends.count("terminal") == 260


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its digest would be of other bytes than its numbers."""
    path = write_hdf5(tmp_path / "hopper.hdf5", episodes([4, 3], ["terminal", "terminal"]))

    def slow_digest(file: Path) -> str:
        write_hdf5(file, episodes([5], ["terminal"]))
        return sha256_of(file)

    monkeypatch.setattr(d4rl, "sha256_of", slow_digest)
    with pytest.raises(DataError, match=f"{path} was changed while it was read"):
        read_d4rl(path, HOPPER, substituted=True)


@pytest.mark.parametrize("end", ["terminal", "none"])
@pytest.mark.parametrize(("stored", "unknown"), [("none", [3, 6]), ("true", []), ("next episode's", [3])])
def test_recorded_steps_stay_inside_of_episodes(tmp_path: Path, stored: str, unknown: list[int], end: str) -> None:
    arrays = episodes([4, 3], ["timeout", end])
    true = arrays["next_observations"].copy()
    if stored == "next episode's":
        arrays["next_observations"][3] = arrays["observations"][4]
    without = ["next_observations"] if stored == "none" else []
    recording = read_recording(write_hdf5(tmp_path / "hopper.hdf5", arrays, without), HOPPER)
    nowhere = np.isnan(recording.successors).all(1)
    assert np.flatnonzero(nowhere).tolist() == unknown and np.flatnonzero(recording.starts).tolist() == [0, 4]
    np.testing.assert_array_equal(recording.successors[~nowhere], true[~nowhere])


def test_a_recorded_jump_begins_an_episode_without_a_flag(tmp_path: Path) -> None:
    recording = read_recording(write_hdf5(tmp_path / "hopper.hdf5", episodes([4, 3], ["none", "terminal"])), HOPPER)
    assert np.flatnonzero(recording.starts).tolist() == [0, 4] and np.isfinite(recording.successors).all()
