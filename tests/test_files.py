"""A file is written whole or not at all."""

import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ailot_ray.errors import StoreError
from ailot_ray.files import locked, replacing
from ailot_ray.records import Spread
from ailot_ray.store import read_json, write_json


def test_a_failure_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("ne")
        assert path.read_text() == "old"
        raise RuntimeError
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "old"


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "value.json"
    write_json(path, {"b": 1, "a": [1, None]})
    assert read_json(path) == {"b": 1, "a": [1, None]}
    spread = Spread(0.0, float("inf"), 1.0)
    for value, error in ((object(), TypeError), (float("nan"), ValueError), ([spread], ValueError)):
        with pytest.raises(error):
            write_json(path, {"a": value})
    assert read_json(path) == {"b": 1, "a": [1, None]} and len(list(path.parent.iterdir())) == 1
    with pytest.raises(StoreError, match=r"absent.json cannot be read .*: delete the folder"):
        read_json(tmp_path / "absent.json")


def test_success_replaces_the_file_once_its_bytes_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, there = tmp_path / "new" / "table.csv", []
    monkeypatch.setattr("os.fsync", lambda descriptor: there.append(path.exists()))
    for text in ("one", "two"):
        with replacing(path) as temporary:
            temporary.write_text(text)
        assert path.read_text() == text
    assert len(list(path.parent.iterdir())) == 1 and there == [False, True]


def test_who_waits_says_for_whom_after_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(tmp_path / "a.lock", "the file"):
            held.set()
            free.wait(10)

    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.WARNING):
        pool.submit(hold)
        held.wait(10)
        threading.Timer(1.5, free.set).start()
        with locked(tmp_path / "a.lock", "the file"):
            assert free.is_set()
        with locked(tmp_path / "a.lock", "the file"):  # nobody holds it: no word
            pass
    assert len(caplog.messages) == 1
    assert re.match(r"waiting for process \d+ on \S+, which makes the file", caplog.messages[0])
