"""Attention maps in the terminal: colored blocks that also read without color.

Each cell shows its weight in tenths, so 7 stands for 0.7 to 0.8; a dot is a weight below 0.1, a blank a masked key.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.columns import Columns
from rich.console import Console
from rich.style import Style
from rich.text import Text

from attncompare.errors import Refused
from attncompare.maps.maps import ProbeMaps, SiteMap, head_numbers
from attncompare.maps.pictures import ramp_color
from attncompare.text import counted, printable

_LONGEST = 12  # columns of a label
_CELL = 2  # columns of a weight: about square on most terminals
_MOST = 60  # queries and keys of a map that are shown before somebody asks for all


def print_maps(
    console: Console,
    probes: ProbeMaps | Sequence[tuple[str, ProbeMaps]],
    layer: int | None,
    head: int | None,
    whole: bool = False,
    mean: bool = False,
) -> None:
    """Print every site's maps for one sentence; a map wider than the console continues below.

    Of a map with more than 60 queries or keys, so many of them are shown: the part that holds most of what lies above an
    even spread of each query's weight over the keys that it may see.

    ``probes`` are one model's maps, or those of several with their labels, which stand side by side. ``layer`` and ``head``
    count from 1; None: the last layer, each head. ``whole`` shows long maps whole, too; ``mean`` the mean over heads.

    Raises:
        Refused: if there is no such layer or head; the message says how many there are.
    """
    series = [("", probes)] if isinstance(probes, ProbeMaps) else list(probes)
    for label, probe in series:
        for site in probe.sites:
            for what, number, count in (("layer", layer, site.layers), ("head", head, site.heads)):
                if number is not None and not 1 <= number <= count:
                    raise Refused(f"{what}={number}: {label or 'the model'} has {count}; valid: 1 to {count}")
    for text in dict.fromkeys(probe.text for _, probe in series):  # translations may differ
        whose = [label for label, probe in series if probe.text == text]
        named = f"{', '.join(whose)}: " if len(whose) < len(series) else ""
        console.print(Text(printable(f"{named}{text}"), style="bold"))
    for name in dict.fromkeys(site.site for _, probe in series for site in probe.sites):
        there = [(label, site) for label, probe in series for site in probe.sites if site.site == name]
        first, long = there[0][1], max((site for _, site in there), key=lambda site: max(site.weights_LHTS.shape[2:]))
        layers = {f"layer {layer or site.layers} of {site.layers}" for _, site in there}
        console.print()
        title = f"{first.title}, {', '.join(sorted(layers))}; rows: {first.axes[0]}"
        console.print(Text(printable(title), style="bold underline"))
        drawn = []
        for label, site in there:
            if mean:
                drawn.append(
                    _draw(
                        site.mean,
                        layer or site.layers,
                        1,
                        f"mean of {counted(site.heads, 'head')}",
                        label,
                        console,
                        whole,
                    )
                )
            else:
                heads = range(1, site.heads + 1) if head is None else [head]
                drawn += [_draw(site, layer or site.layers, one, f"head {one}", label, console, whole) for one in heads]
        console.print(Columns(drawn, padding=(0, 3)))
        if not whole and max(long.weights_LHTS.shape[2:]) > _MOST:
            sizes = f"{len(long.queries)} queries and {len(long.keys)} keys"
            what = f"The part with the largest weights; --all shows all {sizes}."
            console.print(Text(what, style="dim"))
    legend = "Columns are keys; digits are tenths (7: 0.7 to 0.8), a dot is below 0.1."
    console.print(Text(legend, style="dim"))


def _draw(site: SiteMap, layer: int, head: int, name: str, label: str, console: Console, whole: bool) -> Text:
    """Draw one head, or the part of it that tells most, in as many blocks of keys as the console's width needs."""
    weights_TS = site.weights_LHTS[layer - 1, head - 1]
    rows, columns = map(slice, weights_TS.shape) if whole else _window(weights_TS, site.causal)
    if weights_TS[rows, columns].shape != weights_TS.shape:
        sides = (("queries", rows, len(site.queries)), ("keys", columns, len(site.keys)))
        name += "".join(f", {side} {part.start + 1} to {part.stop} of {count}" for side, part, count in sides)
    text = Text(no_wrap=True)
    if label:
        text.append(f"{set_cell_size(label, min(cell_len(label), console.width))}\n", "bold")
    text.append(f"{name}\n", "bold")
    # A key s of the part is blocked for a query t where its place in the whole map is behind the query's.
    behind = (columns.start or 0) - (rows.start or 0)
    weights = weights_TS[rows, columns].tolist()
    queries, keys = [_label(label) for label in site.rows[rows]], [_label(label) for label in site.keys[columns]]
    gutter = max(map(cell_len, queries))
    per_block = max((console.width - gutter - 1) // _CELL, 1)
    for start in range(0, len(keys), per_block):
        block = keys[start : start + per_block]
        height = max(map(len, block))
        for line in range(height):  # keys run downwards, each above its column
            letters = (key.rjust(height)[line] for key in block)
            text.append(" " * (gutter + 1) + "".join(set_cell_size(c.strip(), _CELL) for c in letters) + "\n")
        for t, query in enumerate(queries):
            if site.causal and start + behind > t:
                continue  # all masked
            text.append(" " * (gutter - cell_len(query)) + query + " ")
            for s in range(start, start + len(block)):
                masked = site.causal and s + behind > t
                text.append(
                    " " * _CELL if masked else _tenths(weights[t][s]), None if masked else _style(weights[t][s])
                )
            text.append("\n")
    numbers = head_numbers(site)[(layer - 1) * site.heads + head - 1]
    figures = [f"entropy {numbers.entropy:.2f}", f"distance {numbers.distance:.1f}", f"largest {numbers.largest:.2f}"]
    figures += [] if numbers.aer is None else [f"AER {numbers.aer:.2f}"]
    text.append("\n".join(figures) + "\n", "dim")
    return text


def _window(weights_TS: np.ndarray, causal: bool) -> tuple[slice, slice]:
    """Return the queries and keys of the part that holds most of what lies above an even spread over each query's keys."""
    T, S = weights_TS.shape
    open_T = np.minimum(np.arange(T) + 1, S) if causal else np.full(T, S)
    above_TS = np.clip(weights_TS - 1 / open_T[:, None], 0, None)
    t, s = min(T, _MOST), min(S, _MOST)
    # Sums of all parts of t x s from the sums of all parts that begin at the corner.
    corner = np.pad(above_TS.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = corner[t:, s:] - corner[:-t, s:] - corner[t:, :-s] + corner[:-t, :-s]
    best = np.argwhere(sums >= sums.max() - 1e-6)
    row, column = best[len(best) // 2].tolist()  # of several alike, such as all that hold one large weight, the middle
    return slice(row, row + t), slice(column, column + s)


def _tenths(weight: float) -> str:
    return ("·" if weight < 0.1 else str(min(int(weight * 10), 9))).rjust(_CELL)


def _style(weight: float) -> Style:
    return _style_of(round(255 * weight))


@cache
def _style_of(code: int) -> Style:
    """Return the colors of a cell whose weight is ``code / 255``; a style takes longer to make than a cell to print."""
    red, green, blue = ramp_color(code / 255)
    ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 120 else "white"
    return Style(color=ink, bgcolor=f"#{red:02x}{green:02x}{blue:02x}")


def _label(label: str) -> str:
    """Shorten, and drop what would break the grid: control characters and marks without a width of their own."""
    label = "".join(c for c in unicodedata.normalize("NFC", label) if c.isprintable() and cell_len(c) > 0) or "?"
    return label if cell_len(label) <= _LONGEST else set_cell_size(label, _LONGEST - 1).rstrip() + "…"
