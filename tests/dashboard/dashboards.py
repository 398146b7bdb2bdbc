"""A dashboard as its readers meet it: asked by hand, and in a browser."""

import http.client
import json
from urllib.parse import urlsplit

import browser


class Served:
    """A dashboard that answers at ``port``."""

    def __init__(self, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"

    def ask(self, path, method="GET", headers=None):
        """Ask for ``path`` as it stands, dots and all; return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in {"Host": f"127.0.0.1:{self.port}", **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def groups(self):
        """Return what the list of runs is told."""
        status, _, body = self.ask("/state.json")
        assert status == 200
        return json.loads(body)["groups"]


def visited(url, width=1280, dark=False):
    """Yield (page, problems) of a browser at ``url`` that may ask its server and nobody else."""
    return browser.visited(url, lambda asked: urlsplit(asked).netloc == urlsplit(url).netloc, width, dark)
