"""Attention maps: captured from a model, described by numbers, kept in files, and shown.

maps.py      the data, the numbers of each head, and the files
heads.py     the numbers of each head over training: the Lightning callback that logs them, and metrics of their means
capture.py   from a model to its maps; the Lightning callback that does so during training
pictures.py  heat maps as PNG
page.py      the interactive viewer as a page; viewer/ holds its script and style
terminal.py  maps in the terminal
"""
# ruff: noqa: F401  (what the other rooms use)

import importlib
from typing import TYPE_CHECKING, Any

from attncompare.maps.maps import ProbeMaps, SiteMap, alignment_error_rate, head_numbers, load_maps, maps_of, save_maps

if TYPE_CHECKING:
    from attncompare.maps.capture import AttentionMaps, probe_maps
    from attncompare.maps.page import MapSeries, maps_page
    from attncompare.maps.pictures import heatmap_png, side_by_side, variant_colors
    from attncompare.maps.terminal import print_maps

_HOMES = {
    **dict.fromkeys(("AttentionMaps", "probe_maps"), "capture"),
    **dict.fromkeys(("MapSeries", "maps_page"), "page"),
    **dict.fromkeys(("heatmap_png", "side_by_side", "variant_colors"), "pictures"),
    "print_maps": "terminal",
}


def __getattr__(name: str) -> Any:
    """Import torch, Pillow or jinja2 only when something that needs them is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attncompare.maps' has no attribute '{name}'")
    return getattr(importlib.import_module(f"attncompare.maps.{_HOMES[name]}"), name)
