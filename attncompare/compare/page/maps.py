"""The attention maps that a page holds: of each variant's first seed, as many steps and sentences as its size allows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attncompare.compare.groups import Comparison
from attncompare.maps.maps import ProbeMaps, maps_from
from attncompare.maps.page import MapSeries, viewer_data
from attncompare.record import Run

BYTES = 4_000_000
"""Bytes of all maps on one page, as base64."""
# Steps and sentences: the first choice that fits is taken.
_CHOICES = ((12, 4), (9, 4), (7, 4), (6, 3), (5, 3), (4, 3), (4, 2), (3, 1), (1, 1))

Steps = list[tuple[int, list[ProbeMaps]]]


def page_maps(comparison: Comparison, most_bytes: int = BYTES) -> tuple[dict[str, Any], str]:
    """Return the maps of ``comparison`` that fit into ``most_bytes``, for the viewer, and what of the records they are not.

    Raises:
        Refused: if a run's maps are damaged.
    """
    files = {variant.label: variant.runs[0].map_files() for variant in comparison.variants}
    last = {variant.label: _read(variant.runs[0], files[variant.label][-1:]) for variant in comparison.variants}

    def size(label: str, steps: int, probes: int) -> int:
        """Return about how many bytes a variant needs: one for each weight, a third more as base64."""
        sites = [site for _, probed in last[label] for probe in probed[:probes] for site in probe.sites]
        return sum(4 * site.weights_LHTS.size // 3 + 400 for site in sites) * min(steps, len(files[label]))

    fitting = (choice for choice in _CHOICES if sum(size(label, *choice) for label in files) <= most_bytes)
    steps, probes = next(fitting, _CHOICES[-1])
    series, left_out, used = [], [], 0
    for variant in comparison.variants:
        used += size(variant.label, steps, probes)
        if used > most_bytes:
            left_out.append(variant.label)
            continue
        own = files[variant.label]
        read = _read(variant.runs[0], [own[place] for place in evenly(len(own), steps)])
        label = variant.title if len(variant.seeds) == 1 else f"{variant.title} (seed {variant.seeds[0]})"
        series.append(MapSeries(label, [(step, probed[:probes]) for step, probed in read], variant.color))
    most = max(map(len, files.values()), default=0)
    parts = ["Shown is the first seed of each variant"] if any(len(v.runs) > 1 for v in comparison.variants) else []
    parts += [f"{steps} of {most} validation steps"] if most > steps else []
    parts += [f"at most {probes} sentences"] if (steps, probes) != _CHOICES[0] else []
    parts += [f"the maps of {', '.join(left_out)} are left out to keep the file small"] if left_out else []
    note = f"{'; '.join(parts)}. All maps of a run are in its folder, maps/index.html." if parts else ""
    return viewer_data(series), note


def evenly(count: int, most: int) -> list[int]:
    """Return at most ``most`` of the places 0 .. count - 1, the first and the last among them; the last if only one."""
    if count <= most:
        return list(range(count))
    return sorted({round(place * (count - 1) / (most - 1)) for place in range(most)}) if most > 1 else [count - 1]


def _read(run: Run, files: Sequence[Path]) -> Steps:
    return sorted((maps_from(run.read(f"maps/{file.name}"), file) for file in files), key=lambda pair: pair[0])
