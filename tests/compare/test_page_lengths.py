import json
from types import SimpleNamespace

import pytest
import sacrebleu

from attncompare.compare.groups import Variant
from attncompare.compare.page_lengths import cut, length_data

SHORT, LONG = "one two", "one two three four five"


def comparison_of(task, seeds, predictions=(), losses=()):
    """Return one variant; ``predictions`` and ``losses`` are rows of each seed."""

    def run(seed):
        rows = {"predictions": predictions[seed] if predictions else [], "losses": losses[seed] if losses else []}
        return SimpleNamespace(path=seed, losses=lambda: rows["losses"], predictions=lambda: rows["predictions"])

    variant = Variant("dot", tuple(run(seed) for seed in range(seeds)), "#0072b2", None)
    return SimpleNamespace(task=task, variants=(variant,), ranked=(variant,), budget=None, comparable=tuple)


def translated(right_of_long):
    """Return 60 short sentences, all right, and 40 long ones of which the first ``right_of_long`` are."""
    rows = [{"id": n, "source": SHORT, "reference": "a b c d e", "prediction": "a b c d e"} for n in range(60)]
    for n in range(60, 100):
        given = "a b c d e" if n < 60 + right_of_long else "x a b c d e"
        rows.append({"id": n, "source": LONG, "reference": "a b c d e", "prediction": given})
    return rows


def test_buckets_hold_every_item_once_and_enough_each():
    lengths = dict(enumerate([1] * 40 + [2] * 10 + [3] * 30 + [4, 5, 6, 9] * 10 + [50]))
    found = cut(lengths)
    assert sorted(one for bucket in found.items for one in bucket) == sorted(lengths)
    assert all(len(bucket) >= 25 for bucket in found.items) and len(found.labels) == len(found.items) <= 6
    assert found.labels[0] in ("1", "1–2") and found.labels[-1].endswith("–50")


@pytest.mark.parametrize("lengths", [{}, {0: 3}, dict.fromkeys(range(1000), 7), dict(enumerate(range(30)))])
def test_too_few_items_or_one_length_give_no_buckets(lengths):
    assert cut(lengths) is None


def test_exact_match_bleu_and_loss_by_words_of_the_source():
    rows = translated(10)
    losses = [{"id": n, "nats": 2.0 if n < 60 else 6.0, "tokens": 2} for n in range(100)]
    data = length_data(comparison_of("translation", 1, [rows], [losses]))
    pictures = {picture["key"]: picture["lines"][0]["mean"] for picture in data["pictures"]}
    assert (data["unit"], data["labels"], data["counts"]) == ("words of the source", ("2", "5"), [60, 40])
    assert pictures["exact_match"] == [100, 25] and pictures["loss"] == [1, 3]
    long = [row["prediction"] for row in rows[60:]]
    bleu = sacrebleu.corpus_bleu(long, [["a b c d e"] * 40]).score
    assert pictures["bleu"] == [100, pytest.approx(bleu, rel=1e-4)]
    json.dumps(data, allow_nan=False)


def test_one_seed_has_an_interval_over_items_and_several_over_seeds():
    (line,) = length_data(comparison_of("translation", 1, [translated(10)]))["pictures"][1]["lines"]
    assert line["low"][0] == line["high"][0] == 100  # every item is right, in each resample
    assert 8 < line["low"][1] < 25 < line["high"][1] < 42  # 25 % of 40 items, by the binomial
    seeds = [translated(right) for right in (8, 10, 12)]
    data = length_data(comparison_of("translation", 3, seeds))
    (line,) = data["pictures"][1]["lines"]
    assert line["mean"][1] == 25 and line["low"][1] == pytest.approx(25 - 4.3027 * 5 / 3**0.5, abs=0.01)
    assert "over seeds" in data["note"]


def test_sources_of_one_word_are_measured_in_characters():
    rows = [{"id": n, "source": "a" * (3 + n % 4), "reference": "x", "prediction": "x"} for n in range(200)]
    assert length_data(comparison_of("translation", 1, [rows]))["unit"] == "characters of the source"


def test_language_models_go_by_the_length_of_the_document():
    losses = [{"id": n, "nats": 10.0, "tokens": 5, "bytes": 10 if n < 50 else 20} for n in range(100)]
    data = length_data(comparison_of("language_model", 1, losses=[losses]))
    pictures = {picture["key"]: picture["lines"][0]["mean"] for picture in data["pictures"]}
    assert data["unit"] == "bytes of the text" and data["labels"] == ("10", "20")
    assert pictures["loss"] == [2, 2] and pictures["bits_per_byte"] == pytest.approx([1.4427, 0.72135], rel=1e-4)


@pytest.mark.parametrize(
    "spoiled",
    [[], translated(10)[:80], [{**row, "id": [row["id"]]} for row in translated(10)], [{"source": SHORT}] * 100],
    ids=["no-predictions", "other-items", "ids-that-are-lists", "no-ids"],
)
def test_runs_without_the_same_items_have_no_picture(spoiled):
    assert length_data(comparison_of("translation", 2, [translated(10), spoiled])) is None
