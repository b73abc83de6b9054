"""The verbs of the results page: portraits, videos, the shared file, and every way to ask for what cannot be."""

import re
import socket
import time
from pathlib import Path

import pytest

from ailot_ray.cli.dashboard import Requests
from ailot_ray.report.page.sources import Sources

from .conftest import Command, finished, require_one_line


def test_dashboard_needs_a_store(command: Command, tmp_path: Path) -> None:
    require_one_line(command("dashboard", tmp_path / "nowhere"), "nowhere is not there", "--store")
    require_one_line(command("dashboard", tmp_path), "is no store and holds none", "ailot_ray run --store")
    (tmp_path / "file").touch()
    require_one_line(command("dashboard", tmp_path / "file"), "is not there")


def test_dashboard_needs_a_free_port(command: Command, store: Path) -> None:
    (store / ".locks").mkdir(parents=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        require_one_line(command("dashboard", store, "--port", taken.getsockname()[1]), "--port", "in use", "another")
    for port in (0, -1, 65536):
        require_one_line(command("dashboard", store, f"--port={port}"), "--port", "between 1 and 65535")


def test_portrait_names_what_is_missing(work: Command, command: Command, store: Path) -> None:
    require_one_line(command("portrait", "--store", store), "is not there")
    assert work("relabel").status == 0
    require_one_line(command("portrait", "--store", store), "no finished trial yet")
    assert work("evaluate", "--method", "bc").status == 0
    digest = next((store / "scores").iterdir()).name[-12:]
    require_one_line(command("portrait", "--store", store, "--trials", "0123"), "--trials 0123", "no finished trial")
    require_one_line(command("portrait", "--store", store, "--trials", digest), "--method bc", "choose .*ailot")


def test_portraits_of_what_was_evaluated(work: Command, command: Command, store: Path, hopper: Path) -> None:
    assert work("run", "--methods", "ailot", "otr", "bc", "--seeds", "0", "1").status == 0
    before = finished(store)
    drawn = command("portrait", "--store", store, "--json")
    assert drawn.status == 0, drawn.err
    # the first seed of AILOT and of OTR; behaviour cloning aligns nothing; nothing else is made again
    assert {Path(path).parent.name for path in drawn.json["made"].values()} == {"diagnostics"}
    assert len(drawn.json["made"]) == 2 and finished(store) - before == {Path(path) for path in drawn.json["made"].values()}

    # data that has moved is asked for, and other data is no substitute
    moved = hopper.with_name("moved.hdf5")
    hopper.rename(moved)
    digest = next(iter(drawn.json["made"]))
    require_one_line(
        command("portrait", "--store", store, "--trials", digest), f"trial hopper-medium-v2-{digest[:12]}", "--data FILE"
    )
    again = command("portrait", "--store", store, "--trials", digest[:8], "--data", moved, "--json")
    assert again.status == 0 and again.json["made"] == {digest: drawn.json["made"][digest]}


def test_results_as_one_file(work: Command, command: Command, store: Path, tmp_path: Path) -> None:
    assert work("run", "--methods", "ailot", "bc").status == 0
    assert command("portrait", "--store", store).status == 0
    shown = command("results", "--store", store, "--html", tmp_path / "new" / "results.html", "--json")
    assert shown.status == 0 and shown.json["html"] == str(tmp_path / "new" / "results.html")
    text = (tmp_path / "new" / "results.html").read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:|#)", text)
    for word in ("Learning curves", "Comparison", "Reward along trajectories", "Couplings with the expert", "Time-isometry"):
        assert word in text
    require_one_line(command("results", "--store", store, "--html", tmp_path), "cannot write")


def test_requests_are_made_in_a_process_of_their_own(work: Command, store: Path) -> None:
    assert work("evaluate", "--method", "bc").status == 0
    (run,) = Sources([store]).read().runs
    requests = Requests()
    assert requests.status(run) == ""
    requests.start(run, "portrait")
    assert requests.status(run) == "making the portrait …"
    requests.start(run, "video")  # one at a time
    assert requests.status(run) == "making the portrait …"
    end = time.monotonic() + 90
    while requests.status(run).startswith("making") and time.monotonic() < end:
        time.sleep(0.1)
    assert "--method bc aligns nothing" in requests.status(run)


def test_evaluate_keeps_its_video_for_the_page(work: Command, store: Path, tmp_path: Path) -> None:
    ended = work("evaluate", "--method", "bc", "--video", tmp_path / "new" / "policy.mp4", "--json")
    if "cannot draw a video" in ended.err:
        pytest.skip("nothing can be drawn on this machine")
    assert ended.status == 0, ended.err
    (scores,) = (store / "scores").iterdir()
    kept = store / "videos" / f"{scores.name}.mp4"
    assert kept.read_bytes() == Path(ended.json["video"]).read_bytes() and kept.read_bytes()[4:8] == b"ftyp"
