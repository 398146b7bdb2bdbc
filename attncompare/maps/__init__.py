"""Attention maps: captured from a model, described by numbers, kept in files, and shown.

maps.py      the data, the numbers of each head, and the files
capture.py   from a model to its maps; the Lightning callback that does so during training
pictures.py  heat maps as PNG
page.py      the interactive viewer as a page; viewer/ holds its script and style
terminal.py  maps in the terminal
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attncompare.maps.capture import AttentionMaps, probe_maps
    from attncompare.maps.maps import (
        HeadNumbers,
        ProbeMaps,
        SiteMap,
        alignment_error_rate,
        head_numbers,
        load_maps,
        maps_from,
        maps_of,
        save_maps,
    )
    from attncompare.maps.page import MapSeries, maps_page
    from attncompare.maps.pictures import heatmap_png, series_color, side_by_side
    from attncompare.maps.terminal import print_maps

__all__ = [
    "AttentionMaps",
    "HeadNumbers",
    "MapSeries",
    "ProbeMaps",
    "SiteMap",
    "alignment_error_rate",
    "head_numbers",
    "heatmap_png",
    "load_maps",
    "maps_from",
    "maps_of",
    "maps_page",
    "print_maps",
    "probe_maps",
    "save_maps",
    "series_color",
    "side_by_side",
]

_HOMES = {
    "capture": ("AttentionMaps", "probe_maps"),
    "page": ("MapSeries", "maps_page"),
    "pictures": ("heatmap_png", "series_color", "side_by_side"),
    "terminal": ("print_maps",),
}


def __getattr__(name: str) -> Any:
    """Import torch, matplotlib or jinja2 only when something that needs them is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'attncompare.maps' has no attribute '{name}'")
    home = next((home for home, names in _HOMES.items() if name in names), "maps")
    return getattr(importlib.import_module(f"attncompare.maps.{home}"), name)
