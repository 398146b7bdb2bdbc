"""Attention maps in the terminal: colored blocks that also read without color.

Each cell shows its weight in tenths, so 7 stands for 0.7 to 0.8; a dot is a weight below 0.1, a blank a masked key.
"""

import unicodedata

from rich.cells import cell_len, set_cell_size
from rich.columns import Columns
from rich.console import Console
from rich.style import Style
from rich.text import Text

from attncompare.errors import Refused
from attncompare.maps.maps import HeadNumbers, ProbeMaps, SiteMap, head_numbers
from attncompare.maps.pictures import ramp_color
from attncompare.text import printable

_LONGEST = 12  # columns of a label
_CELL = 2  # columns of a weight: about square on most terminals


def print_maps(console: Console, probe: ProbeMaps, layer: int | None, head: int | None) -> None:
    """Print every site's maps for one sentence; a map wider than the console continues below.

    ``layer`` and ``head`` count from 1; None: the last layer, each head.

    Raises:
        Refused: if there is no such layer or head; the message says how many there are.
    """
    for site in probe.sites:
        for what, number, count in (("layer", layer, site.layers), ("head", head, site.heads)):
            if number is not None and not 1 <= number <= count:
                raise Refused(f"{what}={number}: the model has {count}; valid: 1 to {count}")
    console.print(Text(printable(probe.text), style="bold"))
    for site in probe.sites:
        shown = layer or site.layers
        console.print()
        console.print(Text(f"{printable(site.title)}, layer {shown} of {site.layers}", style="bold underline"))
        numbers = [one for one in head_numbers(site) if one.layer == shown and head in (None, one.head)]
        console.print(Columns([_draw(site, one, console.width) for one in numbers], padding=(0, 3)))
    legend = "Rows are queries, columns keys; digits are tenths (7: 0.7 to 0.8), a dot is below 0.1."
    console.print(Text(legend, style="dim"))


def _draw(site: SiteMap, numbers: HeadNumbers, width: int) -> Text:
    """Draw one head, in as many blocks of keys as the width needs."""
    weights_TS = site.weights_LHTS[numbers.layer - 1, numbers.head - 1].tolist()
    queries, keys = [_label(label) for label in site.queries], [_label(label) for label in site.keys]
    gutter = max(map(cell_len, queries))
    per_block = max((width - gutter - 1) // _CELL, 1)
    text = Text(no_wrap=True).append(f"head {numbers.head}\n", "bold")
    for start in range(0, len(keys), per_block):
        block = keys[start : start + per_block]
        height = max(map(len, block))
        for line in range(height):  # keys run downwards, each above its column
            letters = (key.rjust(height)[line] for key in block)
            text.append(" " * (gutter + 1) + "".join(set_cell_size(c.strip(), _CELL) for c in letters) + "\n")
        for t, query in enumerate(queries):
            if site.causal and start > t:
                continue  # all masked
            text.append(" " * (gutter - cell_len(query)) + query + " ")
            for s in range(start, start + len(block)):
                text.append(*_cell(weights_TS[t][s], masked=site.causal and s > t))
            text.append("\n")
    figures = [f"entropy {numbers.entropy:.2f}", f"distance {numbers.distance:.1f}", f"largest {numbers.largest:.2f}"]
    figures += [] if numbers.aer is None else [f"AER {numbers.aer:.2f}"]
    text.append("\n".join(figures) + "\n", "dim")
    return text


def _cell(weight: float, masked: bool) -> tuple[str, Style]:
    if masked:
        return " " * _CELL, Style()
    red, green, blue = ramp_color(weight)
    ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 120 else "white"
    tenths = "·" if weight < 0.1 else str(min(int(weight * 10), 9))
    return tenths.rjust(_CELL), Style(color=ink, bgcolor=f"#{red:02x}{green:02x}{blue:02x}")


def _label(label: str) -> str:
    """Shorten, and drop what would break the grid: control characters and marks without a width of their own."""
    label = "".join(c for c in unicodedata.normalize("NFC", label) if c.isprintable() and cell_len(c) > 0) or "?"
    return label if cell_len(label) <= _LONGEST else set_cell_size(label, _LONGEST - 1).rstrip() + "…"
