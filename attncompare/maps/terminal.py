"""Attention maps in the terminal: colored blocks that also read without color.

Each cell shows its weight in tenths, so 7 stands for 0.7 to 0.8; a dot is a weight below 0.1, a blank a blocked key.
"""

import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.columns import Columns
from rich.console import Console
from rich.style import Style
from rich.text import Text

from attncompare.errors import Refused
from attncompare.maps.maps import HeadNumbers, ProbeMaps, SiteMap, head_numbers
from attncompare.maps.palette import ramp_color
from attncompare.text import printable

_LONGEST = 12  # columns of a label
_CELL = 2  # columns of a weight: about square on most terminals


def print_maps(console: Console, probe: ProbeMaps, layer: int | None, head: int | None) -> None:
    """Print every site's maps for one sentence; a map wider than the console continues below.

    Args:
        console: where to print.
        probe: the maps.
        layer: which layer, from 1; None: the last.
        head: which head, from 1; None: each.

    Raises:
        Refused: if there is no such layer or head; the message says how many there are.
    """
    for site in probe.sites:
        _check("layer", layer, site.layers)
        _check("head", head, site.heads)
    console.print(Text(printable(probe.text), style="bold"))
    for site in probe.sites:
        shown = site.layers if layer is None else layer
        heads = range(1, site.heads + 1) if head is None else [head]
        numbers = {(n.layer, n.head): n for n in head_numbers(site)}
        console.print()
        console.print(Text(f"{site.title}, layer {shown} of {site.layers}", style="bold underline"))
        blocks = [_draw(site, numbers[shown, h], console.width) for h in heads]
        console.print(Columns(blocks, padding=(0, 3)))
    console.print(
        Text("Rows are queries, columns keys; digits are tenths (7: 0.7 to 0.8), a dot is below 0.1.", style="dim")
    )


def _check(what: str, number: int | None, count: int) -> None:
    if number is not None and not 1 <= number <= count:
        raise Refused(f"{what}={number}: the model has {count}; valid: 1 to {count}")


def _draw(site: SiteMap, numbers: HeadNumbers, width: int) -> Text:
    """Draw one head, in as many blocks of keys as the width needs."""
    queries = [_label(label) for label in site.queries]
    keys = [_label(label) for label in site.keys]
    gutter = max(map(cell_len, queries))
    per_block = max((width - gutter - 1) // _CELL, 1)
    text = Text(no_wrap=True)
    text.append(f"head {numbers.head}\n", style="bold")
    for start in range(0, len(keys), per_block):
        block = range(start, min(start + per_block, len(keys)))
        _append_keys(text, [keys[s] for s in block], gutter)
        for t, query in enumerate(queries):
            if site.causal and start > t:
                continue  # nothing to see here
            text.append(" " * (gutter - cell_len(query)) + query + " ")
            for s in block:
                blocked = site.causal and s > t
                text.append(*_cell(float(site.weights_LHTS[numbers.layer - 1, numbers.head - 1, t, s]), blocked))
            text.append("\n")
    text.append(_describe(numbers) + "\n", style="dim")
    return text


def _append_keys(text: Text, keys: Sequence[str], gutter: int) -> None:
    """Write the keys downwards, each above its column."""
    height = max(map(len, keys))
    for line in range(height):
        text.append(" " * (gutter + 1))
        for key in keys:
            place = line - (height - len(key))
            text.append(set_cell_size(key[place] if place >= 0 else "", _CELL))
        text.append("\n")


def _cell(weight: float, blocked: bool) -> tuple[str, Style]:
    if blocked:
        return " " * _CELL, Style()
    red, green, blue = ramp_color(weight)
    ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 120 else "white"
    tenths = "·" if weight < 0.1 else str(min(int(weight * 10), 9))
    return tenths.rjust(_CELL), Style(color=ink, bgcolor=f"#{red:02x}{green:02x}{blue:02x}")


def _label(label: str) -> str:
    """Shorten, and drop what would break the grid: control characters and marks without a width of their own."""
    label = "".join(c for c in unicodedata.normalize("NFC", label) if c.isprintable() and cell_len(c) > 0) or "?"
    return label if cell_len(label) <= _LONGEST else set_cell_size(label, _LONGEST - 1).rstrip() + "…"


def _describe(numbers: HeadNumbers) -> str:
    text = f"entropy {numbers.entropy:.2f}\ndistance {numbers.distance:.1f}\nlargest {numbers.largest:.2f}"
    return text if numbers.aer is None else f"{text}\nAER {numbers.aer:.2f}"
