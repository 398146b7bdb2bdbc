"""Which address shows what; there are no others, and none holds a path: runs go by names that the watch gives them."""

import re
import shlex
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attncompare.config import variant_label
from attncompare.dashboard.folder import Group, View, Watch
from attncompare.errors import Refused
from attncompare.maps.page import MapSeries, environment, maps_page, script_json, viewer_css
from attncompare.record import read_inside
from attncompare.text import counted, duration

_HERE = Path(__file__).parent / "page"
FILES = (
    *("config.yaml", "overrides.yaml", "environment.json", "summary.json"),
    *("metrics.csv", "predictions.jsonl", "items.jsonl", "run.log"),
)
"""What a run's page offers to read, as plain text. Nothing else of a record is sent: no weights, no checkpoints."""
_LAST_LINES = 30
# The dashboard's own pages run its own scripts and no other, and ask only the server that they came from.
OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Pages built from records bring a stricter one of their own, which names their scripts.
_BUILT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
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
    _built: dict[str, tuple[str, str]] = field(default_factory=dict)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str) -> Reply:
        """Return what the address ``path``, without its query, shows."""
        if path == "/":
            groups = self.watch.groups()
            return self._page("All runs", groups=groups, note=_note(self.watch))
        if match := re.fullmatch(r"/static/(page\.css|page\.js|live\.js)", path):
            return _static(match[1])
        match = re.fullmatch(r"/(group|run)/([0-9a-f]{16})(?:/(report|maps|file/([a-z]+\.[a-z]+)))?", path)
        groups = self.watch.groups() if match else []
        for group in groups:
            if match and match[1] == "group" and group.id == match[2]:
                return self._group(group, match[3])
            for view in group.views:
                if match and match[1] == "run" and view.id == match[2]:
                    return self._run(view, group, match[3], match[4])
        return self._message(404, "There is nothing here; the folder may have been moved or removed.")

    def _group(self, group: Group, what: str | None) -> Reply:
        if what is None:
            return self._page(group.name, groups=[group], curves=_curves(group.views))
        if what == "report":
            return self._document(f"report {group.id}", group.version, lambda: _report(group))
        return self._message(404, "There is nothing here.")

    def _run(self, view: View, group: Group, what: str | None, file: str | None) -> Reply:
        if what == "maps":
            return self._document(f"maps {view.id}", view.version, lambda: _maps(view))
        if file in FILES:
            try:
                return Reply(200, "text/plain; charset=utf-8", read_inside(view.folder, file), _TEXT_POLICY)
            except Refused as error:
                return self._message(404, str(error))
        if what is not None:
            return self._message(404, "There is nothing here.")
        files = [name for name in FILES if (view.folder / name).is_file()]
        alone = Group(group.id, group.folder, group.name, 0, (view,))
        return self._page(
            view.name, groups=[alone], curves=_curves([view]), run=view, files=files, log=_log(view.folder)
        )

    def _document(self, key: str, version: str, build: Callable[[], str]) -> Reply:
        with self._one_at_a_time:
            if self._built.get(key, ("", ""))[0] != version:
                try:
                    self._built[key] = (version, build())
                except Refused as error:
                    return self._message(409, str(error))
            return Reply(200, "text/html; charset=utf-8", self._built[key][1].encode(), _BUILT_POLICY)

    def _message(self, status: int, text: str) -> Reply:
        return self._page("Not to be shown", status, message=text.replace(f"{self.watch.root}/", ""))

    def _page(self, title: str, status: int = 200, **values: Any) -> Reply:
        empty: dict[str, Any] = {
            "groups": [],
            "curves": [],
            "run": None,
            "files": [],
            "log": "",
            "message": "",
            "note": "",
        }
        shown = {
            "root": str(self.watch.root),
            "title": title,
            "cells": _cells,
            "duration": duration,
            "variant": _variant,
        }
        page = environment(_HERE).get_template("dashboard.html.j2").render(**{**empty, **shown, **values})
        return Reply(status, "text/html; charset=utf-8", page.encode(errors="backslashreplace"))


def _note(watch: Watch) -> str:
    if not watch.reference:
        return ""
    from attncompare.compare.gathering import reference_note

    return f"{reference_note([folder.relative_to(watch.root) for folder in watch.reference])}."


def _variant(view: View) -> str:
    """Return the variant of a run that could be read, with its heads and seed."""
    assert view.run is not None
    attention = view.run.config.attention
    name = variant_label(attention, ("attention.heads",))
    return f"{name}, {counted(attention.heads, 'head')}, seed {view.run.config.seed}"


def _cells(view: View) -> dict[str, str]:
    from attncompare.tasks.metrics import metrics_of

    if view.run is None:
        return {}
    metrics = metrics_of(view.run.config)
    first, loss = next(iter(metrics.values())), metrics.get("loss")
    cells = {f"{split} loss": loss.format(view.newest(f"{split}/loss")) for split in ("train", "val")} if loss else {}
    test = view.run.summary.get("test", {}).get(first.name) if view.state == "finished" else None
    return {**cells, "test": f"{first.title} {first.format(test)}" if test is not None else ""}


def _curves(views: Sequence[View]) -> list[dict[str, Any]]:
    from attncompare.compare import labels
    from attncompare.compare.identity import model_without_seed
    from attncompare.compare.page import Drawn, curve_figures, styles_of
    from attncompare.maps import variant_colors
    from attncompare.tasks.metrics import metrics_of

    seeds: dict[str, dict[str, list[Any]]] = {}
    for view in views:
        if view.run is not None and view.rows and "fingerprint" in view.run.summary.get("data", {}):
            config = view.run.config
            variants = seeds.setdefault(config.task.name, {})
            variants.setdefault(f"{config.attention.name} {model_without_seed(config)}", []).append(view.run)
    named = {task: labels([one[0] for one in variants.values()]) for task, variants in seeds.items()}
    styles = styles_of(variant_colors(label for found in named.values() for label in found))
    sections = []
    for task, variants in seeds.items():
        runs = list(variants.values())
        drawn = [Drawn(label, label, styles[label], of_one) for label, of_one in zip(named[task], runs, strict=True)]
        figures = curve_figures(drawn, list(metrics_of(runs[0][0].config).values()))
        sections.append({"task": task, "drawn": drawn, "figures": figures, "json": script_json(figures)})
    return sections


def _report(group: Group) -> str:
    from attncompare.compare import compare_groups, gather
    from attncompare.compare.page import report_page

    finished = [view.folder for view in group.views if view.state == "finished"]
    if not finished:
        raise Refused("no run has finished yet")
    gathered = gather([group.folder] if group.planned else finished)
    try:
        return report_page(compare_groups(gathered.runs, left_out=gathered.left_out))
    except Refused as error:
        paths = [group.folder] if group.planned else finished
        command = shlex.join(["attncompare", "compare", *map(str, paths)])
        raise Refused(f"{error}; in a terminal: {command}, with --tune, --metric or --force") from None


def _maps(view: View) -> str:
    from attncompare.maps import maps_of

    maps = maps_of(view.run) if view.run else []
    if not maps or view.run is None:
        raise Refused(f"{view.name}: {view.message or 'no attention maps yet; they come with the first validation'}")
    return maps_page(view.name, [MapSeries(variant_label(view.run.config.attention), maps)])


def _log(folder: Path) -> str:
    try:
        return "\n".join(read_inside(folder, "run.log").decode(errors="replace").splitlines()[-_LAST_LINES:])
    except Refused:  # there is none
        return ""


def _static(name: str) -> Reply:
    from attncompare.compare.page import page_css, page_js

    if name == "page.css":
        # As plain text: what is added to a Markup is escaped.
        style = str(viewer_css()) + str(page_css()) + (_HERE / "dashboard.css").read_text(encoding="utf-8")
        return Reply(200, "text/css; charset=utf-8", style.encode())
    script = page_js() if name == "page.js" else (_HERE / name).read_text(encoding="utf-8")
    return Reply(200, "text/javascript; charset=utf-8", script.encode())
