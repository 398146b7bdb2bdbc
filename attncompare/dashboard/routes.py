"""Which address shows what; there are no others. No address holds a path: runs go by names that the watch gives them."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from attncompare.dashboard.documents import Documents, NotAlike
from attncompare.dashboard.look import Look
from attncompare.dashboard.state import FILES, group_page, run_page, state_of
from attncompare.dashboard.watch import Group, Watch
from attncompare.errors import Refused
from attncompare.maps.page import environment, viewer_css
from attncompare.record import read_inside

_HERE = Path(__file__).parent / "page"
_STATIC = {"board.css": "text/css", "board.js": "text/javascript", "index.js": "text/javascript"} | dict.fromkeys(
    ("live.js", "report.js"), "text/javascript"
)
# The dashboard's own pages run its own scripts and no other, and ask only the server that they came from.
OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
# Pages built from records bring a stricter one of their own, which names their scripts.
_BUILT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
_TEXT_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


@dataclass(frozen=True)
class Reply:
    """An answer: ``policy`` is its Content-Security-Policy."""

    status: int
    kind: str
    body: bytes
    policy: str = OWN_POLICY


@dataclass
class Site:
    """Everything that can be shown of the watched folder."""

    watch: Watch
    documents: Documents = field(default_factory=Documents)

    def answer(self, path: str) -> Reply:
        """Return what the address ``path``, without its query, shows."""
        for pattern, show in _ROUTES:
            if match := re.fullmatch(pattern, path):
                return show(self, *match.groups())
        return _message(404, "There is nothing here", f"No such page: {path[:200]}")

    def _index(self) -> Reply:
        return _page("index.html.j2", root=_shown(self.watch.root), singles=self.watch.singles_id)

    def _state(self) -> Reply:
        return _json(state_of(self.watch.groups()))

    def _static(self, name: str) -> Reply:
        return Reply(200, f"{_STATIC[name]}; charset=utf-8", _static_file(name))

    def _plotly(self) -> Reply:
        return Reply(200, "text/javascript; charset=utf-8", _plotly_js())

    def _group(self, group_id: str) -> Reply:
        group = self.watch.group(group_id)
        return _page("live.html.j2", what="group", id=group.id, name=group.name) if group else _gone()

    def _group_data(self, group_id: str) -> Reply:
        group = self.watch.group(group_id)
        return _json(group_page(group, self.watch.groups())) if group else _gone()

    def _run(self, run_id: str) -> Reply:
        look = self.watch.look(run_id)
        return _page("live.html.j2", what="run", id=look.id, name=look.name) if look else _gone()

    def _run_data(self, run_id: str) -> Reply:
        group, look = self._found(run_id)
        return _json(run_page(look, group, self.watch.groups())) if group and look else _gone()

    def _report(self, group_id: str) -> Reply:
        group = self.watch.group(group_id)
        return _page("report.html.j2", id=group.id, name=group.name) if group else _gone()

    def _report_page(self, group_id: str) -> Reply:
        group = self.watch.group(group_id)
        return self._built(lambda: self.documents.report(group)) if group else _gone()

    def _maps(self, run_id: str) -> Reply:
        look = self.watch.look(run_id)
        return self._built(lambda: self.documents.maps(look)) if look else _gone()

    def _file(self, run_id: str, name: str) -> Reply:
        look = self.watch.look(run_id)
        if look is None or name not in FILES:
            return _gone()
        try:
            content = read_inside(look.folder, name)
        except Refused as error:
            return _message(404, "This file cannot be shown", str(error).replace(f"{look.folder}/", ""))
        return Reply(200, "text/plain; charset=utf-8", content, _TEXT_POLICY)

    def _built(self, build: Callable[[], str]) -> Reply:
        try:
            page = build()
        except NotAlike as error:
            return _message(409, "These runs are not alike", self._below(error), error.command)
        except Refused as error:
            return _message(409, "This page cannot be built yet", self._below(error))
        return Reply(200, "text/html; charset=utf-8", page.encode(), _BUILT_POLICY)

    def _below(self, error: Refused) -> str:
        return str(error).replace(f"{self.watch.root}/", "")

    def _found(self, run_id: str) -> tuple[Group | None, Look | None]:
        for group in self.watch.groups():
            for look in group.looks:
                if look.id == run_id:
                    return group, look
        return None, None


_ID = "([0-9a-f]{16})"
_ROUTES: tuple[tuple[str, Callable[..., Reply]], ...] = (
    ("/", Site._index),
    (r"/state\.json", Site._state),
    (rf"/static/({'|'.join(map(re.escape, _STATIC))})", Site._static),
    (r"/static/plotly\.js", Site._plotly),
    (f"/group/{_ID}", Site._group),
    (rf"/group/{_ID}\.json", Site._group_data),
    (f"/run/{_ID}", Site._run),
    (rf"/run/{_ID}\.json", Site._run_data),
    (f"/run/{_ID}/maps", Site._maps),
    (rf"/run/{_ID}/file/([a-z]+\.[a-z]+)", Site._file),
    (f"/report/{_ID}", Site._report),
    (f"/report/{_ID}/page", Site._report_page),
)


def _page(template: str, **values: Any) -> Reply:
    text = environment(_HERE).get_template(template).render(**values)
    return Reply(200, "text/html; charset=utf-8", text.encode(errors="backslashreplace"))


def _message(status: int, title: str, text: str, command: str = "") -> Reply:
    page = environment(_HERE).get_template("message.html.j2").render(title=title, text=text, command=command)
    return Reply(status, "text/html; charset=utf-8", page.encode(errors="backslashreplace"))


def _gone() -> Reply:
    return _message(404, "This run is not here", "Its folder has been moved or removed, or never was here.")


def _json(value: Any) -> Reply:
    # NaN has no place in JSON; whatever is no finite number comes as a text already.
    return Reply(200, "application/json", json.dumps(value, allow_nan=False).encode())


def _shown(root: Path) -> str:
    return str(root).encode(errors="backslashreplace").decode()


@cache
def _static_file(name: str) -> bytes:
    content = (_HERE / name).read_text(encoding="utf-8")
    return f"{viewer_css()}\n{content}".encode() if name == "board.css" else content.encode()


@cache
def _plotly_js() -> bytes:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs().encode()
