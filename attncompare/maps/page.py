"""The interactive attention viewer as data and as a page: one self-contained HTML file that needs no network.

The viewer itself is hand-written and lies in ``viewer/``. Its data is JSON in the page; whatever came from a corpus
reaches the page only as escaped JSON or through ``textContent``.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from attncompare.maps.maps import ProbeMaps, SiteMap, head_numbers
from attncompare.maps.palette import GOLD, RAMP, series_color

_VIEWER = Path(__file__).parent / "viewer"
_SCRIPTS = ("data.js", "draw.js", "cards.js", "play.js", "viewer.js")  # in this order: each uses the ones before


@dataclass(frozen=True)
class MapSeries:
    """The maps of one model over its training: ``steps`` holds (training step, probes), by step.

    ``color`` (``#rrggbb``) marks the series; by default its place in the palette decides.
    """

    label: str
    steps: list[tuple[int, list[ProbeMaps]]]
    color: str | None = None


def viewer_data(series: list[MapSeries]) -> dict[str, Any]:
    """Return what the viewer shows, as plain JSON values.

    A weight w travels as one byte ``q = round(255 sqrt(w))`` in base64 and is shown as ``(q / 255)^2``: off by about
    ``sqrt(w) / 255`` at most, so below 0.004 everywhere and finer for the many small weights of a long sentence.
    """
    return {
        "ramp": list(RAMP),
        "gold": GOLD,
        "siteTitles": {
            site.site: site.title
            for one in series
            for _, probes in one.steps
            for probe in probes
            for site in probe.sites
        },
        "series": [
            {
                "label": one.label,
                "color": one.color or series_color(index),
                "steps": [{"step": step, "probes": [_probe(probe) for probe in probes]} for step, probes in one.steps],
            }
            for index, one in enumerate(series)
        ],
    }


def maps_page(title: str, series: list[MapSeries]) -> str:
    """Return a whole HTML page that shows ``series`` side by side; it works from a file, offline, and inside W&B."""
    template = environment(_VIEWER).get_template("page.html.j2")
    js = viewer_js()
    data = script_json(viewer_data(series))
    return template.render(title=title, data=data, css=viewer_css(), js=js, policy=content_policy(js))


def content_policy(*scripts: str) -> str:
    """Return the page's Content-Security-Policy: it runs these ``scripts`` and no other, and asks no server anything.

    So even text that found a way out of its place could not run. The texts must stand in the page byte for byte.
    """
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'"
    return f"{nothing}; style-src 'unsafe-inline'; img-src data: blob:; script-src {allowed}"


def environment(folder: Path) -> Environment:
    """Return a jinja2 environment over the templates in ``folder`` that escapes all values and refuses missing ones."""
    loader = FileSystemLoader(folder)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def script_json(data: Any) -> Markup:
    """Return ``data`` as JSON that may stand in a ``<script type="application/json">`` whatever text it holds.

    All of ``< > &`` and every character beyond ASCII, U+2028 and U+2029 among them, become backslash-u escapes.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@cache
def viewer_css() -> Markup:
    """Return the viewer's style sheet."""
    return Markup((_VIEWER / "viewer.css").read_text(encoding="utf-8"))


@cache
def viewer_js() -> Markup:
    """Return the viewer's script: it fills each ``div.attention-maps`` from the JSON whose id is in ``data-maps``."""
    parts = [(_VIEWER / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    return Markup("(() => {\n'use strict';\n" + "\n".join(parts) + "\n})();")


def _probe(probe: ProbeMaps) -> dict[str, Any]:
    return {"probe": probe.probe, "text": probe.text, "sites": [_site(site) for site in probe.sites]}


def _site(site: SiteMap) -> dict[str, Any]:
    codes = np.round(255 * np.sqrt(np.clip(site.weights_LHTS.astype(np.float32), 0, 1))).astype(np.uint8)
    return {
        "site": site.site,
        "queries": list(site.queries),
        "keys": list(site.keys),
        "layers": site.layers,
        "heads": site.heads,
        "causal": site.causal,
        "weights": base64.b64encode(codes.tobytes()).decode("ascii"),
        "sure": _links(site.sure_TS),
        "possible": _links(site.possible_TS),
        "numbers": [
            [_short(n.entropy), _short(n.distance), _short(n.largest), None if n.aer is None else _short(n.aer)]
            for n in head_numbers(site)
        ],
    }


def _links(gold_TS: np.ndarray | None) -> list[list[int]] | None:
    return None if gold_TS is None else np.argwhere(gold_TS).tolist()


def _short(value: float) -> float:
    return round(value, 4)
