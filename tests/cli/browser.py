"""Headless Chromium on a results page."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from ailot_ray.report.page.browser import VIEWS
from ailot_ray.report.page.server import Server, serve
from ailot_ray.report.page.sources import Sources

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
SECONDS = 30.0
"""Patience on a busy machine; each wait ends as soon as its condition holds."""
FLAGS = "headless=new no-sandbox disable-gpu no-first-run disable-background-networking disable-component-update disable-sync"
ROWS = "#runs tbody tr:not([hidden])"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in [
        *FLAGS.split(),
        "disable-quic",
        "window-size=1440,1200",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


class Page:
    """The page of one store in the browser."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver = driver
        self.console()  # what pages before this one have left there
        driver.get(address)

    def console(self) -> list[dict[str, Any]]:
        """Errors and warnings since the last look."""
        entries: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def until(self, condition: Callable[[], Any]) -> Any:
        """What `condition` gives once it gives something true. Elements that are being replaced are looked for again."""
        end = time.monotonic() + SECONDS
        while True:
            try:
                found = condition()
            except WebDriverException:
                found = None
            if found:
                return found
            assert time.monotonic() < end, f"waited {SECONDS} s in vain; console: {self.console()}"
            time.sleep(0.05)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return " ".join(element.text for element in self.all(selector))

    def open(self, view: str) -> None:
        tab = self.until(lambda: [tab for tab in self.all(".tab") if tab.text == VIEWS[view]])[0]
        tab.click()

    def choose(self, label: str) -> None:
        """Tick or untick a condition of the filter."""
        if not self.all("#filter[open]"):
            self.until(lambda: self.all("#filter summary"))[0].click()
        self.until(lambda: [one for one in self.all("#filter label") if one.text == label])[0].click()

    def require_quiet(self) -> None:
        """Nothing on the console, and nothing asked of another machine."""
        assert self.console() == []
        asked = self.driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert [name for name in asked if not name.startswith(("http://127.0.0.1", "data:", "blob:"))] == []


@pytest.fixture
def browse(chromium: webdriver.Chrome) -> Iterator[Callable[[Path], Page]]:
    """Serve a store as `dashboard` does, and open its page. A new session each time: choices are kept within one."""

    def opened(store: Path) -> Page:
        server = Server(Sources([store]), 0)
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        return Page(chromium, f"http://127.0.0.1:{server.server_port}/")

    yield opened
    chromium.get("about:blank")


Browse = Callable[[Path], Page]
