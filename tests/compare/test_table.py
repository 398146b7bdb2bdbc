import math

import pytest
from rich.cells import cell_len

from attncompare.compare import as_text, compare_groups
from attncompare.compare.table import result_table

TASKS = ("translation", "language_model")


def table_of(runs):
    (comparison,) = compare_groups(runs)
    return result_table(comparison)


def best(table, key):
    return [row.variant.label for row in table.rows if table.is_best(row, key)]


def test_figures_are_means_over_seeds(make_run):
    scores = {1: 30.0, 2: 33.0}
    table = table_of([make_run(f"s{seed}", f"seed={seed}", test={"bleu": bleu}) for seed, bleu in scores.items()])
    assert table.rows[0].values["bleu"] == 31.5
    assert "mean ± standard deviation over 2 seeds (1, 2)" in table.caption and "nrefs:1|tok:13a" in table.caption


NOISE = {1: 0.1, 2: -0.2, 3: 0.3, 4: 0.0, 5: 0.2, 6: -0.1}


def sweep_of(make_run, figures, task="translation", **facts):
    """Write six runs of each variant, whose test figures lie around those given."""
    return [
        make_run(
            f"{name}{seed}",
            *(f"task={task}", f"attention={name}", f"seed={seed}"),
            test={metric: figure * (1 + noise * (1 + place) / 100) for metric, figure in own.items()},
            **{
                key: {name_: value + noise * 10 for name_, value in of.get(name, {}).items()}
                for key, of in facts.items()
            },
        )
        for place, (name, own) in enumerate(figures.items())
        for seed, noise in NOISE.items()
    ]


@pytest.mark.parametrize("order", [("additive", "dot", "scaled"), ("scaled", "dot", "additive")])
def test_nan_is_never_the_best_and_hides_no_other(make_run, order):
    losses = {"additive": math.nan, "dot": 1.0, "scaled": 2.0}
    table = table_of(sweep_of(make_run, {name: {"loss": losses[name]} for name in order}))
    assert best(table, "loss") == ["dot"]


def test_best_follows_the_direction_of_each_metric_and_costs_the_noise(make_run):
    quality = {"additive": {"bleu": 40.0, "loss": 1.0}, "dot": {"bleu": 20.0, "loss": 3.0}}
    speeds = {
        "additive": {"tokens_per_second": 100.0, "peak_memory_bytes": 500.0},
        "dot": {"tokens_per_second": 200.0, "peak_memory_bytes": 501.0},
    }
    table = table_of(sweep_of(make_run, quality, cost=speeds))
    assert best(table, "bleu") == best(table, "loss") == ["additive"]
    assert best(table, "tokens_per_second") == ["dot"]
    assert best(table, "peak_memory_bytes") == []  # one in five hundred apart, and ten times the noise
    assert best(table, "parameters") == []  # all equal: nothing to rank


def test_all_that_are_not_decided_to_be_worse_are_best_and_one_seed_ranks_none(make_run):
    figures = {"additive": {"bleu": 30.01}, "dot": {"bleu": 30.02}, "scaled": {"bleu": 20.0}}
    runs = sweep_of(make_run, figures)
    assert best(table_of(runs), "bleu") == ["additive", "dot"]
    assert best(table_of([run for run in runs if run.config.seed == 1]), "bleu") == []


def test_models_that_are_the_same_cost_the_same(make_run):
    runs = [
        make_run(
            name + str(seed),
            "task=language_model",
            f"attention={name}",
            f"seed={seed}",
            cost={"tokens_per_second": speed},
        )
        for name, speeds in (("scaled", (10, 20)), ("causal", (40, 50)), ("dot", (1, 2)))
        for seed, speed in enumerate(speeds)
    ]
    values = {row.variant.label: row.values["tokens_per_second"] for row in table_of(runs).rows}
    assert values == {"scaled": 30, "causal": 30, "dot": 1.5}


def test_costs_of_unequal_machines_are_said_and_not_ranked(make_run):
    speeds = {"additive": {"tokens_per_second": 100.0}, "dot": {"tokens_per_second": 200.0}}
    runs = sweep_of(make_run, {name: {"bleu": 30.0} for name in speeds}, cost=speeds)
    other = make_run("dot9", "attention=dot", "seed=9", environment={"threads": 9, "cpu": "another"})
    first = make_run("dot8", "attention=dot", "seed=8", environment={"threads": 1, "cpu": "one"})
    table = table_of([*runs, first, other])
    assert best(table, "tokens_per_second") == []
    assert any("threads 1 or 9" in note or "threads 9 or 1" in note for note in table.notes)
    loads = {"additive": 0.1, "dot": 3.0}
    busy = [
        make_run(
            f"busy{name}{seed}", f"attention={name}", f"seed={seed}", cost=speeds[name], environment={"load": load}
        )
        for name, load in loads.items()
        for seed in (1, 2)
    ]
    assert any("not equally busy" in note for note in table_of(busy).notes)


def test_a_missing_figure_is_a_dash_and_no_winner(make_run):
    runs = [make_run("a", cost={"peak_memory_bytes": None}), make_run("b", "attention=dot")]
    table = table_of(runs)
    assert table.cell(table.rows[0], "peak_memory_bytes") == "–" and best(table, "peak_memory_bytes") == []


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("width", [80, 100])
def test_the_table_is_not_torn(make_run, task, width):
    names = ("additive", "dot", "scaled", "causal", "multihead")
    text = as_text(compare_groups([make_run(name, f"task={task}", f"attention={name}") for name in names]), width)
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= width and "\x1b" not in text
    for name in names:
        (row,) = [line for line in lines if line.startswith(name)]
        assert row.endswith("312 MB") and "1.23 M" in row and "7.60 M" in row


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("width", [80, 120])
def test_mean_spread_and_number_of_seeds_fit_the_terminal(make_run, task, width):
    figures = {"additive": (30.0, 31.0), "dot": (20.0, 24.0), "scaled": (30.5, 30.5)}
    runs = [
        make_run(
            f"{name}{seed}", f"task={task}", f"attention={name}", f"seed={seed}", test={"bleu": bleu, "loss": bleu}
        )
        for name, both in figures.items()
        for seed, bleu in enumerate(both, 1)
    ]
    text = as_text(compare_groups(runs), width)
    assert max(map(cell_len, text.splitlines())) <= width
    key = "BLEU" if task == "translation" else "loss"
    assert key in text and "mean ± standard deviation" in text
    for spread in ("±0.7", "±2.8", "±0.0"):
        assert spread in text
    (row,) = [line for line in text.splitlines() if line.startswith("dot ")]
    assert row.split()[1:3] == ["2", "1"]  # seeds, heads


def test_one_seed_has_no_spread(make_run):
    text = as_text(compare_groups([make_run("a"), make_run("b", "attention=dot")]), 80)
    assert "±" not in text and "variant heads" in text.replace("   ", " ").replace("  ", " ")


def test_many_verdicts_are_cut_in_the_terminal(make_run):
    names = ("additive", "dot", "scaled", "causal", "multihead")
    runs = [make_run(f"{name}{seed}", f"attention={name}", f"seed={seed}") for name in names for seed in (1, 2)]
    lines = as_text(compare_groups(runs), 200).splitlines()
    assert sum(line.startswith(("○", "●")) for line in lines) == 10
    assert "… and 30 more on the page, none of them decided." in lines


def test_an_identical_model_is_not_ranked(make_run):
    losses = {"scaled": {"loss": 1.0}, "causal": {"loss": 1.0}, "dot": {"loss": 2.0}}
    runs = sweep_of(make_run, losses, task="language_model")
    assert best(table_of(runs), "loss") == ["scaled"]
    assert best(table_of(runs[:12]), "loss") == []  # one model has no rank


@pytest.mark.parametrize("seeds", [1, 2])
def test_no_label_or_figure_is_broken_at_any_width_and_what_is_left_out_is_said(make_run, seeds):
    labels = [f"multihead heads={heads} vocab_size={size}" for heads in (3, 12) for size in (400, 8000)]
    runs = [
        make_run(
            f"{heads}-{size}-{seed}",
            *("attention=multihead", f"attention.heads={heads}", f"data.tokenizer.vocab_size={size}", f"seed={seed}"),
            test={"bleu": 10.0 * seed + heads},
        )
        for heads in (3, 12)
        for size in (400, 8000)
        for seed in range(1, seeds + 1)
    ]
    (comparison,) = compare_groups(runs, force=True)
    table = result_table(comparison)
    metrics = [metric.title for metric in comparison.shown]
    before = len(table.columns) + 2
    for width in (40, 60, 80, 100, 120, 200):
        text = as_text([comparison], width)
        rows = text.partition("Test set of")[0].splitlines()
        assert max(map(cell_len, rows)) <= width
        told = " ".join(" ".join(rows).partition("Left out for lack of room: ")[2].split())
        for label, row in zip(labels, table.rows, strict=True):
            assert row.variant.label == label
            (line,) = [line for line in rows if line.startswith(f"{label} ")]
            figures = [table.cell(row, name) for name in table.columns if table.columns[name].title not in told]
            assert figures[0] == table.cell(row, "bleu")
            assert all(figure in line for figure in figures)
        left_out = told.partition(". A wider terminal")[0].split(", ") if told else []
        assert len(left_out) <= before, "a wider terminal shows no less"
        before = len(left_out)
        # Costs first, then the least important metric.
        if any(title in left_out for title in metrics):
            assert all(
                column.title in left_out for name, column in table.columns.items() if column.title not in metrics
            )
            kept = [title for title in metrics if title not in left_out]
            assert kept == metrics[: len(kept)] and kept
    assert not left_out and (seeds == 1) == ("±" not in text)


def test_a_label_wider_than_the_terminal_is_broken_between_settings_alone(make_run):
    settings = ("attention.heads=12", "attention.head_dim=16", "attention.dropout=0.125")
    runs = [make_run("a", "attention=multihead", *settings), make_run("b", "attention=dot")]
    text = as_text(compare_groups(runs), 30)
    for word in ("multihead", "heads=12", "head_dim=16", "dropout=0.125", "30.00"):
        assert f"{word} " in text or f"{word}\n" in text


def test_what_needs_no_model_stands_below_the_figures_of_test(make_run):
    run = make_run("one")
    assert "without a model" not in table_of([run]).caption.lower()
    run.summary["baselines"] = {"copy": {"bleu": 12.345, "ter": 50.0}, "empty": {"bleu": 0.0}}
    caption = table_of([run]).caption
    assert "copy: BLEU 12.35" in caption or "copy: BLEU 12.34" in caption
    assert "empty: BLEU 0.00" in caption and "TER" not in caption  # which tables do not show
