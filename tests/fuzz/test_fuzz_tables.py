"""Tables, groups and curves of any figures: never an exception, and every mean as exact arithmetic gives it."""

import json
import math
from fractions import Fraction

import pytest
from cases import cases
from hypothesis import strategies as st
from made_runs import made_run
from rich.cells import cell_len

from attncompare.compare import as_text, compare_groups
from attncompare.compare.page.charts import curve_figures, drawn_variants, thin
from attncompare.compare.table import TABLE_COSTS, result_table
from attncompare.config import CONF_DIR
from attncompare.tasks.metrics import Bleu, ChrF, ExactMatch, Loss, Perplexity, TokenAccuracy
from attncompare.text import COSTS

METRICS = {
    "translation": ("bleu", "chrf", "exact_match", "loss"),
    "language_model": ("loss", "bits_per_byte", "token_accuracy"),
}
WRITTEN = (Bleu, ChrF, ExactMatch, Loss, Perplexity, TokenAccuracy, *COSTS.values())
VARIANTS = sorted(file.stem for file in (CONF_DIR / "attention").glob("*.yaml"))
SPECIAL = (0.0, -0.0, 30.001, 30.002, 999.6, 1e21, 1.7e308, -1.7e308, math.inf, -math.inf, math.nan)
numbers = st.sampled_from(SPECIAL) | st.floats() | st.floats(0, 1)
figures = st.none() | numbers
# Names that begin alike, and settings that print alike.
names = st.sampled_from(("dot", "dot.", "dot-1", "scaled", "Scaled", "a" * 63, "0"))
changes = st.fixed_dictionaries(
    {},
    optional={
        "attention.name": names,
        "attention.heads": st.integers(1, 3),
        "attention.head_dim": st.none() | st.integers(1, 64),
        "attention.dropout": st.sampled_from((0.0, -0.0, 0.1, 0.1 + 1e-17, 1e-5, 1e-300)),
        "optimizer.lr": st.sampled_from((1.0, 1, 0.1, 1e-5)),
        "optimizer.betas": st.sampled_from(([0.9, 0.98], [0.9, 0.9])),
        "backbone.d_ff": st.integers(1, 2),
        "tags": st.sampled_from(([], ["x"])),
        "tracking.probes": st.integers(0, 1),
        "notes": st.sampled_from(("", "x")),
    },
)


@st.composite
def comparable_runs(draw):
    """Finished runs of one task."""
    task = draw(st.sampled_from(sorted(METRICS)))
    rows = st.lists(
        st.dictionaries(st.sampled_from(("train/loss", "val/loss", "val/token_accuracy", "val/bleu")), numbers),
        max_size=5,
    )
    count = draw(st.integers(1, 9))
    return [
        made_run(
            number,
            (f"task={task}", f"attention={draw(st.sampled_from(VARIANTS))}"),
            {"seed": draw(st.integers(0, 3)), **draw(changes)},
            test={key: draw(figures) for key in METRICS[task] if draw(st.integers(0, 9))},
            cost={key: draw(figures) for key in TABLE_COSTS if draw(st.integers(0, 9))},
            rows=[{"step": step, "epoch": 0, **row} for step, row in enumerate(draw(rows))],
        )
        for number in range(count)
    ]


def exact_mean(values):
    """Return the mean by fractions, rounded once; where a value is no number or infinite, as those add up."""
    if None in values:
        return None
    if all(map(math.isfinite, values)):
        return float(sum(map(Fraction, values)) / len(values))
    return sum(value for value in values if not math.isfinite(value))


def same(first, second):
    return first == second or (None not in (first, second) and math.isnan(first) and math.isnan(second))


@cases(quick=50, long=400, runs=comparable_runs())
def test_every_mean_is_exact_and_every_table_prints(runs):
    (comparison,) = compare_groups(runs, force=True)
    table = result_table(comparison)
    for row, variant in zip(table.rows, comparison.variants, strict=True):
        for column in table.columns:
            part = "cost" if column in COSTS else "test"
            expected = exact_mean([run.summary[part].get(column) for run in variant.runs])
            found = row.values[column]
            assert same(found, expected), f"{column}: {found}, exactly {expected}"
            assert table.cell(row, column)
    lines = as_text([comparison], 100).splitlines()
    assert "\x1b" not in "".join(lines) and len(lines) > len(runs) / 4


@cases(quick=50, long=400, runs=comparable_runs())
def test_the_best_are_no_worse_than_any_other_and_somebody_is_worse(runs):
    (comparison,) = compare_groups(runs, force=True)
    table = result_table(comparison)
    for column in table.columns:
        sign = 1 if table.columns[column].higher_is_better else -1
        ranked = [row for row in table.rows if row.ranked and row.values[column] is not None]
        rivals = [row for row in ranked if not math.isnan(row.values[column])]
        best = [row for row in table.rows if table.is_best(row, column)]
        shown = {table.cell(row, column) for row in rivals}
        assert bool(best) == (len(shown) > 1)
        if best:
            top = max(sign * row.values[column] for row in rivals)
            assert all(row in rivals for row in best)
            assert any(sign * row.values[column] == top for row in best)
            assert len({table.cell(row, column) for row in best}) == 1
            assert [row for row in rivals if table.cell(row, column) == table.cell(best[0], column)] == best


@cases(quick=50, long=400, runs=comparable_runs())
def test_no_run_is_lost_doubled_or_put_beside_another_model(runs):
    (comparison,) = compare_groups(runs, force=True)
    labels = [variant.label for variant in comparison.variants]
    assert len(set(labels)) == len(labels), labels
    kept = [run.path for variant in comparison.variants for run in variant.runs]
    left_out = [note.split()[0] for note in comparison.notes if note.endswith("is counted once")]
    assert sorted(map(str, kept + left_out)) == sorted(str(run.path) for run in runs)
    for variant in comparison.variants:
        assert list(variant.seeds) == sorted(set(variant.seeds))
        assert len({_without_seed(run) for run in variant.runs}) == 1
    identities = [_without_seed(variant.runs[0]) for variant in comparison.variants]
    for variant, identity in zip(comparison.variants, identities, strict=True):
        others = {v.label: v for v, i in zip(comparison.variants, identities, strict=True) if i == identity}
        if variant.same_as:
            assert variant.same_as != variant.label and set(others[variant.same_as].seeds) & set(variant.seeds)
        plain = [v for v in others.values() if not v.same_as]
        seeds = [seed for v in plain for seed in v.seeds]
        assert plain and len(set(seeds)) == len(seeds)  # each seed of a model is ranked once


def _without_seed(run):
    return run.config.model_copy(update={"seed": 0}).model_identity()


@cases(quick=30, long=400, runs=comparable_runs())
def test_curves_are_plain_json_without_what_is_no_number(runs):
    (comparison,) = compare_groups(runs, force=True)
    json.dumps(curve_figures(drawn_variants(comparison), comparison.drawn), allow_nan=False)


@cases(quick=100, long=5_000, values=st.lists(numbers, min_size=1, max_size=40), times=st.integers(1, 90))
def test_thinned_curves_keep_their_ends_and_order(values, times):
    points = list(enumerate(values * times))
    kept = thin(points)
    assert kept[0] is points[0] and kept[-1] is points[-1]
    assert len(kept) <= 601 and [step for step, _ in kept] == sorted({step for step, _ in kept})
    assert len(points) > 600 or kept == points


@cases(quick=300, long=20_000, value=numbers, metric=st.sampled_from(WRITTEN))
def test_every_figure_is_written_in_a_few_characters(value, metric):
    text = metric.format(value)
    assert text == text.strip() and "\n" not in text
    if abs(value) < 1e21 and metric in (COSTS["parameters"], COSTS["peak_memory_bytes"]):
        assert cell_len(text) <= len("-1.23 M") + 1, text


@pytest.mark.parametrize(
    "values", [[1.7e308, 1.7e308], [math.inf, -math.inf], [math.nan, 1.0], [1.0, 2.0], [None, 1.0]]
)
def test_the_means_that_the_table_is_held_to(values):
    expected = [1.7e308, math.nan, math.nan, 1.5, None]
    index = [[1.7e308] * 2, [math.inf, -math.inf], [math.nan, 1.0], [1.0, 2.0], [None, 1.0]]
    assert same(exact_mean(values), next(e for e, i in zip(expected, index, strict=True) if repr(i) == repr(values)))
