from pathlib import Path

import pytest

from ailot_ray.store import Store, digest_of, read_journal

KEY = {"seed": 3, "tau": 0.5}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def write_one(folder: Path) -> None:
    (folder / "one.txt").write_text("done")


def test_the_journal_tells_what_was_executed(store: Store) -> None:
    assert not store.finished("kind", "task", KEY)
    store.produce("kind", "task", KEY, write_one)
    store.produce("kind", "task", KEY, write_one)
    digest = digest_of("kind", KEY)[:12]
    assert [(line["event"], line["kind"], line["digest"]) for line in read_journal(store.root)] == [
        ("began", "kind", digest),
        ("finished", "kind", digest),
    ]
    assert store.finished("kind", "task", KEY)
    store.note("part", "kind", digest, part=3)
    assert read_journal(store.root)[-1]["part"] == 3


def test_a_build_that_dies_is_in_the_journal_as_begun(store: Store) -> None:
    def dying(folder: Path) -> None:
        assert folder == store.work_folder("kind", KEY)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.produce("kind", "task", KEY, dying)
    assert [line["event"] for line in read_journal(store.root)] == ["began"]


def test_a_journal_that_cannot_be_written_stops_nothing(store: Store) -> None:
    (store.root / ".journal").write_text("in the way")
    assert store.produce("kind", "task", KEY, write_one).path("one.txt").exists()
