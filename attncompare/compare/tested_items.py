"""The test sentences and documents of a comparison: what two variants did on the same items, beside their seeds."""

from collections.abc import Sequence
from typing import Any

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.statistics import ITEM_METRICS, MOST_ITEMS, Items, SentenceTest, read_items, sentence_test
from attncompare.compare.statistics.results import Unit
from attncompare.config import TranslationConfig
from attncompare.errors import Refused
from attncompare.record import Run

_MOST_VARIANTS = 12  # with more, resampling every pair would take longer than anybody waits


class TestedItems:
    """Reads the items of each run once, and tests pairs of variants on them.

    Attributes:
        notes: why there are no such tests, or fewer.
    """

    __test__ = False  # pytest shall not take it for a test

    def __init__(self, comparison: Comparison) -> None:
        self.notes: list[str] = []
        self._missing: dict[str, list[Run]] = {}
        self._unit: Unit = "sentence" if comparison.task == "translation" else "document"
        self._items: dict[tuple[str, str], dict[int, Items]] = {}
        metrics = [key for key in comparison.tested if key in ITEM_METRICS and comparison.budget is None]
        if len(comparison.ranked) < 2 or not metrics:
            return
        if len(comparison.ranked) > _MOST_VARIANTS:
            self.notes.append(f"more than {_MOST_VARIANTS} variants: not tested over {self._unit}s")
            return
        for variant in comparison.ranked:
            self._read(variant, metrics)
        for part, runs in self._missing.items():
            more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
            lacking = f"{part}.jsonl does not hold the test set in {runs[0].path}{more}"
            self.notes.append(f"{lacking}: such variants are not tested over {self._unit}s")

    def test(self, first: Variant, second: Variant, metric: str) -> SentenceTest | None:
        """Return the test of ``first`` against ``second`` over test items, None where the records lack them."""
        pair = [self._items.get((variant.label, metric), {}) for variant in (first, second)]
        if not all(pair):
            return None
        try:
            return sentence_test(*pair)
        except Refused:
            note = f"{first.label} and {second.label} were tested on different {self._unit}s, so only over seeds"
            self.notes += [] if note in self.notes else [note]
            return None

    def _read(self, variant: Variant, metrics: Sequence[str]) -> None:
        rows: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for run in variant.runs:
            for part in dict.fromkeys(ITEM_METRICS[key] for key in metrics):
                rows[part, run.config.seed] = run.predictions() if part == "predictions" else run.losses()
        for key in metrics:
            part, found = ITEM_METRICS[key], {}
            if max(len(rows[part, seed]) for seed in variant.seeds) > MOST_ITEMS:
                note = f"more than {MOST_ITEMS:,} {self._unit}s in {part}.jsonl: not tested over them"
                self.notes += [] if note in self.notes else [note]
                continue
            for run in variant.runs:
                items = read_items(key, rows[part, run.config.seed], self._unit, **_cut(run))
                if items is not None:
                    found[run.config.seed] = items
                elif run not in self._missing.setdefault(part, []):
                    self._missing[part].append(run)
            if len(found) == len(variant.runs):  # else the variant would be judged by its other seeds
                self._items[variant.label, key] = found


def _cut(run: Run) -> dict[str, Any]:
    """Return how the BLEU of ``run`` cuts text."""
    task = run.config.task
    if not isinstance(task, TranslationConfig):
        return {}
    return {"tokenize": task.bleu_tokenize, "lowercase": task.bleu_lowercase}
