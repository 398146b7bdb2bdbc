"""The interactive viewer of attention maps as data and as a page: one self-contained HTML file that needs no network.

The viewer lies in ``viewer/``. Its data is JSON in the page; whatever came from a corpus reaches the page only as escaped
JSON or through ``textContent``.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from attncompare.maps.maps import ProbeMaps, SiteMap, head_numbers
from attncompare.maps.pictures import GOLD, OVER, RAMP, variant_colors

_VIEWER = Path(__file__).parent / "viewer"


@dataclass(frozen=True)
class MapSeries:
    """The maps of one model over its training: ``steps`` holds (training step, probes), by step.

    ``color`` (``#rrggbb``) marks the series; by default its label decides.
    """

    label: str
    steps: list[tuple[int, list[ProbeMaps]]]
    color: str | None = None


def maps_page(title: str, series: list[MapSeries], *, together: bool = False, note: str = "") -> str:
    """Return a whole HTML page that shows ``series`` side by side; it works from a file, offline, and inside W&B.

    ``together`` shows all sentences under each other at first; ``note`` is a sentence below the title.
    """
    template, js = environment(_VIEWER).get_template("page.html.j2"), viewer_js()
    data = script_json({**viewer_data(series), "together": together})
    return template.render(title=title, note=note, data=data, css=viewer_css(), js=js, policy=content_policy(js))


def viewer_data(series: list[MapSeries]) -> dict[str, Any]:
    """Return what the viewer shows, as plain JSON values.

    A weight w travels as one byte ``q = round(255 sqrt(w))`` and is shown as ``(q / 255)^2``: off by about
    ``sqrt(w) / 255`` at most, so below 0.004 everywhere and finer for the many small weights of a long sentence.
    ``weights`` holds the bytes of all sites in their order, compressed (zlib), in base64. After a site's weights come its
    further views: rollout (layer, query, key), and the norms of weighted values over their largest, ``largest_norm``.
    """
    colors = variant_colors(one.label for one in series)
    shown = [
        {
            "label": one.label,
            "color": one.color or colors[one.label],
            "steps": [{"step": step, "probes": [_probe(probe) for probe in probes]} for step, probes in one.steps],
        }
        for one in series
    ]
    packer = zlib.compressobj()
    sites = (site for one in series for _, probes in one.steps for probe in probes for site in probe.sites)
    packed = b"".join([*(packer.compress(codes) for site in sites for codes in _views(site)), packer.flush()])
    return {
        "ramp": list(RAMP),
        "gold": GOLD,
        "over": OVER,
        "series": shown,
        "weights": base64.b64encode(packed).decode("ascii"),
    }


@cache
def viewer_css() -> Markup:
    """Return the viewer's style sheet."""
    return Markup((_VIEWER / "viewer.css").read_text(encoding="utf-8"))


@cache
def viewer_js() -> Markup:
    """Return the viewer's script: it fills each ``div.attention-maps`` from the JSON whose id is in ``data-maps``."""
    return Markup("(() => {\n'use strict';\n" + (_VIEWER / "viewer.js").read_text(encoding="utf-8") + "\n})();")


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


def content_policy(*scripts: str) -> str:
    """Return the page's Content-Security-Policy: it runs these ``scripts`` and no other, and asks no server anything.

    So even text that found a way out of its place could not run. The texts must stand in the page byte for byte.
    """
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'"
    return f"{nothing}; style-src 'unsafe-inline'; img-src data: blob:; script-src {allowed}"


def _probe(probe: ProbeMaps) -> dict[str, Any]:
    """``image``: rows of gray levels; ``squares`` of a site: how many of its first keys are squares of the image."""
    sites = [{**_site(site), "squares": probe.squares(site)} for site in probe.sites]
    image = {} if probe.image_HW is None else {"image": probe.image_HW.tolist(), "patch": probe.patch}
    following = {} if probe.next_tokens is None else {"next": probe.next_tokens}
    return {"probe": probe.probe, "text": probe.text, "sites": sites, **image, **following}


def _views(site: SiteMap) -> Iterator[bytes]:
    yield _codes(site.weights_LHTS)
    if site.rollout is not None:
        yield _codes(site.rollout)
    if site.norms_LHTS is not None:
        yield _codes(site.norms_LHTS / _largest_norm(site))


def _codes(weights: np.ndarray) -> bytes:
    return np.round(255 * np.sqrt(np.clip(weights.astype(np.float32), 0, 1))).astype(np.uint8).tobytes()


def _largest_norm(site: SiteMap) -> float:
    return 0.0 if site.norms_LHTS is None else max(float(site.norms_LHTS.max(initial=0)), 1e-9)


def _site(site: SiteMap) -> dict[str, Any]:
    numbers = [(one.entropy, one.distance, one.largest, one.aer) for one in head_numbers(site)]
    gold = {"sure": site.sure_TS, "possible": site.possible_TS}
    return {
        **{name: getattr(site, name) for name in ("site", "title", "queries", "keys", "layers", "heads", "causal")},
        **{"rows": site.rows, "axes": site.axes, "rollout": site.rollout is not None},
        **{"largest_norm": round(_largest_norm(site), 4), "no_norms": site.no_norms},
        **{name: None if gold_TS is None else np.argwhere(gold_TS).tolist() for name, gold_TS in gold.items()},
        **({} if site.wave is None else {"wave": np.round(site.wave.astype(np.float64), 3).tolist()}),
        "numbers": [[None if value is None else round(value, 4) for value in row] for row in numbers],
    }
