"""Attention maps; this file only gives the names of the room until it is rebuilt."""

import importlib
from typing import Any

_HOMES = {
    "maps": ("ProbeMaps",),
    "page": ("MapSeries", "maps_page", "content_policy", "environment", "script_json"),
    "probing": ("probe_maps",),
    "terminal": ("print_maps",),
    "palette": ("series_color",),
}


def __getattr__(name: str) -> Any:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"attncompare.maps.{home}"), name)
