"""Quality by length: test items in buckets of source length (translation) or of text length (language models)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attncompare.compare.groups import Comparison
from attncompare.compare.page_styles import styles
from attncompare.compare.page_values import padded, shown
from attncompare.compare.statistics import ITEM_METRICS, Items, estimate, read_items
from attncompare.compare.statistics.chance import RESAMPLES
from attncompare.compare.statistics.items import resampled_sums
from attncompare.compare.statistics.scores import SCORES
from attncompare.text import METRICS, Metric

# What is shown by length; the first one first.
_METRICS = {"translation": ("bleu", "exact_match", "loss"), "language_model": ("loss", "bits_per_byte")}
_MOST_BUCKETS = 6
_FEWEST_ITEMS = 25  # in a bucket: below, its figures say little
_MOST_TRANSLATED = 40_000  # test sentences of all runs together; with more, BLEU would take too long for a page

Rows = Sequence[Mapping[str, Any]]
Figure = tuple[float, float | None, float | None]  # mean, low and high end


@dataclass(frozen=True)
class Buckets:
    """Items by length: ``labels`` such as "4–6", and the ids of each bucket's items."""

    labels: tuple[str, ...]
    items: tuple[frozenset[Hashable], ...]


def length_data(comparison: Comparison) -> dict[str, Any] | None:
    """Return the pictures of all figures by length; None where the records do not hold what it takes.

    Only metrics are shown that mean the same for all variants, and for which every run has the figures of the same test
    items. At an equal budget there are none: items were tested at the end of each run.
    """
    if comparison.budget is not None:
        return None
    runs = {
        run.path: {"losses": run.losses(), "predictions": _numbered(run.predictions())}
        for variant in comparison.ranked
        for run in variant.runs
    }
    unit, lengths = _lengths(comparison.task, next(iter(runs.values())))
    buckets = cut(lengths)
    if buckets is None:
        return None
    pictures = []
    for key in comparison.comparable(_METRICS[comparison.task]):
        if key == "bleu" and len(lengths) * len(runs) > _MOST_TRANSLATED:
            continue
        items = {path: read_items(key, rows[ITEM_METRICS[key]], "sentence") for path, rows in runs.items()}
        whole = {path: found for path, found in items.items() if found is not None and set(found.ids) == lengths.keys()}
        if len(whole) == len(runs):
            pictures.append(_picture(comparison, METRICS[key], whole, buckets))
    if not pictures:
        return None
    seeds = max(len(variant.runs) for variant in comparison.ranked)
    over = "over seeds" if seeds > 1 else f"over resampled items ({RESAMPLES} times)"
    note = f"Test items by {unit}, at least {_FEWEST_ITEMS} in a bucket. Bars: 95 % interval {over}."
    counts = [len(ids) for ids in buckets.items]
    return {"unit": unit, "labels": buckets.labels, "counts": counts, "pictures": pictures, "note": note}


def cut(lengths: Mapping[Hashable, int]) -> Buckets | None:
    """Return items in up to six buckets of about as many, at least 25 in each; None where there are too few for two."""
    values = np.sort(np.fromiter(lengths.values(), dtype=np.int64, count=len(lengths)))
    wanted = min(_MOST_BUCKETS, len(values) // _FEWEST_ITEMS)
    starts = sorted({int(values[len(values) * place // wanted]) for place in range(wanted)})
    kept: list[int] = []
    for start in starts:  # a bucket reaches to the next start, so its size is known once that is kept
        if not kept or np.count_nonzero((values >= kept[-1]) & (values < start)) >= _FEWEST_ITEMS:
            kept.append(start)
    if len(kept) > 1 and np.count_nonzero(values >= kept[-1]) < _FEWEST_ITEMS:
        kept.pop()
    if len(kept) < 2:
        return None
    spans = zip(kept, [*kept[1:], int(values[-1]) + 1], strict=True)
    items = [[one for one, length in lengths.items() if low <= length < end] for low, end in spans]
    return Buckets(tuple(_label([lengths[one] for one in ids]) for ids in items), tuple(map(frozenset, items)))


def _label(lengths: Sequence[int]) -> str:
    low, high = min(lengths), max(lengths)
    return str(low) if low == high else f"{low}–{high}"


def _numbered(rows: Rows) -> Rows:
    """Return ``rows`` if all say which test item they are, else none."""
    return rows if all(type(row.get("id")) is int for row in rows) else []


def _lengths(task: str, rows: Mapping[str, Rows]) -> tuple[str, dict[Hashable, int]]:
    """Return the unit of length and each item's: words of the source where most have several, else its characters."""
    if task == "language_model":
        unit = "bytes" if all("bytes" in row for row in rows["losses"]) else "tokens"
        return f"{unit} of the text", {row["id"]: row[unit] for row in rows["losses"]}
    sources = {row["id"]: str(row.get("source", "")) for row in rows["predictions"]}
    words = {number: len(source.split()) for number, source in sources.items()}
    if sum(count > 1 for count in words.values()) * 2 > len(words):
        return "words of the source", dict(words)
    return "characters of the source", {number: len(source) for number, source in sources.items()}


def _picture(comparison: Comparison, metric: Metric, items: Mapping[Any, Items], buckets: Buckets) -> dict[str, Any]:
    looks = styles(comparison)
    scale = 100 if metric.unit == "%" else 1
    lines: list[dict[str, Any]] = []
    for variant in comparison.ranked:
        look = looks[variant.label]
        figures = _figures([items[run.path] for run in variant.runs], buckets)
        mean, low, high = (
            [shown(None if end is None else scale * end) for end in ends] for ends in zip(*figures, strict=True)
        )
        lines.append(
            {
                "label": variant.label,
                "color": look.color,
                "dash": look.dash,
                "symbol": look.symbol,
                "mean": mean,
                "low": low,
                "high": high,
            }
        )
    # No figure can be negative, though the interval of a few seeds may reach there.
    ends = [
        max(0.0, end) for line in lines for name in ("mean", "low", "high") for end in line[name] if end is not None
    ]
    return {"key": metric.key, "title": metric.title, "axis": metric.describe(), "range": padded(ends), "lines": lines}


def _figures(seeds: Sequence[Items], buckets: Buckets) -> list[Figure]:
    """Return each bucket's figure with its interval: over the seeds, or of one seed over resampled items."""
    score = SCORES[seeds[0].metric]
    found: list[Figure] = []
    for ids in buckets.items:
        parts = [one.features_NF[[number in ids for number in one.ids]] for one in seeds]
        if len(parts) == 1:
            low, high = np.nanquantile(score(resampled_sums(parts[0])), (0.025, 0.975))
            found.append((float(score(parts[0].sum(0))), float(low), float(high)))
        else:
            over = estimate([float(score(part.sum(0))) for part in parts])
            found.append((over.mean, *((over.interval.low, over.interval.high) if over.interval else (None, None))))
    return found
