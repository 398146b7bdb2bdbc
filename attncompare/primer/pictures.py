"""Matrices, masks and heads as figures of matplotlib, in the colors that attention maps have everywhere here."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from attncompare.maps import SiteMap
from attncompare.maps.pictures import BLOCKED, GOLD, RAMP

_ALL_NUMBERS = 90  # cells up to which each shows its number
_LONGEST = 16  # characters of a label
_DARK = 0.45  # from this weight on, numbers are white
_HIDDEN = "#{:02x}{:02x}{:02x}".format(*BLOCKED)


class Panel(NamedTuple):
    """One matrix with its title and the names of its rows and columns; NaN is a hidden cell.

    Cells of ``gold_TS``, the sure links of an alignment, have a thick outline, the others of ``possible_TS`` a thin one.
    """

    title: str
    matrix_TS: Any
    rows: Sequence[Any] = ()
    columns: Sequence[Any] = ()
    gold_TS: Any = None
    possible_TS: Any = None


def draw(*panels: Panel | tuple[Any, ...], title: str = "", columns: int = 3, size: float = 3.2) -> None:
    """Draw matrices beside each other, ``columns`` in a row, each about ``size`` inches wide.

    Numbers from 0 to 1 have the colors of attention weights; others are blue below 0 and red above; small matrices show
    their numbers. A boolean matrix is a mask: what it hides is gray.
    """
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shown = [Panel(*panel) for panel in panels]
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    shapes = [np.shape(panel.matrix_TS) for panel in shown]
    height = max(min(1.3, max(0.06, shape[0] / shape[1])) for shape in shapes) * size * 0.8 + 0.9
    layout = ConstrainedLayoutEngine(h_pad=0.08)
    figure, grid = plt.subplots(rows, columns, figsize=(size * columns, height * rows), squeeze=False, layout=layout)
    for axes, panel in zip(grid.flat, shown, strict=False):
        _draw(axes, panel)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    if title:
        figure.suptitle(title)


def heads(site: SiteMap, title: str = "", layer: int = -1) -> list[Panel]:
    """Return a panel for each head of a layer (from 0; -1: the last) of an attention site, with gold alignments outlined.

    Rows of cross-attention are called by the token that is written, others by the one that is read.
    """
    weights_HTS = np.asarray(site.weights_LHTS[layer], float)
    if site.causal:
        weights_HTS = np.where(np.tril(np.ones(weights_HTS.shape[1:], bool)), weights_HTS, np.nan)
    named = [f"{title} head {head + 1}".strip() if site.heads > 1 else title for head in range(site.heads)]
    return [
        Panel(name, weights_TS, site.rows, site.keys, site.sure_TS, site.possible_TS)
        for name, weights_TS in zip(named, weights_HTS, strict=True)
    ]


def _draw(axes: Any, panel: Panel) -> None:
    from matplotlib import patches
    from matplotlib.colors import LinearSegmentedColormap

    mask = np.asarray(panel.matrix_TS).dtype == bool
    matrix_TS = np.asarray(panel.matrix_TS, float)
    known = matrix_TS[np.isfinite(matrix_TS)]
    largest = float(np.abs(known).max()) if known.size else 1.0
    low, high, ramp = -largest, largest, ["#0072b2", "#ffffff", "#d55e00"]
    if mask:
        low, high, ramp = 0.0, 1.0, [_HIDDEN, RAMP[8]]
    elif known.size and known.min() >= 0 and largest <= 1 + 1e-6:
        low, high, ramp = 0.0, 1.0, list(RAMP)
    colors = LinearSegmentedColormap.from_list("matrix", ramp).with_extremes(bad=_HIDDEN)
    axes.imshow(matrix_TS, cmap=colors, vmin=low, vmax=high, aspect="auto" if min(matrix_TS.shape) == 1 else "equal")
    axes.set_title(panel.title)
    T, S = matrix_TS.shape
    small = 7 if max(T, S) > 8 else 8
    axes.set_xticks(range(S) if len(panel.columns) else [], [_short(one) for one in panel.columns] or None)
    axes.set_yticks(range(T) if len(panel.rows) else [], [_short(one) for one in panel.rows] or None)
    turned = any(len(_short(one)) > 2 for one in panel.columns)
    axes.tick_params(axis="x", labelrotation=90 if turned else 0, labelsize=small, length=0)
    axes.tick_params(axis="y", labelsize=small, length=0)
    if T * S <= _ALL_NUMBERS and not mask:
        whole = bool((known == known.round()).all())
        for (t, s), value in np.ndenumerate(matrix_TS):
            ink = "white" if high == 1.0 and value > _DARK else "#222222"
            axes.text(s, t, _number(value, whole), ha="center", va="center", fontsize=small - 1, color=ink)
    for gold_TS, width in ((panel.possible_TS, 0.7), (panel.gold_TS, 2.0)):
        for t, s in [] if gold_TS is None else np.argwhere(np.asarray(gold_TS)):
            cell = patches.Rectangle((s - 0.45, t - 0.45), 0.9, 0.9, fill=False, edgecolor=GOLD, linewidth=width)
            axes.add_patch(cell)


def _number(value: float, whole: bool) -> str:
    if not np.isfinite(value):
        return "" if np.isnan(value) else "∞" if value > 0 else "−∞"
    if whole:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 9.95 else f"{value:.2f}"


def _short(label: Any) -> str:
    text = "".join(char if char.isprintable() else "\ufffd" for char in str(label))
    text = text.replace("$", r"\$")  # no formula
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
