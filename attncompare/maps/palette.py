"""The colors of every picture: one ramp for weights, one color for each thing compared."""

# Matplotlib's magma from 1 to 0 at 17 even stops, perceptually uniform, its end at 0 paled towards white.
RAMP = (
    "#fffff5", "#feeecb", "#fed0a2", "#feae80", "#fc8c68", "#f56c5f", "#e65265", "#cf4170", "#b5367a",
    "#9b2e7f", "#812581", "#681c81", "#4f127b", "#341069", "#1c1044", "#090720", "#000004",
)  # fmt: skip

GOLD = "#0090c8"  # outlines of gold alignments: no color of the ramp

# Okabe and Ito's colors for every kind of color vision, without black and yellow, which a background may swallow.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")


def series_color(index: int) -> str:
    """Return the color of the ``index``-th series; they repeat after the last."""
    return SERIES[index % len(SERIES)]


def ramp_color(weight: float) -> tuple[int, int, int]:
    """Return the color of a weight in [0, 1] as red, green and blue from 0 to 255."""
    place = min(max(weight, 0.0), 1.0) * (len(RAMP) - 1)
    low = min(int(place), len(RAMP) - 2)
    ends = (RAMP[low], RAMP[low + 1])
    (r0, g0, b0), (r1, g1, b1) = (tuple(int(end[i : i + 2], 16) for i in (1, 3, 5)) for end in ends)
    share = place - low
    return round(r0 + (r1 - r0) * share), round(g0 + (g1 - g0) * share), round(b0 + (b1 - b0) * share)
