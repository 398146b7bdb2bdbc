"""The attention maps that a page holds: of each variant's first seed, as many steps and sentences as its size allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attncompare.compare.groups import Comparison, Variant
from attncompare.maps.maps import SITE_TITLES, ProbeMaps, head_numbers, maps_from
from attncompare.maps.page import MapSeries, viewer_data
from attncompare.record import Run

BYTES = 4_000_000
"""Bytes of all maps on one page, as base64."""
_CHOICES = (
    (12, 4),
    (9, 4),
    (7, 4),
    (6, 3),
    (5, 3),
    (4, 3),
    (4, 2),
    (3, 1),
    (1, 1),
)  # steps and sentences, the first that fits
_NUMBERS = ("entropy", "distance", "largest", "aer")

Steps = list[tuple[int, list[ProbeMaps]]]


@dataclass(frozen=True)
class PageMaps:
    """What the viewer shows, what the heads' table shows, and in words what of the records is not on the page."""

    viewer: dict[str, Any]
    heads: dict[str, Any] | None
    note: str


def page_maps(comparison: Comparison, most_bytes: int = BYTES) -> PageMaps:
    """Choose the maps of ``comparison`` that fit into ``most_bytes`` of a page.

    Raises:
        Refused: if a run's maps are damaged.
    """
    last = {variant.label: _read(variant.runs[0], variant.runs[0].map_files()[-1:]) for variant in comparison.variants}
    steps, probes = _choose(comparison.variants, last, most_bytes)
    series, left_out, used = [], [], 0
    for variant in comparison.variants:
        used += _bytes(variant, last[variant.label], steps, probes)
        if used > most_bytes:
            left_out.append(variant.label)
        else:
            series.append(_series(variant, _thinned(variant.runs[0], steps, probes)))
    return PageMaps(viewer_data(series), _heads(comparison, last), _note(comparison, steps, probes, left_out))


def evenly(count: int, most: int) -> list[int]:
    """Return at most ``most`` of the places 0 .. count - 1, the first and the last among them; the last if only one."""
    if count <= most:
        return list(range(count))
    return sorted({round(place * (count - 1) / (most - 1)) for place in range(most)}) if most > 1 else [count - 1]


def _choose(variants: Sequence[Variant], last: dict[str, Steps], most_bytes: int) -> tuple[int, int]:
    """Return how many steps and sentences of each variant fit, the smallest choice if none does."""
    for steps, probes in _CHOICES:
        if sum(_bytes(variant, last[variant.label], steps, probes) for variant in variants) <= most_bytes:
            return steps, probes
    return _CHOICES[-1]


def _bytes(variant: Variant, last: Steps, steps: int, probes: int) -> int:
    """Return about how many bytes the page needs for a variant: one for each weight, a third more as base64."""
    sites = [site for _, kept in last for probe in kept[:probes] for site in probe.sites]
    one = sum(4 * site.weights_LHTS.size // 3 + 400 for site in sites)
    return one * min(steps, len(variant.runs[0].map_files()))


def _thinned(run: Run, steps: int, probes: int) -> Steps:
    files = run.map_files()
    kept = _read(run, [files[place] for place in evenly(len(files), steps)])
    return [(step, found[:probes]) for step, found in kept]


def _read(run: Run, files: Sequence[Any]) -> Steps:
    return sorted((maps_from(run.read(f"maps/{file.name}"), file) for file in files), key=lambda pair: pair[0])


def _series(variant: Variant, steps: Steps) -> MapSeries:
    label = variant.title if len(variant.seeds) == 1 else f"{variant.title} (seed {variant.seeds[0]})"
    return MapSeries(label, steps, variant.color)


def _heads(comparison: Comparison, last: dict[str, Steps]) -> dict[str, Any] | None:
    """Return the numbers of every head after the last step kept, as means over its sentences, for each site.

    Each number is a table of layers by heads, or None where no sentence has it.
    """
    series = []
    for variant in comparison.variants:
        if variant.same_as is None and last[variant.label]:
            ((step, probes),) = last[variant.label]
            sites = {
                site: _tables(site, probes)
                for site in SITE_TITLES
                if any(s.site == site for p in probes for s in p.sites)
            }
            about = f"seed {variant.seeds[0]}, step {step}"
            series.append({"label": variant.label, "color": variant.color, "about": about, "sites": sites})
    return {"siteTitles": SITE_TITLES, "series": series} if series else None


def _tables(site: str, probes: Sequence[ProbeMaps]) -> dict[str, list[list[float | None]]]:
    maps = [found for probe in probes for found in probe.sites if found.site == site]
    layers, heads = maps[0].layers, maps[0].heads
    numbers = [head_numbers(one) for one in maps if (one.layers, one.heads) == (layers, heads)]
    return {
        name: [
            [_mean([getattr(one[layer * heads + head], name) for one in numbers]) for head in range(heads)]
            for layer in range(layers)
        ]
        for name in _NUMBERS
    }


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return round(sum(present) / len(present), 4) if present else None


def _note(comparison: Comparison, steps: int, probes: int, left_out: Sequence[str]) -> str:
    """Return what of the records' maps the page shows."""
    runs = [variant.runs[0] for variant in comparison.variants]
    most = max((len(run.map_files()) for run in runs), default=0)
    parts = ["Shown is the first seed of each variant"] if any(len(v.runs) > 1 for v in comparison.variants) else []
    if most > steps:
        parts.append(f"{steps} of {most} validation steps")
    parts += [f"at most {probes} sentences"] if (steps, probes) != _CHOICES[0] else []
    parts += [f"the maps of {', '.join(left_out)} are left out to keep the file small"] if left_out else []
    return f"{'; '.join(parts)}. All maps of a run are in its folder, maps/index.html." if parts else ""
