import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ailot_ray import data as load
from ailot_ray import tasks
from ailot_ray.config import Config
from ailot_ray.data import load_dataset
from ailot_ray.data.digests import check_sidecar, sidecar_of, write_sidecar
from ailot_ray.errors import ConfigError, DataError
from ailot_ray.files import sha256_of

from .synthetic import HOPPER, episodes, write_hdf5


def test_own_file_and_substitute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Told by the digest where D4RL's is known, and by the place where not."""
    assert HOPPER.file_name is not None and HOPPER.url is not None
    own = write_hdf5(tmp_path / HOPPER.file_name, episodes([4, 3], ["terminal", "terminal"]))
    other = write_hdf5(tmp_path / "other.hdf5", episodes([6], ["terminal"]))
    data = load_dataset(Config(task=HOPPER.name, data_dir=tmp_path))
    assert (data.source, data.substituted, len(data)) == (str(own), True, 7)
    assert caplog.messages[-1].startswith(
        f"{own} has the name of the file that D4RL publishes for {HOPPER.name} and is another"
    )
    known = HOPPER.url.split("/offline_rl/")[1]
    monkeypatch.setitem(tasks._FILES, known, (own.stat().st_size, sha256_of(own)))
    for place in (Config(data_dir=tmp_path), Config(data=own), Config(data_from=tmp_path / "from")):
        (tmp_path / "from").mkdir(exist_ok=True)
        shutil.copy(own, tmp_path / "from" / HOPPER.stand_in)
        load._read.clear()
        assert not load_dataset(replace(place, task=HOPPER.name)).substituted
    monkeypatch.delitem(tasks._FILES, known)
    load._read.clear()
    assert not load_dataset(Config(task=HOPPER.name, data_dir=tmp_path)).substituted
    data = load_dataset(Config(task=HOPPER.name, data_dir=tmp_path, data=other))
    assert (data.source, data.substituted, len(data)) == (str(other), True, 6)
    data = load_dataset(Config(task="hopper-builtin", data=other))
    assert (data.task, data.source, data.substituted) == ("hopper-builtin", str(other), True)


def test_missing_file_names_every_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset(Config(task=HOPPER.name, data_dir=tmp_path))
    for part in ("hopper_medium-v2.hdf5", "data fetch --task hopper-medium-v2", "--data-dir", "--data FILE"):
        assert part in str(caught.value)
    with pytest.raises(DataError, match="no such file; check --data"):
        load_dataset(Config(task=HOPPER.name, data=tmp_path / "absent.hdf5"))
    with pytest.raises(ConfigError, match="is unknown"):
        load_dataset(Config(task="hopper-large"))


def test_a_folder_of_stand_ins(tmp_path: Path) -> None:
    file = write_hdf5(tmp_path / "hopper-medium.hdf5", episodes([4, 3], ["terminal", "terminal"]))
    data = load_dataset(Config(task=HOPPER.name, data_from=tmp_path))
    assert (data.source, data.substituted, len(data)) == (str(file), True, 7)
    other = write_hdf5(tmp_path / "other.hdf5", episodes([6], ["terminal"]))
    assert load_dataset(Config(task=HOPPER.name, data_from=tmp_path, data=other)).source == str(other)
    assert load_dataset(Config(task="hopper-builtin", data_from=tmp_path)).source == "built-in"
    with pytest.raises(DataError, match=r"walker2d-medium.hdf5 is missing: --data-from needs a file of that name"):
        load_dataset(Config(task="walker2d-medium-v2", data_from=tmp_path))


def test_sidecar_must_match(tmp_path: Path) -> None:
    assert HOPPER.file_name is not None
    path = write_hdf5(tmp_path / HOPPER.file_name, episodes([4], ["terminal"]))
    config = Config(task=HOPPER.name, data_dir=tmp_path)
    write_sidecar(path, load_dataset(config).digest)
    assert sidecar_of(path).read_text().split()[1] == path.name
    load_dataset(config)
    write_hdf5(path, episodes([5], ["terminal"]))
    with pytest.raises(DataError, match=r"hopper_medium-v2\.hdf5\.sha256 says"):
        load_dataset(config)
    sidecar_of(path).write_text("")
    with pytest.raises(DataError, match="says nothing"):
        check_sidecar(path)
