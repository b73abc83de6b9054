"""The results page in headless Chromium: it loads without errors, filters, shows what a running sweep adds, and one trial."""

import http.client
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from data.synthetic import episodes, write_hdf5
from filelock import FileLock
from report.conftest import WriteTrial, write_thousand, write_trial
from selenium import webdriver
from selenium.webdriver.common.by import By

from ailot_ray.__main__ import main
from ailot_ray.progress import silence
from ailot_ray.report.page.server import Server, serve
from ailot_ray.report.page.sources import Sources
from ailot_ray.report.record import Trial
from ailot_ray.store import MANIFEST, write_json

from .browser import CHROMIUM, DRIVER, ROWS, Browse, Page, browse, chromium
from .conftest import ENDS, LENGTHS, TINY

__all__ = ["browse", "chromium", "write_trial"]  # fixtures
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver: apt-get install chromium chromium-driver"
)


@pytest.fixture(scope="module")
def finished_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AILOT under two τ and behaviour cloning, on a tiny dataset, with a portrait of each AILOT."""
    folder = tmp_path_factory.mktemp("page")
    data = write_hdf5(folder / "hopper.hdf5", episodes(LENGTHS, ENDS))
    common = ("--task", "hopper-medium-v2", "--data", str(data), "--store", str(folder / "store"), *TINY)
    silence()
    assert main(["evaluate", *common, "--reward.tau", "0.5"]) == 0
    assert main(["evaluate", *common, "--reward.tau", "5.0"]) == 0
    assert main(["evaluate", *common, "--method", "bc"]) == 0
    assert main(["portrait", "--store", str(folder / "store")]) == 0
    silence(False)
    return folder / "store"


def write_plan(store: Path, scores: str, method: str = "ailot", **about: Any) -> None:
    """The plan of a sweep with one trial of one seed, whose scores will have this digest."""
    data = {"source": "hopper.hdf5", "data_digest": "0" * 64, "substituted": True}
    entry = {"task": "hopper-medium-v2", "method": method, "settings": {}, "trial": "one", "seeds": {"0": {"scores": scores}}}
    write_json(store / "sweeps" / "tau" / "plan.json", {"sweep": "tau", "trials": [entry | data | about]})


def test_every_view_loads_without_errors(browse: Browse, finished_store: Path) -> None:
    page = browse(finished_store)
    page.until(lambda: len(page.all(ROWS)) == 3)
    assert "3\ntrials" in page.text(".tile") and "done" in page.text(".tile")
    for view in ("curves", "against", "profile", "comparison"):
        page.open(view)
        page.until(lambda: page.all("#drawn svg"))
        assert page.text(".explain")
    page.open("heat")
    page.until(lambda: "two settings" in page.text(".empty"))  # τ alone was varied
    page.require_quiet()


def test_filters_and_sorting(browse: Browse, finished_store: Path) -> None:
    page = browse(finished_store)
    page.until(lambda: len(page.all(ROWS)) == 3)
    page.choose("method = bc")
    page.until(lambda: len(page.all(ROWS)) == 1)
    assert "BC" in page.text(ROWS)
    page.choose("method = ailot")  # another value of the same setting: either will do
    page.until(lambda: len(page.all(ROWS)) == 3)
    page.choose("reward.tau = 5.0")  # another setting: both must hold
    page.until(lambda: len(page.all(ROWS)) == 1)
    assert "AILOT" in page.text(ROWS)
    page.open("curves")
    page.until(lambda: "AILOT" in page.text("#drawn") and "BC" not in page.text("#drawn"))
    page.require_quiet()


def test_the_table_is_searched_and_sorted_and_stays_so(browse: Browse, finished_store: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_store, tmp_path / "store")
    page = browse(tmp_path / "store")
    page.until(lambda: len(page.all(ROWS)) == 3)
    page.all("#search")[0].send_keys("AIL")
    page.until(lambda: len(page.all(ROWS)) == 2)

    def taus() -> list[str]:
        column = [cell.text for cell in page.all("#runs th")].index("reward.tau") + 1
        return [cell.text for cell in page.all(f"{ROWS} td:nth-child({column})")]

    for order in (["0.5", "5"], ["5", "0.5"]):
        next(head for head in page.all("#runs th") if head.text == "reward.tau").click()
        assert taus() == order
    folders = (tmp_path / "store" / "scores").iterdir()
    shutil.rmtree(next(path for path in folders if '"bc"' in (path / "trial.json").read_text()))
    page.until(lambda: "2\ntrials" in page.text(".tile"))
    assert taus() == ["5", "0.5"] and page.all("#search")[0].get_property("value") == "AIL"
    page.require_quiet()


def test_a_running_sweeps_new_trial_appears(browse: Browse, finished_store: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / ".locks").mkdir(parents=True)
    page = browse(store)
    page.until(lambda: "0\ntrials" in page.text(".tile"))
    page.open("curves")
    page.until(lambda: page.text(".empty"))

    records = {path.parent: json.loads(path.read_text()) for path in (finished_store / "scores").glob("*/trial.json")}
    source, record = next((folder, record) for folder, record in records.items() if record["method"] == "bc")
    digest = source.name[-12:]
    with FileLock(store / ".locks" / "sweep-tau.lock"):
        write_plan(store, digest, method="bc", config=record["config"])
        page.until(lambda: "waiting" in page.text(".tile"))
        (store / ".work" / f"scores-{digest}").mkdir(parents=True)
        with FileLock(store / ".locks" / f"scores-{digest}.lock"):
            page.until(lambda: "running" in page.text(".tile"))
        shutil.copytree(source, store / "scores" / source.name)
        page.until(lambda: "done" in page.text(".tile"))
    page.until(lambda: page.all("#drawn svg"))  # the view that was open has drawn it
    page.open("trials")
    page.until(lambda: "BC" in page.text(ROWS))
    page.require_quiet()


def test_one_trial(browse: Browse, finished_store: Path) -> None:
    page = browse(finished_store)
    row = page.until(lambda: [row for row in page.all(ROWS) if "AILOT" in row.text])[0]
    row.find_element(By.CSS_SELECTOR, "a").click()
    page.until(lambda: len(page.all("#details svg")) >= 4)
    text = page.text("#details")
    for part in ("Rewards of the dataset", "relabel report", "Reward along trajectories", "Couplings with the expert"):
        assert part in text
    assert "rank correlation with the true return" in text and "Time-isometry" in text
    page.require_quiet()


@pytest.mark.slow
def test_a_thousand_trials(browse: Browse, write_trial: WriteTrial, tmp_path: Path) -> None:
    """Every view shows within two seconds of the click. Needs a machine with nothing else to do."""
    write_thousand(write_trial)
    page = browse(tmp_path / "store")
    page.until(lambda: "1,000\ntrials" in page.text(".tile"))
    spent: dict[str, float] = {}
    explained = ""

    def drawn() -> bool:
        return bool(page.all("#drawn svg")) and page.text(".explain") not in ("", explained)

    for view in ("curves", "against", "heat", "profile", "comparison", "trials"):
        began = time.monotonic()
        page.open(view)
        page.until(drawn if view != "trials" else lambda: len(page.all(ROWS)) > 5)
        spent[view] = time.monotonic() - began
        explained = page.text(".explain")
    began = time.monotonic()
    page.all("#search")[0].send_keys("none")
    page.until(lambda: not page.all(ROWS))
    spent["filter"] = time.monotonic() - began
    assert max(spent.values()) < 2.0, spent
    page.require_quiet()


@pytest.fixture
def port(finished_store: Path) -> Iterator[int]:
    """Where a page is served without a browser, with a maker that notes what it is asked for."""
    requests: list[tuple[str, str]] = []

    class Noted:
        def start(self, run: Trial, what: str) -> None:
            requests.append((run.short, what))

        def status(self, run: Trial) -> str:
            return f"asked for {what}" if (what := dict(requests).get(run.short)) else ""

    server = Server(Sources([finished_store]), 0, Noted())
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    yield server.server_port
    server.shutdown()


Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def ask(port: int) -> Ask:
    """Ask that page: status, headers and body."""

    def asked(path: str, body: str | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    return asked


def test_only_this_machines_own_page_is_answered(ask: Ask, finished_store: Path) -> None:
    digest = next((finished_store / "scores").iterdir()).name[-12:]
    assert ask("/", Host="localhost:8050")[0] == ask("/", Host="127.0.0.1:8050")[0] == 200
    assert ask("/", Host="elsewhere.example:8050")[0] == 400
    assert ask("/", f"make=video&trial={digest}", Origin="http://elsewhere.example")[0] == 400
    assert ask("/video/nothing")[0] == ask("/video/../../etc/passwd")[0] == ask("/nothing")[0] == 404


def test_buttons_ask_for_what_takes_making(ask: Ask, finished_store: Path) -> None:
    digest = next((finished_store / "scores").iterdir()).name[-12:]
    status, headers, _ = ask("/", f"make=video&view=trial&trial={digest}", Host="localhost")
    assert status == 303 and headers["Location"] == f"/?view=trial&trial={digest}"
    assert b"asked for video" in ask(headers["Location"])[2]
    assert ask("/", f"make=anything&trial={digest}")[0] == ask("/", "make=video&trial=nothing")[0] == 400


@pytest.mark.parametrize("length", ["many", "-1", "", "1e3", str(150 << 20), "9" * 5000])
def test_a_body_of_no_good_length_is_refused_unread(ask: Ask, length: str) -> None:
    status, headers, body = ask("/", "", **{"Content-Length": length})
    assert status == (413 if length.isdecimal() else 400) and headers["Connection"] == "close"
    assert body.count(b"\n") == 1 and body.startswith(str(status).encode())


def test_no_other_site_may_frame_the_page_or_lend_it_anything(ask: Ask) -> None:
    for path in ("/", "/version", "/nothing", "/?filter=tau", "/?filter=tau=x"):
        status, headers, _ = ask(path)
        assert status == {"/nothing": 404}.get(path, 400 if "filter" in path else 200)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "http" not in policy
        assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")


def test_a_video_is_given_in_parts(ask: Ask, finished_store: Path) -> None:
    scores = next((finished_store / "scores").iterdir())
    film = finished_store / "videos" / f"{scores.name}.mp4"
    film.parent.mkdir()
    film.write_bytes(bytes(range(100)))
    address = f"/video/{scores.name[-12:]}"
    assert ask(address)[2] == film.read_bytes()
    status, headers, body = ask(address, Range="bytes=10-19")
    assert (status, headers["Content-Range"], body) == (206, "bytes 10-19/100", bytes(range(10, 20)))
    assert ask(address, Range="bytes=90-")[2] == bytes(range(90, 100))
    film.unlink()
    assert ask(address)[0] == 404


def test_a_failed_trial_shows_its_log(browse: Browse, tmp_path: Path) -> None:
    store, log = tmp_path / "store", tmp_path / "store" / "ray" / "tune" / "tau" / "one"
    log.mkdir(parents=True)
    (log / "error.txt").write_text("Traceback\n  the last line of the log <b>as it is</b>\n")
    write_plan(store, "0123456789ab", config={"reward.tau": 0.1})
    ended = {"state": "failed", "reason": "the loss is nan", "log": "ray/tune/tau/one", "time": 1.0}
    write_json(store / "sweeps" / "tau" / "ended" / "one.json", ended)
    page = browse(store)
    page.until(lambda: "the loss is nan" in page.text(ROWS))
    page.all(f"{ROWS} a")[0].click()
    page.until(lambda: "the last line of the log <b>as it is</b>" in page.text("#details pre"))
    page.require_quiet()


def test_a_damaged_artefact_is_named_on_the_page(browse: Browse, finished_store: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_store, tmp_path / "store")
    damaged = sorted((tmp_path / "store" / "scores").glob(f"*/{MANIFEST}"))[0].parent
    (damaged / "trial.json").write_text("{")
    page = browse(tmp_path / "store")
    page.until(lambda: damaged.name in page.text(".problem"))
    page.until(lambda: len(page.all(ROWS)) == 2)


def test_the_shared_file_opens_alone(chromium: webdriver.Chrome, finished_store: Path, tmp_path: Path) -> None:
    assert main(["results", "--store", str(finished_store), "--html", str(tmp_path / "results.html")]) == 0
    page = Page(chromium, f"file://{tmp_path}/results.html")
    page.until(lambda: len(page.all(".card svg")) > 8)
    rows = ROWS
    assert len(page.all(rows)) == 3
    page.all("#search")[0].send_keys("ailot reward.tau=5")
    page.until(lambda: len(page.all(rows)) == 1)
    page.all("#search")[0].clear()
    page.all("#search")[0].send_keys(" ")
    page.until(lambda: len(page.all(rows)) == 3)
    head = next(head for head in page.all("#runs th") if head.text == "reward.tau")
    column = [cell.text for cell in page.all("#runs th")].index("reward.tau") + 1
    head.click()
    assert [cell.text for cell in page.all(f"#runs td:nth-child({column})")] == ["0.5", "5", ""]
    head.click()
    assert [cell.text for cell in page.all(f"#runs td:nth-child({column})")] == ["", "5", "0.5"]
    assert page.driver.execute_script("return performance.getEntriesByType('resource').length") == 0
    page.require_quiet()
