"""The live page: stores as HTML over HTTP, refreshed while sweeps run. For this machine's own browser only."""

import base64
import hashlib
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

from ailot_ray.errors import StoreError
from ailot_ray.report.page.browser import Browser
from ailot_ray.report.page.render import live_page
from ailot_ray.report.page.sources import Sources
from ailot_ray.report.portraits import video_of
from ailot_ray.report.record import Trial

_HOSTS = ("localhost", "127.0.0.1")
"""The only names the page answers to: no other site's name may lead here."""
_LARGEST = 1 << 20
"""Bytes of a request's body."""
_SCRIPT = (resources.files(__package__ or "") / "assets" / "page.js").read_bytes()
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; media-src 'self'; form-action 'self'; img-src data:; "
    "style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(_SCRIPT).digest()).decode()}'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer: the page runs its own script alone, and stands in no other."""
MAKES = ("portrait", "video")


class Maker(Protocol):
    """Makes on request what takes more than reading: a trial's portrait, or its video."""

    def start(self, run: Trial, what: str) -> None: ...

    def status(self, run: Trial) -> str:
        """What is being made of this run, or why it could not be; empty where there is nothing to tell."""


class Server(ThreadingHTTPServer):
    """Serves the page of some stores. Without a maker it only shows what the stores have."""

    daemon_threads = True

    def __init__(self, sources: Sources, port: int, maker: Maker | None = None) -> None:
        """Take the port, 0 for any that is free. Raises StoreError where it cannot be had."""
        self.sources, self.browser, self.maker = sources, Browser(sources), maker
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreError(f"--port {port} cannot be had ({reason}): choose another with --port N") from error
        _, page = self.browser.page()
        page.svg("curves", page.choice("curves"))  # reads, counts and imports before anybody waits for it

    def version(self) -> str:
        """Changes whenever the page would."""
        snapshot = self.sources.read()
        return snapshot.version + ("".join(map(self.maker.status, snapshot.runs)) if self.maker else "")


def serve(server: Server, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until interrupted; `ready` is called before the first request."""
    with server:
        ready()
        server.serve_forever(poll_interval=0.1)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 30.0  # of a client that says nothing
    error_content_type, error_message_format = "text/plain; charset=utf-8", "%(code)d %(message)s\n"

    def do_GET(self) -> None:
        if not self._own():
            return
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        if address.path == "/":
            try:
                snapshot, page = self.server.browser.page(query.get("filter", ()))
            except ValueError:
                self.send_error(HTTPStatus.BAD_REQUEST, "a filter is no path=value, such as reward.tau=0.5")
                return
            where = "  ".join(map(str, self.server.sources.stores))
            status = self.server.maker.status if self.server.maker else None
            self._answer(
                live_page(snapshot, page, query, where, self.server.version(), status).encode(errors="replace"),
                "text/html; charset=utf-8",
            )
        elif address.path == "/version":
            self._answer(self.server.version().encode(), "text/plain; charset=utf-8")
        else:
            folder, _, digest = address.path.removeprefix("/").partition("/")
            run = self.server.sources.read().find(digest) if folder == "video" else None
            film = video_of(run) if run else None
            self.send_error(HTTPStatus.NOT_FOUND) if film is None else self._film(film)

    def do_POST(self) -> None:
        """A button of the page: make something of a trial."""
        if not self._own():
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            self.send_error(HTTPStatus.BAD_REQUEST, "Content-Length must be a number")
            return
        if len(length) > 9 or int(length) > _LARGEST:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        form = parse_qs(self.rfile.read(int(length)).decode(errors="replace"))
        run = self.server.sources.read().find(next(iter(form.get("trial", ())), ""))
        what = next(iter(form.pop("make", ())), "")
        if self.server.maker is None or run is None or not run.done or what not in MAKES:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        self.server.maker.start(run, what)
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", f"/?{urlencode(form, doseq=True)}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _own(self) -> bool:
        """Whether this machine's own page asks; else it is refused."""
        asked = [urlsplit(f"//{self.headers.get('Host', '')}").hostname]
        asked += [urlsplit(origin).hostname for origin in self.headers.get_all("Origin", ())]
        if not all(host in _HOSTS for host in asked):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return False
        return True

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def _answer(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            **headers,
        }.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _film(self, path: Path) -> None:
        """The video, or the part of it that a player asks for."""
        film = path.read_bytes()
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if not first.isdigit() or int(first) >= len(film):
            self._answer(film, "video/mp4", Accept_Ranges="bytes")
            return
        start, end = int(first), min(int(last), len(film) - 1) if last.isdigit() else len(film) - 1
        span = f"bytes {start}-{end}/{len(film)}"
        self._answer(film[start : end + 1], "video/mp4", HTTPStatus.PARTIAL_CONTENT, Content_Range=span)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not told on the terminal."""
