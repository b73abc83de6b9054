"""From a server that breaks off, lies, redirects, changes what it serves or is slow; two at once; a folder as a mirror."""

import hashlib
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ailot_ray import tasks
from ailot_ray.data import fetch as fetching
from ailot_ray.data.d4rl import read_d4rl
from ailot_ray.data.digests import sidecar_of
from ailot_ray.data.fetch import Fetched, fetch
from ailot_ray.errors import DataError
from ailot_ray.tasks import TASKS, Task, get_task

from .synthetic import HOPPER, episodes, write_hdf5

direct = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""No proxy of the surroundings between the test and its own server."""
NAME = "hopper_medium-v2.hdf5"


@dataclass
class Served:
    """What the server answers with, and the headers that it was sent."""

    body: bytes
    address: str = ""
    ranges: bool = True
    tag: str | None = '"first"'
    cut_at: int | None = None
    """Close the connection after so many bytes of the body."""
    status: int = 200
    length: bool = True
    pause: float = 0.0
    asked: list[str | None] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def fetch(self, folder: Path, sha256: str | None = None) -> Fetched:
        return fetch(replace(HOPPER, url=f"{self.address}/{NAME}"), folder, sha256=sha256, mirror=self.address, opener=direct)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    state = Served(write_hdf5(tmp_path / "origin.hdf5", episodes([300, 200], ["terminal", "terminal"])).read_bytes())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted, confirmed = self.headers.get("Range"), self.headers.get("If-Range")
            state.asked.append(wanted and (wanted if confirmed is None else f"{wanted} if {confirmed}"))
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/moved"))
                self.end_headers()
                return
            start, status = 0, state.status
            if wanted and state.ranges and confirmed in (None, state.tag):
                match = re.fullmatch(r"bytes=(\d+)-", wanted)
                assert match
                start, status = int(match[1]), 206
                if start >= len(state.body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(state.body)}")
                    self.end_headers()
                    return
            self.send_response(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{len(state.body) - 1}/{len(state.body)}")
            if state.tag:
                self.send_header("ETag", state.tag)
            if state.length:
                self.send_header("Content-Length", str(len(state.body) - start))
            self.end_headers()
            time.sleep(state.pause)
            self.wfile.write(state.body[start : state.cut_at])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def assert_whole(fetched: Fetched, served: Served) -> None:
    path = fetched.path
    assert path.read_bytes() == served.body and fetched.sha256 == served.digest
    assert sidecar_of(path).read_text() == f"{served.digest}  {path.name}\n"
    assert names(path.parent) == {path.name, f"{path.name}.sha256"}
    read_d4rl(path, HOPPER, substituted=False)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if not file.name.startswith(".")}


def test_downloads_once(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    fetched = served.fetch(folder, served.digest.upper())
    assert fetched.path == folder / NAME and fetched.verified
    assert_whole(fetched, served)
    assert served.fetch(folder, served.digest) == fetched and served.asked == [None]
    with pytest.raises(DataError, match=r"another file than the one wanted .*move it away"):
        served.fetch(folder, "00")
    fetched.path.write_bytes(served.body + b"x")
    with pytest.raises(DataError, match=r"\.sha256 says"):
        served.fetch(folder, served.digest)


def test_only_a_digest_from_elsewhere_makes_a_file_verified(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = get_task("relocate-human-v1")
    assert unknown.published_file is None and unknown.url is not None
    with pytest.raises(DataError, match=r"serves another file, of .* bytes in place of 152,756,557"):
        fetch(get_task("hopper-medium-v2"), tmp_path / "d", mirror=served.address, opener=direct)
    assert not fetch(unknown, tmp_path / "d", mirror=served.address, opener=direct).verified
    monkeypatch.setitem(tasks._FILES, "gym_mujoco_v2/hopper_medium-v2.hdf5", (len(served.body), served.digest))
    assert fetch(get_task("hopper-medium-v2"), tmp_path / "d", mirror=served.address, opener=direct).verified


def test_known_digests_are_those_of_32_files() -> None:
    known = {name: task.published_file for name, task in TASKS.items() if task.published_file}
    assert len(known) == 32 and all(re.fullmatch("[0-9a-f]{64}", found[1]) for found in known.values() if found)
    assert known["door-human-v1"] == (3121206, "f9691288c3ddf2b4e7b31bdae0d8444b80ba035515495f8a902d60c43ee09370")
    assert {name for name, task in TASKS.items() if task.url} - set(known) == {
        "antmaze-medium-play-v2",
        *(f"relocate-{kind}-{version}" for kind in ("human", "cloned") for version in ("v0", "v1")),
    }


@pytest.mark.parametrize("known", [False, True])
def test_truncated_body_is_resumed(served: Served, tmp_path: Path, known: bool) -> None:
    digest, folder = served.digest if known else None, tmp_path / "d"
    served.cut_at = 10_000
    with pytest.raises(DataError, match=r"broke off after 10,000 .*run it again") as caught:
        served.fetch(folder, digest)
    assert "\n" not in str(caught.value) and names(folder) == {f"{NAME}.part", f"{NAME}.part.json"}
    served.cut_at = None
    assert_whole(served.fetch(folder, digest), served)
    assert served.asked == [None, "bytes=10000-" if known else 'bytes=10000- if "first"']


@pytest.mark.parametrize("change", ["tag", "no tag", "weak tag", "address"])
def test_a_file_that_changed_between_is_fetched_whole(served: Served, tmp_path: Path, change: str) -> None:
    """Where no digest is known: else the first part of one version would stand before the rest of another."""
    served.cut_at = 10_000
    served.tag = {"no tag": None, "weak tag": 'W/"first"'}.get(change, served.tag)
    with pytest.raises(DataError, match="broke off"):
        served.fetch(tmp_path / "d")
    newer = episodes([250, 300], ["terminal", "terminal"], seed=1)
    served.cut_at, served.body = None, write_hdf5(tmp_path / "newer.hdf5", newer).read_bytes()
    if change == "tag":
        served.tag = '"second"'
    if change == "address":
        served.address += "/other"
    assert_whole(served.fetch(tmp_path / "d"), served)


def test_a_part_of_another_file_is_dropped_where_the_digest_tells(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / f"{NAME}.part").write_bytes(b"\x89HDF of another file" + served.body[20:5000])
    assert_whole(served.fetch(folder, served.digest), served)
    assert served.asked == ["bytes=5000-", None]


def test_ignored_range_starts_again(served: Served, tmp_path: Path) -> None:
    served.ranges = False
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / f"{NAME}.part").write_bytes(served.body[:5000])
    assert_whole(served.fetch(tmp_path / "d", served.digest), served)
    assert served.asked == ["bytes=5000-"]


@pytest.mark.parametrize("surplus", [b"", b"of an older version"])
def test_part_of_full_length_or_more(served: Served, tmp_path: Path, surplus: bytes) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / f"{NAME}.part").write_bytes(served.body + surplus)
    assert_whole(served.fetch(tmp_path / "d", served.digest), served)
    assert len(served.asked) == (2 if surplus else 1)


def test_page_instead_of_a_file_is_set_aside_and_destroys_no_part(served: Served, tmp_path: Path) -> None:
    part, rejected = tmp_path / "d" / f"{NAME}.part", tmp_path / "d" / f"{NAME}.rejected"
    part.parent.mkdir()
    part.write_bytes(served.body[:5000])
    served.body, served.ranges = b"<html>Please log in</html>", False
    with pytest.raises(DataError, match=f"sent no HDF5 file .*{rejected}"):
        served.fetch(part.parent)
    assert part.stat().st_size == 5000 and rejected.read_bytes() == served.body
    assert names(part.parent) == {part.name, rejected.name}


def test_wrong_checksum_is_set_aside(served: Served, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sent another file .*not abc; kept as .*\.rejected"):
        served.fetch(tmp_path / "d", "abc")
    assert names(tmp_path / "d") == {f"{NAME}.rejected"}


def test_a_body_without_an_end_is_cut_off(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "CHUNK", 1000)
    monkeypatch.setitem(tasks._FILES, "gym_mujoco_v2/hopper_medium-v2.hdf5", (5000, "00"))
    with pytest.raises(DataError, match=f"serves another file, of {len(served.body):,} bytes in place of 5,000"):
        fetch(get_task("hopper-medium-v2"), tmp_path / "d", mirror=served.address, opener=direct)
    assert not names(tmp_path / "d")
    served.length = False
    with pytest.raises(DataError, match="sent another file"):
        fetch(get_task("hopper-medium-v2"), tmp_path / "d", mirror=served.address, opener=direct)
    assert (tmp_path / "d" / f"{NAME}.rejected").stat().st_size == 6000


def test_the_next_source_is_asked_where_one_fails(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host by https, which this server does not speak, by http, where it has moved away, and the mirror."""
    gone = f"{served.address}/gone/"
    asked: list[str] = []

    def opener(request: urllib.request.Request, timeout: float) -> object:
        asked.append(request.full_url)
        served.status = 404 if request.full_url.startswith(gone) else 200
        return direct(request, timeout=timeout)

    monkeypatch.setattr(fetching, "MIRROR", f"{served.address}/moved/D4RL")
    task = replace(HOPPER, url=f"{gone}{NAME}")
    fetched = fetch(task, tmp_path / "d", sha256=served.digest, opener=opener)
    assert_whole(fetched, served)
    assert asked == [gone.replace("http:", "https:") + NAME, gone + NAME, f"{served.address}/moved/D4RL/{NAME}"]


@pytest.mark.parametrize("relative", [False, True])
def test_a_folder_is_a_mirror(served: Served, tmp_path: Path, relative: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "copies here" / NAME
    copy.parent.mkdir()
    with pytest.raises(DataError, match=r"copies%20here/.* cannot be reached \(.*No such file"):
        fetch(HOPPER, tmp_path / "d", sha256=served.digest, mirror="copies here")
    copy.write_bytes(served.body)
    mirror = "copies here" if relative else str(copy.parent)
    assert_whole(fetch(HOPPER, tmp_path / "d", sha256=served.digest, mirror=mirror), served)
    with pytest.raises(DataError, match="--mirror ftp://host must be an address of http or https, or a folder"):
        fetch(HOPPER, tmp_path / "e", mirror="ftp://host")


def test_two_at_once_fetch_one_file(served: Served, tmp_path: Path) -> None:
    served.pause = 0.3
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: served.fetch(tmp_path / "d"), range(3)))
    assert served.asked == [None] and len(set(found)) == 1
    assert_whole(found[0], served)


def test_a_slow_server_is_unreachable(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT", 0.2)
    served.pause = 1.0
    with pytest.raises(DataError, match=r"broke off after 0 bytes .*timed out"):
        served.fetch(tmp_path / "d")


def test_error_status_and_unreachable_host_say_how_to_go_on(served: Served, tmp_path: Path) -> None:
    served.status = 404
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound but not listening: refused
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
        for mirror, message in ((served.address, "answered 404"), (closed, "cannot be reached")):
            with pytest.raises(DataError, match=message) as caught:
                fetch(HOPPER, tmp_path / "d", mirror=mirror, opener=direct)
            for part in (f"{mirror}/{NAME}", "--mirror URL or DIR", "--data-dir DIR", "--data FILE"):
                assert part in str(caught.value)
            assert "\n" not in str(caught.value)
    assert not names(tmp_path / "d")


def test_builtin_needs_no_fetching_and_a_bad_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to fetch"):
        fetch(get_task("hopper-builtin"), tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="choose another --data-dir"):
        fetch(HOPPER, tmp_path / "file")
    custom: Task = replace(HOPPER, domain="custom", url=None)
    with pytest.raises(DataError, match="no address to fetch from"):
        fetch(custom, tmp_path)
