"""Every test of a comparison in numbers: what stands behind the verdict sentences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from attncompare.compare.verdicts import Verdict

_COLUMNS = (
    *("pair", "metric", "difference", "95 % interval", "pairs of seeds", "p", "smallest p", "corrected", "Holm"),
    *("effect", "P(first better)", "items p"),
)


@dataclass(frozen=True)
class Numbers:
    """A table as text: headings and rows of cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def numbers_table(found: Sequence[Verdict]) -> Numbers | None:
    """Return one row for each verdict; None where there is none."""
    return Numbers(_COLUMNS, tuple(map(_row, found))) if found else None


def _row(verdict: Verdict) -> tuple[str, ...]:
    found = verdict.difference
    write = verdict.metric.format
    interval = f"[{write(found.interval.low)}, {write(found.interval.high)}]" if found.interval else "–"
    return (
        f"{verdict.first.label} – {verdict.second.label}",
        verdict.metric.title,
        write(found.mean),
        interval,
        str(found.n) if found.paired else f"{found.n}, not paired",
        _number(found.p),
        _number(found.smallest_p),
        _number(found.p_family),
        _number(found.p_holm),
        _number(found.effect_size),
        _number(found.probability_of_improvement),
        f"{_number(found.sentences.p)} ({found.sentences.units} {found.sentences.unit}s)" if found.sentences else "–",
    )


def _number(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.3g}"
