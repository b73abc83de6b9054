"""Relabelling by actors: the plain stage's bytes, however many actors there are, in whatever order, whoever dies."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ailot_ray.cluster import facts, relabel_by_actors
from ailot_ray.cluster.facts import TOKENS, DriverContext, NodeMismatchError
from ailot_ray.cluster.options import ClusterOptions
from ailot_ray.cluster.session import ClusterError, connected
from ailot_ray.config import Config, ICVFConfig
from ailot_ray.errors import AilotError, ConfigError, DataError, StoreError

from .relabelling import Begun, Hunter, alive, begun, config_of, done, plain, require_nothing_done_twice, times_begun, wait_for
from .tiny import require_nothing_half_written, sealed

PARTS = 6


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return config_of(tmp_path_factory.mktemp("data"), PARTS)


@pytest.fixture(scope="module")
def expected(config: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Checksums of the plain stages' artefacts."""
    return sealed(plain(config, tmp_path_factory.mktemp("plain")))


def relabelled(config: Config, store: Path, options: ClusterOptions | None = None) -> dict[str, str]:
    """Checksums after relabelling by actors, of which nothing but the artefacts is left."""
    options = options or ClusterOptions(workers=2)
    with connected(options, store) as origin:
        relabel_by_actors(origin, config, 0, options)
    require_nothing_half_written(store)
    assert not list((store / ".work").iterdir()) and not list((store / TOKENS).iterdir())
    require_gone(store)
    return sealed(store)


def require_gone(store: Path) -> None:
    """All actors that began a part have ended."""
    wait_for(lambda: not alive({one.pid for one in begun(store)}), "all actors end", 20)


def require_failed(kind: type[AilotError], text: str, config: Config, store: Path, **fields: Any) -> None:
    """Relabelling fails in one line with `text`, its actors end, and no temporary file is left."""
    options = ClusterOptions(workers=2, retries=1)
    with pytest.raises(kind, match=text) as caught, connected(options, store) as origin:
        relabel_by_actors(replace(origin, **fields), config, 0, options)
    assert type(caught.value) is kind and "\n" not in str(caught.value) and len(str(caught.value)) < 400
    require_gone(store)
    assert not list(store.rglob(".tmp-*"))


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_the_plain_stages_bytes(
    config: Config, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three actors on two cores: the third waits for the place of another."""
    actors, module = 3, sys.modules["ailot_ray.cluster.relabel"]
    missing_parts = module.missing_parts

    def shuffled(*arguments: Any) -> list[int]:
        return random.Random(actors).sample(numbers := missing_parts(*arguments), len(numbers))

    monkeypatch.setattr(module, "missing_parts", shuffled)
    monkeypatch.setattr(module, "capacity", lambda options: actors)
    assert relabelled(config, tmp_path) == expected
    order = [one.part for one in begun(tmp_path)]
    assert len({one.pid for one in begun(tmp_path)}) == actors
    assert sorted(order) == list(range(PARTS)) != order


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_killed_actors(config: Config, tmp_path: Path) -> None:
    """With intents, and parts 1 and 3 in flight: the second one in the actor that replaced the first, or beside it."""
    config = replace(config, method="ailot", icvf=ICVFConfig(steps=3, batch_size=16, width=16))
    undisturbed = sealed(plain(config, tmp_path / "plain"))
    store = tmp_path / "store"
    targets = [1, 3]

    def choose(working: Sequence[Begun]) -> Begun | None:
        for one in working:
            if one.part in targets:
                targets.remove(one.part)
                return one
        return None

    with Hunter(store, choose, limit=2) as hunter:
        assert relabelled(config, store, ClusterOptions(workers=2)) == undisturbed
    assert len(hunter.kills) == 2
    require_nothing_done_twice(store, PARTS, hunter.kills)
    assert times_begun(store) == {0: 1, 1: 2, 2: 1, 3: 2, 4: 1, 5: 1}, "a kill missed the part in flight"


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_a_part_that_ends_every_actor(config: Config, tmp_path: Path) -> None:
    """As one does that needs more memory than there is."""
    with Hunter(tmp_path, lambda working: next((one for one in working if one.part == 2), None), limit=9) as hunter:
        require_failed(
            ClusterError, "part 2 .* ended 2 actors .*out of memory.*fewer --workers.*same command", config, tmp_path
        )
    assert len(hunter.kills) == times_begun(tmp_path)[2] == 2, "one retry"
    assert done(tmp_path) and 2 not in done(tmp_path)


# --- stores and nodes that cannot serve ---


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 240 KiB, which holds some of the parts."""
    store = tmp_path / "small"
    store.mkdir()
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=240k", "tmpfs", store], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"needs the right to mount a file system ({tried.stderr.strip()})")
    yield store
    subprocess.run(["umount", "--lazy", store], check=True)


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_a_store_that_is_full(mounted: Path, config: Config, expected: dict[str, str]) -> None:
    require_failed(
        StoreError, r"cannot write .*part-\d+\.parquet \(.*No space left on device.*free some space", config, mounted
    )
    assert not sealed(mounted)
    subprocess.run(["mount", "-o", "remount,size=64m", mounted], check=True)
    assert relabelled(config, mounted) == expected


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_a_store_that_becomes_read_only(mounted: Path, config: Config) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", mounted], check=True)

    def protect(working: Sequence[Begun]) -> None:
        if len(done(mounted)) >= 2 and os.access(mounted, os.W_OK):  # from above: files that are open do not stand in the way
            subprocess.run(["mount", "--bind", mounted, mounted], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", mounted], check=True)

    try:
        with Hunter(mounted, protect, limit=1):
            require_failed(StoreError, r"cannot write .*\.parquet \(.*Read-only file system.*another place", config, mounted)
    finally:
        subprocess.run(["umount", mounted], check=True)
    assert not sealed(mounted) and len(done(mounted)) >= 2


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_a_node_of_another_version(config: Config, tmp_path: Path) -> None:
    wanted = {**facts.versions(), "torch": "0.0"}
    text = r"node .* has torch .* \(the driver has 0\.0\): install the same requirements .* same command"
    require_failed(NodeMismatchError, text, config, tmp_path, versions=wanted)
    assert not begun(tmp_path) and not sealed(tmp_path)


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_a_setting_that_only_the_data_refuses(config: Config, tmp_path: Path) -> None:
    require_failed(ConfigError, "--transport.k 500", replace(config, transport=replace(config.transport, k=500)), tmp_path)


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_session")
def test_data_that_the_driver_did_not_read(config: Config, tmp_path: Path) -> None:
    """Of another file on the worker's node, or changed since."""
    text = rf"{config.data} on node .* has SHA-256 [0-9a-f]{{64}}, but the driver read 00: copy the same file to every node"
    require_failed(DataError, text, config, tmp_path, data={str(config.data): "00"})
    assert not begun(tmp_path) and not sealed(tmp_path)


def test_a_store_that_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "NFS_SECONDS", 0.3)
    here = DriverContext.here(tmp_path / "store")
    with ThreadPoolExecutor(8) as workers:  # of one node, at the same time
        for asked in [workers.submit(here.require_same_store) for _ in range(400)]:
            asked.result()
    here.require_same_node()
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(
        NodeMismatchError, match=r"does not see the driver's .*: --store must be a folder that every node shares"
    ):
        replace(here, store=tmp_path / "elsewhere").require_same_node()
    here.forget()
    began = time.monotonic()
    with pytest.raises(NodeMismatchError, match="does not see"):
        here.require_same_node()
    assert 0.3 <= time.monotonic() - began < 5
