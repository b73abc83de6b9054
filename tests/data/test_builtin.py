import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from builtin_files import choose_episodes, write_builtin

from ailot_ray.data.builtin import EXPERT_NAME, FOLDER, REPLAY_NAME, builtin_expert, read_builtin
from ailot_ray.errors import DataError
from ailot_ray.files import sha256_of
from ailot_ray.tasks import get_task

from .synthetic import episodes

TASK = get_task("hopper-builtin")


def test_round_trip(tmp_path: Path) -> None:
    replay = episodes([5, 1, 7, 2], ["terminal", "timeout", "terminal", "timeout"])
    expert = episodes([9], ["timeout"], seed=1)
    write_builtin(replay, expert, {"seed": 3}, tmp_path)

    data = read_builtin(TASK, tmp_path)
    for key in ("observations", "actions", "next_observations", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(data, key), replay[key])
        assert getattr(data, key).dtype == replay[key].dtype
    assert data.lengths.tolist() == [5, 1, 7, 2]
    assert data.ends == ("terminal", "timeout", "terminal", "timeout")
    assert data.successor_known.all() and not data.substituted
    assert data.digest == sha256_of(tmp_path / REPLAY_NAME)

    chosen = builtin_expert(tmp_path)
    np.testing.assert_array_equal(chosen.observations, expert["observations"])
    np.testing.assert_array_equal(chosen.next_observations, expert["next_observations"])
    assert chosen.true_return == pytest.approx(expert["rewards"].sum(), rel=1e-5)


def test_layout_is_one_row_a_state_and_the_bytes_are_reproducible(tmp_path: Path) -> None:
    replay, expert = episodes([5, 2], ["terminal", "timeout"]), episodes([9], ["timeout"], seed=1)
    for folder in ("a", "b"):
        write_builtin(replay, expert, {"seed": 3}, tmp_path / folder)
    for name in (REPLAY_NAME, EXPERT_NAME):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {path.name for path in (tmp_path / "a").iterdir()} == {REPLAY_NAME, EXPERT_NAME}

    table = pq.read_table(tmp_path / "a" / REPLAY_NAME)
    assert table["episode"].to_pylist() == [0] * 6 + [1] * 3
    assert table["end"].to_pylist() == [None] * 5 + ["terminal"] + [None] * 2 + ["timeout"]
    assert [action is None for action in table["action"].to_pylist()] == [end is not None for end in table["end"].to_pylist()]
    assert table["reward"].null_count == 2
    assert json.loads(table.schema.metadata[b"provenance"]) == {"seed": 3}


def test_what_cannot_be_packed_is_refused(tmp_path: Path) -> None:
    expert = episodes([9], ["timeout"])
    cases = [
        (episodes([5, 2], ["terminal", "none"]), expert, "last episode is unfinished"),
        (episodes([5, 2, 3], ["terminal", "none", "timeout"]), expert, "successor of row 6 is not the next row"),
        (episodes([5], ["terminal"]), episodes([3, 3], ["timeout", "timeout"]), "the expert has 2 episodes"),
    ]
    for replay, one, message in cases:
        with pytest.raises(DataError, match=message):
            write_builtin(replay, one, {}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_missing_or_damaged_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="install ailot_ray again"):
        read_builtin(TASK, tmp_path)
    (tmp_path / EXPERT_NAME).write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="install ailot_ray again"):
        builtin_expert(tmp_path)


def test_chosen_episodes_are_whole_and_even_over_time() -> None:
    rng = np.random.default_rng(0)
    lengths = np.concatenate([rng.integers(10, 40, 600), rng.integers(100, 400, 300)])  # longer as the agent learns
    ends = np.zeros(lengths.sum() + 50, np.bool_)  # the last episode is unfinished
    last = np.cumsum(lengths) - 1
    ends[last] = True
    until = int(last[750]) + 5
    rows = choose_episodes(ends, transitions=15_000, until=until, seed=0)

    number = np.repeat(np.arange(len(lengths)), lengths)[rows]
    kept, counts = np.unique(number, return_counts=True)
    np.testing.assert_array_equal(counts, lengths[kept])
    assert kept.max() <= 750 and rows.max() < until
    assert abs(len(rows) - 15_000) < 1500  # three standard deviations of choosing among these lengths
    share = np.histogram(kept, bins=np.linspace(0, 751, 6))[0] / (751 / 5)
    assert np.ptp(share) < 0.03
    np.testing.assert_array_equal(rows, choose_episodes(ends, transitions=15_000, until=until, seed=0))
    assert not np.array_equal(rows, choose_episodes(ends, transitions=15_000, until=until, seed=1))


def test_choosing_more_than_there_is_keeps_all_and_nothing_is_an_error() -> None:
    ends = np.array([False, True, False, True, False])
    assert choose_episodes(ends, transitions=100, until=5, seed=0).tolist() == [0, 1, 2, 3]
    with pytest.raises(DataError, match="raise --until"):
        choose_episodes(ends, transitions=100, until=1, seed=0)


def test_packaged_files() -> None:
    paths = [FOLDER / name for name in (REPLAY_NAME, EXPERT_NAME)]
    if not all(path.exists() for path in paths):
        pytest.skip("the built-in dataset is not packed yet")
    assert sum(path.stat().st_size for path in paths) <= 6_000_000
    data, expert = read_builtin(TASK), builtin_expert()
    assert data.observations.shape[1] == TASK.observation_size and data.actions.shape[1] == TASK.action_size
    inner = np.ones(len(data), np.bool_)
    inner[data.offsets[1:] - 1] = False
    np.testing.assert_array_equal(data.next_observations[inner], data.observations[1:][inner[:-1]])
    assert expert.true_return is not None and expert.true_return > np.median(data.returns())
