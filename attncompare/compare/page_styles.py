"""How each variant looks in every picture of the page: color first, and a second mark where colors repeat."""

from dataclasses import dataclass

from attncompare.compare.groups import Comparison

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "diamond", "square", "triangle-up")
_MARKS = ("", "hollow", "striped", "hollow striped")


@dataclass(frozen=True)
class Style:
    """The looks of a variant: ``color`` (``#rrggbb``), plotly's ``dash`` and ``symbol``, and the class of its swatch."""

    color: str
    dash: str
    symbol: str
    mark: str


def styles(comparison: Comparison) -> dict[str, Style]:
    """Return the style of each variant by its label; a color that comes again gets another dash, symbol and mark."""
    used: dict[str, int] = {}
    found = {}
    for variant in comparison.variants:
        turn = used.get(variant.color, 0) % len(_DASHES)
        used[variant.color] = used.get(variant.color, 0) + 1
        dash = "dot" if variant.same_as else _DASHES[turn]
        found[variant.label] = Style(variant.color, dash, _SYMBOLS[turn], _MARKS[turn])
    return found
