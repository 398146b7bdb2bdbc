"""The records behind a page: attention maps, answers to test items, what differs between configs, how to repeat a run."""

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from attncompare.compare.groups import Comparison, Variant
from attncompare.config.plain_values import flatten
from attncompare.maps.maps import ProbeMaps, maps_from
from attncompare.maps.page import MapSeries, viewer_data
from attncompare.record import Run

BYTES = 4_000_000
"""Bytes of all maps on one page, as base64."""
# Steps and sentences: the first choice that fits is taken.
_CHOICES = ((12, 4), (9, 4), (7, 4), (6, 3), (5, 3), (4, 3), (4, 2), (3, 1), (1, 1))
_MOST_SAMPLES = 12
_LONGEST = 400  # characters of a text on the page; more is cut, and the cut is marked


def page_maps(comparison: Comparison, most_bytes: int = BYTES) -> tuple[dict[str, Any], str]:
    """Return the maps of each variant's first seed that fit into ``most_bytes``, for the viewer, and what is left out."""
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


def _read(run: Run, files: Sequence[Path]) -> list[tuple[int, list[ProbeMaps]]]:
    return sorted((maps_from(run.read(f"maps/{file.name}"), file) for file in files), key=lambda pair: pair[0])


@dataclass(frozen=True)
class Sample:
    """One test item: what was given, and each variant's answer (None: not in its record), whether it is a reference."""

    given: dict[str, str]
    answers: tuple[tuple[Variant, str | None, bool], ...]


def samples(comparison: Comparison) -> list[Sample]:
    """Return test items with the answers of every variant's first seed.

    Of each row of ``predictions.jsonl`` the last text is the answer; those before it were given. Those items come first on
    which variants disagree, and among them those that some get right: they tell variants apart.
    """
    rows = [_answers(variant.runs[0]) for variant in comparison.ranked]
    found = []
    for number in dict.fromkeys(number for by_id in rows for number in by_id):
        given = next(by_id[number][0] for by_id in rows if number in by_id)
        right = {text for key, text in given.items() if key.startswith("reference")}
        found.append((given, [by_id[number][1] if number in by_id else None for by_id in rows], right))
    found.sort(key=lambda item: (len(set(item[1])) == 1, item[2].isdisjoint(item[1])))
    return [
        Sample(
            {key: _cut(text) for key, text in given.items()},
            tuple(
                (variant, None if text is None else _cut(text), text in right)
                for variant, text in zip(comparison.ranked, texts, strict=True)
            ),
        )
        for given, texts, right in found[:_MOST_SAMPLES]
    ]


def _answers(run: Run) -> dict[str, tuple[dict[str, str], str]]:
    """Return by id what was given and what was answered."""
    found = {}
    for row in run.predictions():
        texts = [(key, text) for key, text in row.items() if isinstance(text, str)]
        if texts:
            found[str(row.get("id"))] = (dict(texts[:-1]), texts[-1][1])
    return found


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def record(comparison: Comparison) -> dict[str, Any]:
    """Return the facts of all runs, the settings in which the variants differ, and config and environment of the first."""
    runs = [
        {
            "variant": variant,
            "seed": run.config.seed,
            "reproduces": run.reproduces,
            "command": f"attncompare reproduce {_readable(run.path)}",
            "hash": run.config.hash()[:6],
            "data": str(run.summary["data"]["fingerprint"])[:12],
        }
        for variant in comparison.variants
        for run in variant.runs
    ]
    first = comparison.variants[0].runs[0]
    settings = [{**flatten(one.runs[0].config.settings()), "seed": None} for one in comparison.variants]
    table = {
        key: [json.dumps(one[key], ensure_ascii=False).strip('"') if key in one else "–" for one in settings]
        for key in dict.fromkeys(key for one in settings for key in one)
    }
    return {
        "runs": runs,
        "columns": [variant.label for variant in comparison.variants],
        "differences": {key: values for key, values in table.items() if len(set(values)) > 1},
        "config": yaml.safe_dump(first.config.to_dict(), sort_keys=False, allow_unicode=True),
        "environment": yaml.safe_dump(first.environment(), sort_keys=False, allow_unicode=True),
    }


def _readable(path: Path) -> str:
    """Return ``path`` as a command in the current folder would name it, quoted: such lines are copied into shells."""
    relative = os.path.relpath(path)
    return shlex.quote(str(path) if relative.startswith("..") else relative)
