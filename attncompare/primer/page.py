"""The primer as one self-contained page: formulas, figures and script inside, no network."""

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from attncompare.maps.page import content_policy, environment, viewer_css
from attncompare.primer.chapters import Cell, Chapter
from attncompare.primer.running import Output

_FOLDER = Path(__file__).parent / "page"
_FORMULA = re.compile(r"```.*?```|`[^`]*`|\$\$(?P<block>.+?)\$\$|\$(?P<inline>.+?)\$", re.DOTALL)
_EM = 17.0  # units of a formula's drawing for the size of the text around it
_LETTERS = {1: "M", 2: "L", 3: "Q", 4: "C"}  # of SVG, by the codes of matplotlib's paths
_DOWN = np.array([1, -1] * 3)  # y grows downwards in SVG
_PLACE = "\ue000{}\ue000"  # of a formula, in characters that no text has
_PLACES = re.compile("\ue000(\\d+)\ue000")


def primer_page(parts: Sequence[tuple[Chapter, Sequence[Output]]], quick: str) -> str:
    """Return the page of chapters with what came of their cells; ``quick`` is a line on models that are hardly trained."""
    js = Markup((_FOLDER / "primer.js").read_text(encoding="utf-8"))
    sections = [
        {"chapter": chapter, "blocks": [_block(*one) for one in zip(chapter.cells, outputs, strict=True)]}
        for chapter, outputs in parts
    ]
    css = Markup((_FOLDER / "primer.css").read_text(encoding="utf-8"))
    template = environment(_FOLDER).get_template("primer.html.j2")
    values: dict[str, Any] = {"sections": sections, "quick": quick, "js": js, "policy": content_policy(js)}
    return template.render(**values, viewer_css=viewer_css(), css=css)


def html_of(markdown: str) -> Markup:
    """Return a text in Markdown, with formulas between dollar signs, as HTML."""
    formulas: list[str] = []

    def keep(found: re.Match[str]) -> str:
        latex = found["block"] or found["inline"]
        if latex is None:  # code
            return found[0]
        formulas.append(formula(latex, block=bool(found["block"])))
        return _PLACE.format(len(formulas) - 1)

    html = MarkdownIt("commonmark").enable("table").render(_FORMULA.sub(keep, markdown))
    return Markup(_PLACES.sub(lambda found: formulas[int(found[1])], html))


@cache
def formula(latex: str, block: bool = False) -> str:
    """Return a formula, such as matplotlib draws, as SVG, in the size and the color of the text around it.

    MathML would be read aloud better, but a browser without a mathematical font leaves out its roots.
    """
    from matplotlib import rc_context
    from matplotlib.textpath import TextPath

    text = " ".join(latex.split())
    text = text.replace(r"\frac", r"\dfrac") if block else text
    with rc_context({"mathtext.fontset": "stix"}):
        path = TextPath((0, 0), f"${text}$", size=20)
    box = path.get_extents()
    drawn = "".join(
        "Z"
        if code == path.CLOSEPOLY
        else _LETTERS[int(code)] + " ".join(f"{one:.1f}" for one in points * _DOWN[: len(points)])
        for points, code in path.iter_segments()
    )
    left, top, width, height = box.x0 - 1, -box.y1 - 1, box.width + 2, box.height + 2
    size = f"width:{width / _EM:.3f}em;height:{height / _EM:.3f}em;vertical-align:{-(height + top) / _EM:.3f}em"
    svg = f'<svg viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" style="{size}" role="img" aria-label="{escape(latex)}">'
    svg += f'<path d="{drawn}"/></svg>'
    return f'<span class="formula">{svg}</span>' if block else svg


def _block(cell: Cell, output: Output) -> dict[str, Any]:
    if cell.kind == "markdown":
        return {"kind": "markdown", "html": html_of(cell.text)}
    pictures = [
        {"data": b64encode(one.png).decode("ascii"), "alt": one.alt, "width": _width(one.png)}
        for one in output.pictures
    ]
    return {
        "kind": "code",
        "code": _code(cell.text),
        "text": output.text.rstrip("\n"),
        "html": Markup(output.html),
        "pictures": pictures,
    }


def _width(png: bytes) -> int:
    """Return the width at which a picture is shown: that of a screen with few dots an inch."""
    return round(int.from_bytes(png[16:20], "big") / 1.25)


def _code(text: str) -> Markup:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(text, PythonLexer(), HtmlFormatter(nowrap=True)))
