"""Resamples of many items: the same draws as all at once, in little memory, and none beyond reason."""

import tracemalloc

import numpy as np
import pytest

from attncompare.compare.groups import compare_groups
from attncompare.compare.options import Options
from attncompare.compare.statistics import MOST_ITEMS, read_items
from attncompare.compare.statistics.chance import RESAMPLES, generator
from attncompare.compare.statistics.items import resampled_sums
from attncompare.compare.verdicts import verdict_notes, verdicts


def losses(count):
    return [{"id": i, "nats": 1.0 + i % 7, "tokens": 3 + i % 5} for i in range(count)]


@pytest.mark.parametrize("count", [30, 3000])
def test_blocks_draw_what_one_matrix_would(count):
    items = read_items("loss", losses(count), "document")
    random = generator()
    drawn_RN = random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    halves_RN = random.integers(0, 2, size=(RESAMPLES, count))
    assert items.resampled == pytest.approx(drawn_RN @ items.features_NF)
    assert items.halves == pytest.approx(halves_RN @ items.features_NF)
    assert resampled_sums(items.features_NF) == pytest.approx(drawn_RN @ items.features_NF)


def test_as_many_items_as_there_may_be_fit_into_300_megabytes():
    items = read_items("loss", losses(MOST_ITEMS), "document")
    tracemalloc.start()
    assert items.resampled.shape == items.halves.shape == (RESAMPLES, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6


def test_with_more_items_there_is_no_such_test_and_a_note(make_run):
    runs = [
        make_run(name, "task=language_model", f"attention={name}", losses=losses(MOST_ITEMS + 1))
        for name in ("dot", "scaled")
    ]
    (comparison,) = compare_groups(runs, options=Options(metric="loss"))
    (verdict,) = verdicts(comparison)
    assert verdict.difference.sentences is None
    assert verdict_notes(comparison) == ("more than 20,000 documents in losses.jsonl: not tested over them",)
