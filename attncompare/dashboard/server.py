"""The server: on this machine only, for reading only, and for no other page's scripts."""

import hashlib
import re
import sys
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from attncompare.dashboard.folder import Watch
from attncompare.dashboard.pages import Reply, Site
from attncompare.errors import Refused

ADDRESS = "127.0.0.1"
# Any port: it may be reached through a tunnel. Another name would be a stranger's, made to point here.
_OURS = re.compile(r"(localhost|127\.0\.0\.1)(:\d{1,5})?", re.IGNORECASE)
_IDLE_SECONDS = 30
_PLAIN = "text/plain; charset=utf-8"


def serve(runs: Path, port: int, open_browser: bool = False) -> None:
    """Show the sweeps and runs below ``runs`` in a browser, until Ctrl-C.

    ``runs`` may be empty as yet; ``port`` 0 takes any free one.
    Raises Refused if there is no such folder, or the port cannot be had; KeyboardInterrupt at Ctrl-C.
    """
    if not runs.is_dir():
        raise Refused(f"{runs}: no such folder; give the one that holds the runs, for example runs")
    with DashboardServer(Site(Watch(runs.resolve())), port) as server:
        print(f"Dashboard of {runs}: {server.url} (Ctrl-C ends it)", flush=True)
        if open_browser:
            webbrowser.open(server.url)
        server.serve_forever()


class DashboardServer(ThreadingHTTPServer):
    """Serves one site at ``http://127.0.0.1:PORT/``; ``port`` 0 takes any free one.

    Raises Refused if the port cannot be had."""

    daemon_threads = True

    def __init__(self, site: Site, port: int) -> None:
        self.site = site
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise Refused(f"--port {port}: {error.strerror}; give another one, or 0 for any free one") from None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  (the signature is Python's)
        """Say in one line what went wrong, unless a browser just hung up."""
        error = sys.exception()
        if not isinstance(error, OSError):
            print(f"dashboard: {type(error).__name__}: {error}", file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: DashboardServer

    def do_GET(self) -> None:
        """Answer with the page, or with what is wrong about the question."""
        if not _OURS.fullmatch(self.headers.get("Host", "")):
            return self._send(Reply(421, _PLAIN, b"This server answers as localhost or 127.0.0.1 only.\n"))
        elsewhere = self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        # A link may lead here, a script may not read.
        if elsewhere and self.headers.get("Sec-Fetch-Mode") != "navigate":
            return self._send(Reply(403, _PLAIN, b"Pages from elsewhere may not read this.\n"))
        try:
            reply = self.server.site.answer(unquote(urlsplit(self.path).path))
        except Exception as error:
            print(f"dashboard: {self.path[:200]!r}: {type(error).__name__}: {error}", file=sys.stderr)
            reply = Reply(500, _PLAIN, b"This page could not be made; the terminal says why.\n")
        return self._send(reply)

    do_HEAD = do_GET

    def _refuse(self) -> None:
        self.close_connection = True  # whatever it sends along is not read
        self._send(Reply(405, _PLAIN, b"This server is for reading: GET and HEAD.\n"), Allow="GET, HEAD")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _send(self, reply: Reply, **more: str) -> None:
        tag = f'"{hashlib.sha256(reply.body).hexdigest()[:32]}"'
        known = reply.status == 200 and tag in self.headers.get("If-None-Match", "")
        body = b"" if known else reply.body
        self.send_response(304 if known else reply.status)
        headers = {
            "Content-Type": reply.kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": reply.policy,
            "Cache-Control": "no-cache",  # asked again each time, sent only where it has changed
            "ETag": tag,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
        }
        for name, value in (headers | more).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Return how the server calls itself, without the version of Python."""
        return "attncompare"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""
