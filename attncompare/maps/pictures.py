"""Attention maps as a picture: labelled heat maps of one site, one panel for each layer and head.

All panels are one image in one matplotlib axes: a mosaic draws many times faster than an axes for each panel, and a run
draws such a picture for every probe and site at every validation.
"""

from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from attncompare.maps.maps import SiteMap
from attncompare.maps.palette import GOLD, RAMP

COLORS = LinearSegmentedColormap.from_list("weights", RAMP)
BLOCKED = (0.80, 0.82, 0.85)  # no color of the map: a key that the query may not see
_COLUMNS = 8  # heads side by side; more wrap into further rows of the same layer
_LONGEST = 14  # characters of a label
_MONO = "DejaVu Sans Mono"  # comes with matplotlib, so that pictures are the same everywhere
_DPI = 110
_COMPRESSION = 3  # of 9; with the usual 6, files are smaller by a fifth and take twice as long


def heatmap_png(site_map: SiteMap, title: str) -> bytes:
    """Draw every head of ``site_map`` on one scale from 0 to 1 and return the picture as PNG.

    Rows of panels are layers, columns are heads. Queries run down, keys run to the right. Keys blocked by a causal mask
    are gray; gold alignments, where known, are outlined (thick: sure, thin: possible).
    """
    layout = _Layout(site_map)
    figure = Figure(figsize=layout.inches, dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, layout.width), ylim=(layout.height, 0))
    axes.set_axis_off()
    left, bottom = layout.pixels(layout.left), round(figure.bbox.height) - layout.pixels(layout.bottom)
    axes.add_artist(_Pixels(_mosaic(site_map, layout), left, bottom))
    _write_labels(axes, site_map, layout)
    _draw_lines(axes, site_map, layout)
    axes.text(layout.margin, layout.margin, _clean(title), fontsize=10, weight="bold", va="top")
    _draw_scale(axes, site_map.causal, layout)
    buffer = BytesIO()
    canvas.print_png(buffer, pil_kwargs={"compress_level": _COMPRESSION})
    return buffer.getvalue()


class _Layout:
    """Where everything stands, in cells; one cell is one weight."""

    def __init__(self, site_map: SiteMap) -> None:
        T, S = len(site_map.queries), len(site_map.keys)
        self.columns = min(site_map.heads, _COLUMNS)
        rows_per_layer = -(-site_map.heads // self.columns)
        self.rows = site_map.layers * rows_per_layer
        # A cell holds one line of text: large when there are few, small when the picture would grow too wide.
        self.cell = float(np.clip(9.0 / max(self.columns * S, self.rows * T), 0.115, 0.26))  # inches
        self.points = min(9.0, self.cell * 72 * 0.80)
        self.gap = 0.12 / self.cell
        self.caption = 0.21 / self.cell  # the line "layer 1 · head 1" above each panel
        self.margin = 0.12 / self.cell
        letter = self.points * 0.602 / 72 / self.cell  # DejaVu Sans Mono is 0.602 em wide
        self.left = self.margin + letter * max(len(_short(label)) for label in site_map.queries) + 0.08 / self.cell
        self.key_space = letter * max(len(_short(label)) for label in site_map.keys) + 0.08 / self.cell
        self.top = self.margin + 0.30 / self.cell + self.key_space + self.caption
        self.right = self.left + self.columns * S + (self.columns - 1) * self.gap
        self.bottom = self.top + self.rows * T + (self.rows - 1) * (self.gap + self.caption)
        self.width = max(self.right + 0.72 / self.cell, 4.2 / self.cell)
        self.height = max(self.bottom + self.margin, self.top + 1.1 / self.cell)
        self.inches = (self.width * self.cell, self.height * self.cell)
        self._T, self._S, self._rows_per_layer = T, S, rows_per_layer

    def pixels(self, cells: float) -> int:
        """Return how many pixels from the left or upper edge a place is, in whole ones."""
        return round(cells * self.cell * _DPI)

    def corner(self, layer: int, head: int) -> tuple[float, float]:
        """Return the left and upper edge of a panel (indexes from 0)."""
        row = layer * self._rows_per_layer + head // self.columns
        column = head % self.columns
        return self.left + column * (self._S + self.gap), self.top + row * (self._T + self.gap + self.caption)


class _Pixels(Artist):
    """An image that is drawn pixel for pixel. That of imshow would be resampled, which takes a third of the time."""

    def __init__(self, image: np.ndarray, left: int, bottom: int) -> None:
        super().__init__()
        self._image, self._corner = image, (left, bottom)
        self.set_zorder(0)

    def draw(self, renderer: Any) -> None:
        """Draw it below everything else."""
        context = renderer.new_gc()
        renderer.draw_image(context, *self._corner, self._image[::-1])  # from the lowest row on
        context.restore()


def _mosaic(site_map: SiteMap, layout: _Layout) -> np.ndarray:
    """Return the panels as one RGBA image, at the size at which it is shown; between them it is white."""
    left, top = layout.pixels(layout.left), layout.pixels(layout.top)
    size = (layout.pixels(layout.bottom) - top, layout.pixels(layout.right) - left, 4)
    image = np.full(size, 255, np.uint8)
    T, S = len(site_map.queries), len(site_map.keys)
    blocked_TS = np.triu(np.ones((T, S), bool), 1) & site_map.causal
    colors_LHTSC = COLORS(np.clip(site_map.weights_LHTS.astype(np.float32), 0, 1), bytes=True)
    colors_LHTSC[:, :, blocked_TS, :3] = np.multiply(BLOCKED, 255).astype(np.uint8)
    for layer in range(site_map.layers):
        for head in range(site_map.heads):
            x, y = layout.corner(layer, head)
            rows, columns = _cells(layout, y, T), _cells(layout, x, S)
            down, right = layout.pixels(y) - top, layout.pixels(x) - left
            image[down : down + len(rows), right : right + len(columns)] = colors_LHTSC[layer, head][
                np.ix_(rows, columns)
            ]
    return image


def _cells(layout: _Layout, begin: float, cells: int) -> np.ndarray:
    """Return which of so many cells from ``begin`` on is shown by each pixel from there on."""
    edges = [layout.pixels(begin + cell) for cell in range(cells + 1)]
    return np.repeat(np.arange(cells), np.diff(edges))


def _write_labels(axes: Axes, site_map: SiteMap, layout: _Layout) -> None:
    """Write the keys above the first row, the queries beside the first column, and each panel's layer and head."""
    style: dict[str, Any] = {"fontfamily": _MONO, "fontsize": layout.points, "color": "#222222", "parse_math": False}
    pad = 0.05 / layout.cell
    for layer in range(site_map.layers):
        for head in range(site_map.heads):
            left, top = layout.corner(layer, head)
            name = f"layer {layer + 1} · head {head + 1}"
            room = len(site_map.keys) * layout.cell * 72 / (0.56 * len(name))
            above = layout.key_space if top == layout.top else 0
            size = min(8.0, max(room, 4.0))
            axes.text(left, top - above - pad, name, fontsize=size, color="#555555", va="bottom")
            if head % layout.columns == 0:
                for t, label in enumerate(site_map.queries):
                    axes.text(
                        layout.left - pad, top + t + 0.5, _short(label), ha="right", va="center_baseline", **style
                    )
            if top == layout.top:
                for s, label in enumerate(site_map.keys):
                    x = left + s + 0.5
                    axes.text(x, top - pad, _short(label), ha="center", va="bottom", rotation=90, **style)


def _draw_lines(axes: Axes, site_map: SiteMap, layout: _Layout) -> None:
    """Outline every panel, and in it the cells of the gold alignment."""
    T, S = len(site_map.queries), len(site_map.keys)
    corners = [layout.corner(layer, head) for layer in range(site_map.layers) for head in range(site_map.heads)]
    frames = [_box(left, top, S, T) for left, top in corners]
    axes.add_collection(LineCollection(frames, colors="#8a8a8a", linewidths=0.6))
    if site_map.sure_TS is None or site_map.possible_TS is None:
        return
    for gold_TS, line in ((site_map.possible_TS & ~site_map.sure_TS, 0.6), (site_map.sure_TS, 1.4)):
        cells = [
            _box(left + s + 0.06, top + t + 0.06, 0.88, 0.88) for left, top in corners for t, s in np.argwhere(gold_TS)
        ]
        axes.add_collection(LineCollection(cells, colors=GOLD, linewidths=line))


def _draw_scale(axes: Axes, causal: bool, layout: _Layout) -> None:
    """Draw the color bar at the right edge, 0 at its foot."""
    left = layout.width - 0.55 / layout.cell
    top, tall, wide = layout.top, min(layout.bottom - layout.top, 2.2 / layout.cell), 0.11 / layout.cell
    tall = max(tall, 0.7 / layout.cell)
    ramp = COLORS(np.linspace(1, 0, 128)[:, None], bytes=True)
    axes.imshow(ramp, extent=(left, left + wide, top + tall, top), interpolation="bilinear", aspect="auto")
    axes.add_collection(LineCollection([_box(left, top, wide, tall)], colors="#8a8a8a", linewidths=0.6))
    for value in (0, 0.5, 1):
        axes.text(left + 1.5 * wide, top + tall * (1 - value), f"{value:g}", fontsize=7, va="center", color="#333333")
    if causal and top + tall + 0.3 / layout.cell < layout.height:
        y = top + tall + 0.14 / layout.cell
        axes.fill([left, left + wide, left + wide, left], [y, y, y + wide, y + wide], color=BLOCKED)
        axes.text(left + 1.5 * wide, y + wide / 2, "blocked", fontsize=6, va="center", color="#333333")
    axes.set(xlim=(0, layout.width), ylim=(layout.height, 0))  # imshow has moved them


def _box(left: float, top: float, wide: float, tall: float) -> list[tuple[float, float]]:
    right, bottom = left + wide, top + tall
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def _short(label: str) -> str:
    label = _clean(label)
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"


def _clean(text: str) -> str:
    """Show control characters and lone surrogates, which no font can draw, as a replacement character."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
