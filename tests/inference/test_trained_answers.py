"""A trained run from Python: translations, continuations and the maps of what it said."""

import numpy as np
import pytest
import torch

import attncompare
from attncompare.attention.mixing import Mixing
from attncompare.data.tokenizer import BOS, EOS
from attncompare.decoding import search
from attncompare.errors import Refused

SENTENCES = ["abc", "", "hello there", "zyx wv", "a"]


@pytest.fixture(scope="module")
def translator(translator_run):
    return attncompare.load(translator_run.path)


@pytest.fixture(scope="module")
def writer(writer_run):
    return attncompare.load(writer_run.path)


def test_sentences_come_back_in_order_each_as_alone(translator):
    found = translator.translate(SENTENCES, beam=4, n_best=3)
    assert [one.source for one in found] == SENTENCES
    for sentence, one in zip(SENTENCES, found, strict=True):
        (alone,) = translator.translate([sentence], beam=4, n_best=3)
        assert [h.ids for h in alone.hypotheses] == [h.ids for h in one.hypotheses]
        assert one.text == one.hypotheses[0].text == translator.tokenizer.decode(one.hypotheses[0].ids)
        assert [h.score for h in one.hypotheses] == sorted((h.score for h in one.hypotheses), reverse=True)
        assert len(one.hypotheses) == len({h.ids for h in one.hypotheses}) == (3 if sentence else 1)
        assert one.hypotheses[0].ids == translator.translate([sentence], beam=4)[0].hypotheses[0].ids
    assert (found[1].text, found[1].score, found[1].cut) == ("", 0.0, False)
    assert translator.translate([]) == []


def test_a_long_sentence_is_cut_as_in_training(translator):
    short, long, other = translator.translate(["a" * 11, "a" * 12, "a" * 11 + "b"])
    assert (short.cut, long.cut, other.cut) == (False, True, True)
    assert short.source_ids == long.source_ids == other.source_ids and len(short.source_ids) == 12
    assert short.hypotheses[0].ids == long.hypotheses[0].ids


def test_a_beam_of_one_is_what_the_task_itself_decodes(translator):
    for one in translator.translate(SENTENCES[:1], beam=1):
        source_BS = torch.tensor([one.source_ids])
        assert one.text == translator.task.translate(source_BS, beam=1)[0]


def test_the_maps_are_those_of_the_beam_that_won(translator, monkeypatch):
    """Recorded in the search itself: at each step the weights of every beam, and what each had read until then."""
    weights, beginnings = [], []

    def recording(self, q, k, v, need_weights, mix=Mixing.__call__):
        context, found = mix(self, q, k, v, True)
        weights[-1].append(found)
        return context, None

    class Recorded(search.TranslationSteps):
        def logits(self, token_N):
            weights.append([])
            beginnings.append(token_N[:, None] if not beginnings else torch.cat((self.read_NT, token_N[:, None]), 1))
            return super().logits(token_N)

        def keep(self, rows_N, sources_B=None):
            self.read_NT = beginnings[-1][rows_N]
            super().keep(rows_N, sources_B)

    (one,) = translator.translate(["zyx"], beam=4)
    weights.append([])
    monkeypatch.setattr(Mixing, "__call__", recording)
    monkeypatch.setattr(search, "TranslationSteps", Recorded)
    (again,) = translator.translate(["zyx"], beam=4)
    monkeypatch.undo()
    assert again.hypotheses[0].ids == one.hypotheses[0].ids
    assert again.score == pytest.approx(one.score, rel=1e-5)
    maps = {site.site: site.weights_LHTS for site in translator.attention("zyx", beam=4).sites}
    ids = [BOS, *one.hypotheses[0].ids]
    moved = 0
    for step, (read_NT, of_self_and_cross) in enumerate(zip(beginnings, weights[1:], strict=True)):
        if step + 1 == len(ids):
            break
        row = read_NT.tolist().index(ids[: step + 1])
        moved += row != 0
        for layer in range(len(of_self_and_cross) // 2):
            of_self, of_cross = of_self_and_cross[2 * layer : 2 * layer + 2]
            np.testing.assert_allclose(
                maps["decoder_self"][layer, :, step, : step + 1], of_self[row, :, 0].numpy(), atol=1e-5
            )
            np.testing.assert_allclose(maps["cross"][layer, :, step], of_cross[0, :, row].numpy(), atol=1e-5)
    assert step + 1 >= len(ids) - 1 and moved, "the winner was never another beam than the first"


def test_attention_shows_the_default_beam_and_what_a_text_reads(translator, writer):
    (one,) = translator.translate(["abc"])
    maps = translator.attention("abc")
    assert maps.sites[1].queries == tuple(translator.tokenizer.labels([BOS, *one.hypotheses[0].ids[:-1]]))
    assert writer.attention("k01 v02").sites[0].site == "decoder_self"
    with pytest.raises(Refused, match="use generate"):
        writer.attention("k01", beam=3)


def test_attention_shows_words_that_the_vocabulary_lacks_as_they_were_written(writer):
    maps = writer.attention("k01 zebra v02")
    (site,) = maps.sites
    assert maps.text == "k01 zebra v02"
    assert site.keys == ("<bos>", "<unk>k01", "<unk>▁zebra", "▁v02")  # in the data a space stands before each


def test_a_text_follows_from_its_seed(writer):
    texts = [writer.generate("k01", tokens=9, seed=seed, samples=3) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 3 and len(set(texts[0])) > 1
    likeliest = writer.generate("k01", tokens=9, top_k=1, seed=1)
    assert (
        likeliest == writer.generate("k01", tokens=9, top_p=1e-9, seed=2) == writer.generate("k01", tokens=9, top_k=1)
    )


def test_a_text_longer_than_the_context_goes_on_from_its_last_half(writer):
    model, tokenizer, longest = writer.task.model, writer.tokenizer, 24
    window = [BOS, *tokenizer.encode("k01 v02").ids]
    drawn = []
    while len(drawn) < 60:
        token = model(torch.tensor([window])).logits_BTV[0, -1].argmax().item()
        drawn.append(token)
        window.append(token)
        if token == EOS:
            break
        if len(window) == longest:
            window = window[-longest // 2 :]
    assert len(drawn) > 2 * longest
    assert writer.generate("k01 v02", tokens=60, top_k=1) == [tokenizer.decode(drawn)]


def test_every_checkpoint_there_is(translator_run):
    best, last = (attncompare.load(translator_run.path, checkpoint) for checkpoint in ("best", "last"))
    assert set(dict(best.task.model.named_parameters())) == set(dict(last.task.model.named_parameters()))
    with pytest.raises(Refused, match=r"unknown checkpoint 'bst' \(did you mean best\?\)"):
        attncompare.load(translator_run.path, checkpoint="bst")


def test_loading_changes_nothing_of_the_process(translator_run, monkeypatch):
    heap = pytest.importorskip("attncompare.attention.kernels.heap")
    monkeypatch.setattr(heap, "keep_freed_memory", lambda: pytest.fail("only the command line may"))
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    trained = attncompare.load(translator_run.path)
    trained.translate(["abc"])
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t, _: t.translate("abc"), "a list of texts"),
        (lambda t, _: t.translate(["a\0b"]), "UTF-8 without NUL"),
        (lambda t, _: t.translate(["a"], beam=10_000), "beam=10000: more than the vocabulary"),
        (lambda t, _: t.translate([], beam=0), "beam=0"),
        (lambda t, _: t.translate(["a"], beam=2, n_best=3), "n_best=3: valid: 1 to beam=2"),
        (lambda t, _: t.translate(["a"], length_penalty=-1.0), "length_penalty=-1.0"),
        (lambda t, _: t.generate("a"), "use translate"),
        (lambda _, w: w.translate(["a"]), "use generate"),
        (lambda _, w: w.generate("k01", tokens=0), "tokens=0"),
        (lambda _, w: w.generate("k01", temperature=-1.0), "temperature=-1.0"),
    ],
)
def test_what_cannot_be_asked(translator, writer, call, words):
    with pytest.raises(Refused, match=words):
        call(translator, writer)
