"""What stands beside an artefact: which code made it, and when its files were last seen to be right."""

import os
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from ailot_ray.errors import StoreError
from ailot_ray.files import sha256_of
from ailot_ray.store import MANIFEST, Store, code_version, open_artefact, read_json, write_json

FILES = {"weights.bin": b"\x00\x01", "parts/0.txt": b"first"}
KEY = {"seed": 3}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


class Build:
    def __call__(self, folder: Path) -> None:
        for name, content in FILES.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)


def test_a_file_is_hashed_when_it_is_new_or_has_changed(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hashed: list[str] = []

    def count(path: Path) -> str:
        hashed.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr("ailot_ray.store.sha256_of", count)
    made = store.produce("intents", "hopper", KEY, Build())
    assert len(hashed) == len(FILES)
    hashed.clear()
    assert store.find("intents", "hopper", KEY) == made and not hashed
    os.utime(made.path("weights.bin"), ns=(1, 1))
    assert store.find("intents", "hopper", KEY) == made and hashed == ["weights.bin"]
    hashed.clear()
    assert store.find("intents", "hopper", KEY) == made and not hashed  # what was seen to be right is noted
    other = Store(tmp_path / "copied")
    shutil.copytree(made.folder, other.folder("intents", "hopper", KEY))
    for file in FILES:
        os.utime(other.folder("intents", "hopper", KEY) / file, ns=(2, 2))
    assert other.find("intents", "hopper", KEY) and sorted(hashed) == sorted(Path(file).name for file in FILES)


def test_a_manifest_tells_which_code_made_it(tmp_path: Path) -> None:
    code = code_version()
    assert code.version == metadata.version("ailot-ray")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    assert (code.commit or "") == head.stdout.strip()


def test_a_copied_folder_opens_under_any_name_and_an_edited_key_never(store: Store, tmp_path: Path) -> None:
    made = store.produce("intents", "hopper", KEY, Build())
    copied = tmp_path / "copied"
    shutil.copytree(made.folder, copied)
    assert open_artefact("intents", copied).digest == made.digest
    write_json(copied / MANIFEST, read_json(copied / MANIFEST) | {"key": {"seed": 4}})
    with pytest.raises(StoreError, match=r"copied/manifest\.json was changed, its digest is not its key's: delete the folder"):
        open_artefact("intents", copied)
