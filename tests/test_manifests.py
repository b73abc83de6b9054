"""What a store tells of its making: manifests and journals."""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_store import KEY, OTHER, Build, edit_manifest, store

from ailot_ray.errors import StoreError
from ailot_ray.provenance import code_version, run_facts
from ailot_ray.store import Store, digest_of, open_artefact, read_journal

__all__ = ["store"]  # a fixture


def test_a_manifest_tells_which_code_made_it() -> None:
    code = code_version()
    assert code.version == metadata.version("ailot-ray")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    assert (code.commit or "") == head.stdout.strip()


def test_a_copied_folder_opens_under_any_name_and_an_edited_key_never(store: Store, tmp_path: Path) -> None:
    made = store.produce("intents", "hopper", KEY, Build())
    copied = tmp_path / "copied"
    shutil.copytree(made.folder, copied)
    assert open_artefact("intents", copied).digest == made.digest
    edit_manifest(copied, key=OTHER)
    with pytest.raises(StoreError, match=r"copied/manifest\.json was changed, .*: delete the folder"):
        open_artefact("intents", copied)


def test_the_journal_tells_what_was_executed(store: Store) -> None:
    def dying(folder: Path) -> None:
        assert folder == store.work_folder("intents", OTHER)
        raise KeyboardInterrupt

    assert not store.finished("intents", "hopper", KEY)
    for _ in range(2):
        store.produce("intents", "hopper", KEY, Build())
    assert store.finished("intents", "hopper", KEY)
    with pytest.raises(KeyboardInterrupt):
        store.produce("intents", "hopper", OTHER, dying)
    one, other = (digest_of("intents", key)[:12] for key in (KEY, OTHER))
    told = [(line["event"], line["kind"], line["digest"]) for line in read_journal(store.root)]
    assert told == [("began", "intents", one), ("finished", "intents", one), ("began", "intents", other)]
    store.note("part", "intents", one, part=3)
    assert read_journal(store.root)[-1]["part"] == 3


def test_a_journal_that_cannot_be_written_stops_nothing(store: Store) -> None:
    (store.root / ".journal").write_text("in the way")
    assert store.produce("intents", "hopper", KEY, Build()).path("weights.bin").exists()


def test_a_run_names_the_gpus_it_could_use(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"is_available": lambda: True, "device_count": lambda: 2, "get_device_name": lambda i: ("L4", "H100")[i]}
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(**seen)))
    assert run_facts(1, {}).machine.endswith(" cores, L4, H100")
    monkeypatch.delitem(sys.modules, "torch")
    assert run_facts(1, {}).machine.endswith(" cores")
