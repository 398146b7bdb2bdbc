"""A report as a page: one self-contained HTML file. Its tables can be read without scripts; plotly draws the pictures."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from attncompare.bench.facts import machine_line
from attncompare.bench.report import Picture, Report, Value
from attncompare.bench.spread import Spread
from attncompare.bench.values import quartiles, shown
from attncompare.compare.report import charts_js, page_css, plotly_js
from attncompare.maps.page import content_policy, environment, script_json, viewer_css
from attncompare.maps.pictures import series_color

_LOOK = Path(__file__).parent / "look"
_DASHES = ("solid", "dash", "dot")  # with the colors, in case there are more lines than colors
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "star")


def report_page(report: Report) -> str:
    """Return the page as text: it asks no network for anything and holds all that it shows."""
    pictures = [picture for table in report.tables for picture in table.pictures]
    places = _places([line.name for picture in pictures for line in picture.lines])
    drawings = iter(enumerate(script_json(_drawing(picture, places)) for picture in pictures))
    sections = [(table, [(*next(drawings), picture.title) for picture in table.pictures]) for table in report.tables]
    scripts = {"plotly": plotly_js(), "page_js": _page_js()}
    return (
        environment(_LOOK)
        .get_template("page.html.j2")
        .render(
            report=report,
            sections=sections,
            machine=machine_line(report.machine),
            color=lambda name: series_color(places[name]),
            shown=shown,
            quartiles=quartiles,
            css=viewer_css() + page_css() + Markup((_LOOK / "bench.css").read_text(encoding="utf-8")),
            policy=content_policy(*scripts.values()),
            **scripts,
        )
    )


def _places(names: list[str]) -> dict[str, int]:
    """Return a number for each name, so that a contender looks the same in all pictures."""
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _drawing(picture: Picture, places: dict[str, int]) -> dict[str, Any]:
    lines = []
    for line in picture.lines:
        place = places[line.name]
        looks = {"color": series_color(place), "dash": _DASHES[place // 7 % 3], "symbol": _SYMBOLS[place % 7]}
        ends = zip(*map(_ends, line.values), strict=True)
        lines.append({"name": line.name, **looks, **dict(zip(("median", "low", "high"), ends, strict=True))})
    bars = any(isinstance(one, str) for one in picture.x)
    return {"x": picture.x, "bars": bars, "xTitle": picture.x_title, "yTitle": picture.y_title, "lines": lines}


def _ends(value: Value) -> tuple[float | None, float | None, float | None]:
    if isinstance(value, Spread):
        return value.median, value.low, value.high
    number = None if value is None or isinstance(value, str) else value
    return number, number, number


def _page_js() -> Markup:
    own = (_LOOK / "bench.js").read_text(encoding="utf-8")
    return Markup(f"(() => {{\n'use strict';\n{charts_js()}\n{own}\n}})();")
