import json

import pytest
import torch

from attncompare.attention import Attention
from attncompare.bench.contender import LeftOut
from attncompare.bench.fixed_lengths import Recomputing, WithFixedLengths
from attncompare.bench.peers.marian import Marian
from attncompare.bench.peers.sizes import Sizes
from attncompare.data.tokenizer import BOS, EOS, PAD
from attncompare.decoding import greedy, translate_all
from attncompare.model import ModelSize, initialize

SIZE = ModelSize(vocab_size=50, max_length=32, d_model=16, layers=2, d_ff=32, dropout=0.0, positions="sinusoidal")
LENGTHS = (5, 11, 3, 11, 8)


def sentences():
    generator = torch.Generator().manual_seed(1)
    return [[*torch.randint(4, 50, (length - 1,), generator=generator).tolist(), EOS] for length in LENGTHS]


def model_of(kind):
    model = kind(SIZE, lambda: Attention(16, heads=2), PAD).eval()
    initialize(model, 1)
    return model


@pytest.mark.parametrize("beam", [1, 5])
def test_each_translation_is_as_long_as_its_source(beam):
    found = translate_all(model_of(WithFixedLengths), sentences(), bos=BOS, eos=EOS, max_length=20, beam=beam)
    assert tuple(len(best.ids) for best, *_ in found) == LENGTHS
    assert all(best.ids.index(EOS) == len(best.ids) - 1 for best, *_ in found)


def test_those_of_marian_are_as_long():
    try:
        model = Marian(Sizes(50, 32, 16, 2, 32, 2, 0.0, 0.0)).eval()
    except LeftOut as reason:
        pytest.skip(str(reason))
    rows = [torch.tensor(ids) for ids in sentences()]
    source_BS = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
    assert tuple(model.translated_lengths(source_BS, 5)) == LENGTHS


def test_without_a_cache_the_same_tokens_come_out():
    model = model_of(Recomputing)
    source_BS = torch.randint(4, 50, (3, 7), generator=torch.Generator().manual_seed(1))
    assert torch.equal(model.greedy(source_BS, 9), greedy(model, source_BS, BOS, -1, 9))


def test_a_quick_run_measures_both_searches(cli, tmp_path):
    code, _, err = cli("bench", "decode", "--quick", "--threads", "1", "--json", tmp_path / "a.json")
    assert code == 0, err
    beam, cache = json.loads((tmp_path / "a.json").read_text())["tables"]
    ours, marian = beam["rows"]
    assert ours["values"]["tokens"]["median"] > ours["values"]["sentences"]["median"] > 0
    assert marian["values"] or "pip install" in marian["note"]
    assert len(cache["rows"]) == 2


def test_a_folder_that_is_not_there_is_refused(cli):
    code, _, err = cli("bench", "decode", "--data-path", "nowhere")
    assert code == 2
    assert "--data-path nowhere: there is no such folder" in err
