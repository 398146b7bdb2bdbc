"""Beam search against what it must equal: greedy search, all sequences there are, the whole model, and itself in a batch."""

import dataclasses
import itertools

import pytest
from translators import Recomputing, log_probability, translator
from variants import SEVERAL

from attncompare.data.tokenizer import BOS, EOS, PAD
from attncompare.decoding import beam_search, greedy, length_penalty_of, search, translate_all, translate_batch
from attncompare.decoding.search import batches_by_length
from attncompare.errors import Refused

EACH_VARIANT = pytest.mark.parametrize("variant", SEVERAL)
POSITIONS = pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
HEADS = pytest.mark.parametrize("heads", [1, 2])
LENGTH = 10
SPECIAL = {"bos": BOS, "eos": EOS}


def searched(model, source_BS, **options):
    return beam_search(model, source_BS, **{**SPECIAL, "max_length": LENGTH, "beam": 4, "n_best": 3, **options})


def ids_of(found):
    return [[hypothesis.ids for hypothesis in hypotheses] for hypotheses in found]


@pytest.fixture
def sources(tokens):
    source_BS = tokens(6, 9)
    source_BS[1, 4:] = source_BS[4, 7:] = PAD
    return source_BS


@EACH_VARIANT
@POSITIONS
@HEADS
def test_with_the_cache_as_by_reading_everything_again(variant, positions, heads, size, sources, monkeypatch):
    model = translator(variant, dataclasses.replace(size, positions=positions), heads)
    for eos in (-1, EOS, 7):
        found = searched(model, sources, eos=eos)
        monkeypatch.setattr(search, "TranslationSteps", Recomputing)
        assert ids_of(searched(model, sources, eos=eos)) == ids_of(found)
        monkeypatch.undo()


@EACH_VARIANT
@POSITIONS
def test_a_beam_of_one_is_greedy_search(variant, positions, size, sources):
    model = translator(variant, dataclasses.replace(size, positions=positions))
    endless_BT = greedy(model, sources, BOS, -1, LENGTH)
    for eos in (EOS, *endless_BT[:, 2].unique().tolist()):
        expected = greedy(model, sources, BOS, eos, LENGTH).tolist()
        expected = [ids[: ids.index(eos) + 1] if eos in ids else ids for ids in expected]
        options = {"bos": BOS, "eos": eos, "max_length": LENGTH}
        for found in (beam_search(model, sources, **options, beam=1), translate_batch(model, sources, **options)):
            assert ids_of(found) == [[ids] for ids in expected]


@EACH_VARIANT
@HEADS
def test_a_sentence_alone_as_in_any_batch(variant, heads, size, sources):
    model = translator(variant, size, heads)
    rows = [source_S[source_S != PAD] for source_S in sources]
    together = searched(model, sources)
    for row, alone in zip(rows, together, strict=True):
        (found,) = searched(model, row[None])
        assert ids_of([found]) == ids_of([alone])
        assert [one.score for one in found] == pytest.approx([one.score for one in alone], abs=1e-5)
    shuffled = [4, 0, 5, 2, 1, 3]
    options = {**SPECIAL, "max_length": LENGTH, "beam": 4, "n_best": 3}
    found = translate_all(model, [rows[row].tolist() for row in shuffled], **options)
    assert ids_of(found) == [ids_of(together)[row] for row in shuffled]


@EACH_VARIANT
@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_a_beam_without_limits_finds_the_best_of_all_sequences(variant, alpha, size, sources):
    size = dataclasses.replace(size, vocab_size=5)
    model, source_BS = translator(variant, size), sources[:2] % 5
    others = [token for token in range(5) if token != EOS]
    beginnings = [list(ids) for n in range(3) for ids in itertools.product(others, repeat=n)]
    all_ids = [[*ids, EOS] for ids in beginnings] + [list(ids) for ids in itertools.product(others, repeat=3)]
    options = {"max_length": 3, "beam": 200, "n_best": 100, "length_penalty": alpha}
    for source_S, found in zip(source_BS, searched(model, source_BS, **options), strict=True):
        scores = [log_probability(model, source_S, ids) / ((5 + len(ids)) / 6) ** alpha for ids in all_ids]
        expected = [all_ids[n] for n in sorted(range(len(all_ids)), key=lambda n: -scores[n])]
        assert [one.ids for one in found] == expected
        assert [one.score for one in found] == pytest.approx(sorted(scores, reverse=True), abs=1e-5)


@EACH_VARIANT
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_best_are_sorted_distinct_and_scored_as_the_whole_model_does(variant, alpha, size, sources):
    model = translator(variant, size, 2)
    for source_S, found in zip(sources, searched(model, sources, length_penalty=alpha), strict=True):
        assert len(found) == len({tuple(one.ids) for one in found}) == 3
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        for one in found:
            assert EOS not in one.ids[:-1] and (one.ids[-1] == EOS or len(one.ids) == LENGTH)
            expected = log_probability(model, source_S[source_S != PAD], one.ids)
            assert one.log_probability == pytest.approx(expected, abs=1e-4)
            assert one.score == pytest.approx(expected / length_penalty_of(len(one.ids), alpha), abs=1e-4)


@EACH_VARIANT
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_fewer_are_the_first_of_more_and_known_earlier(variant, alpha, size, sources, monkeypatch):
    model, steps = translator(variant, size), []

    class Counted(search.TranslationSteps):
        def logits(self, token_N):
            steps[-1] += 1
            return super().logits(token_N)

    def best(n_best):
        steps.append(0)
        options = {"beam": 40, "n_best": n_best, "length_penalty": alpha, "max_length": 20}
        return ids_of(searched(model, sources[:1], eos=first, **options))[0]

    first = greedy(model, sources[:1], BOS, -1, 1).item()
    monkeypatch.setattr(search, "TranslationSteps", Counted)
    every = best(40)
    for n_best in (1, 2, 3):
        assert best(n_best) == every[:n_best]
    assert steps[1] < steps[0]
    if alpha == 0:
        assert steps[1] == 1  # what ends at once is likelier than whatever else


def test_a_length_penalty_prefers_longer_translations(size, sources):
    model = translator("scaled", size)
    lengths = [
        sum(len(found[0].ids) for found in searched(model, sources, eos=7, length_penalty=alpha, beam=8))
        for alpha in (0.0, 1.0, 5.0)
    ]
    assert lengths[0] <= lengths[1] <= lengths[2] and lengths[0] < lengths[2]
    assert length_penalty_of(1, 0.7) == length_penalty_of(9, 0.0) == 1.0
    assert length_penalty_of(13, 0.5) == pytest.approx(3**0.5)


def test_batches_hold_every_row_once_and_similar_lengths():
    lengths = [3, 90, 0, 7, 400, 7, 9000, *([5] * 200)]
    batches = list(batches_by_length(lengths, 5))
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    ordered = [lengths[row] for rows in batches for row in rows]
    assert ordered == sorted(lengths, reverse=True)
    assert all(len(rows) <= 64 and (len(rows) == 1 or len(rows) * lengths[rows[0]] * 5 <= 8192) for rows in batches)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"beam": 0}, "beam=0"),
        ({"beam": 1, "n_best": 2}, "n_best=2: valid: 1 to beam=1"),
        ({"beam": 2, "length_penalty": float("nan")}, "length_penalty=nan"),
    ],
)
def test_what_no_search_can_be_asked_for(size, sources, options, words):
    with pytest.raises(Refused, match=words):
        translate_batch(translator("scaled", size), sources, **SPECIAL, max_length=5, **options)
