"""How long decoding takes: `python tests/decoding_speed.py beam|cache [VARIANT]`; docs/decoding.md has what it gave.

beam   1,000 sentences as long as those of test_2016_flickr, beam 5, Transformer-Tiny (4 + 4 layers, d_model 128, d_ff 256,
       4 heads, a vocabulary of 8,000), random weights; EOS gets a bias with which translations are about as long.
cache  64 such sentences to 60 tokens each, with the cache and by reading the whole beginning again at each step.
"""

import argparse
import time
from pathlib import Path

import torch
from variants import VARIANTS, make_encoder_decoder

from attncompare.data.tokenizer import BOS, EOS
from attncompare.decoding import greedy, translate_all
from attncompare.model import ModelSize

SIZE = ModelSize(vocab_size=8000, max_length=128, d_model=128, layers=4, d_ff=256, dropout=0.0, positions="sinusoidal")
SENTENCES = Path(__file__).parents[2] / "shared/data/multi30k/test_2016_flickr.en"
TOKENS_A_WORD = 1.15  # of a joint BPE vocabulary of 8,000


def sources():
    words = [len(line.split()) for line in SENTENCES.read_text().splitlines()]
    generator = torch.Generator().manual_seed(1)
    return [[*torch.randint(4, 8000, (round(TOKENS_A_WORD * n),), generator=generator).tolist(), EOS] for n in words]


def with_lengths(model, length):
    """Let EOS be more likely the later it is, so that translations end around ``length``."""
    step, logits = [0], model.embedding.logits

    def biased(x_BTD):
        logits_BTV = logits(x_BTD)
        logits_BTV[..., EOS] = logits_BTV.amax(-1) + (step[0] - length) / 2
        return logits_BTV

    def counted(*arguments, start=0, decode=model.decode, **options):
        step[0] = start
        return decode(*arguments, start=start, **options)

    model.embedding.logits, model.decode = biased, counted
    return model


def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def beam(variant):
    rows = sources()
    model = with_lengths(make_encoder_decoder(variant, SIZE, 4), 16)
    found, wall, cpu = timed(lambda: translate_all(model, rows, bos=BOS, eos=EOS, max_length=128, beam=5))
    mean = sum(len(hypotheses[0].ids) for hypotheses in found) / len(found)
    print(f"{variant}: {len(rows)} sentences, beam 5, {mean:.1f} tokens each: {wall:.1f} s, {cpu:.1f} s of CPU")


@torch.inference_mode()
def again(model, source_BS, tokens):
    """Greedy search that reads the whole beginning at each step, and asks for the logits of its last token alone."""
    model.embedding.logits = lambda x_BTD, logits=model.embedding.logits: logits(x_BTD[:, -1:])
    may_attend = model.source_mask(source_BS)
    memory_BSD, _ = model.encode(source_BS, may_attend)
    target_BT = torch.full((len(source_BS), 1), BOS)
    for _ in range(tokens):
        logits_BTV, _ = model.decode(target_BT, memory_BSD, may_attend)
        target_BT = torch.cat((target_BT, logits_BTV[:, -1:].argmax(-1)), dim=1)
    return target_BT[:, 1:]


def cache(variant):
    model = make_encoder_decoder(variant, SIZE, 4)
    source_BS = torch.randint(4, 8000, (64, 15), generator=torch.Generator().manual_seed(1))
    found_BT, wall, cpu = timed(lambda: greedy(model, source_BS, BOS, -1, 60))
    expected_BT, whole_wall, whole_cpu = timed(lambda: again(model, source_BS, 60))
    assert torch.equal(found_BT, expected_BT)
    print(f"{variant}: 64 sentences, 60 tokens each: cached {wall:.2f} s ({cpu:.2f} s of CPU), recomputed", end=" ")
    print(f"{whole_wall:.2f} s ({whole_cpu:.2f} s of CPU): {whole_wall / wall:.1f} times")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("beam", "cache"))
    parser.add_argument("variant", nargs="?", choices=VARIANTS)
    arguments = parser.parse_args()
    for name in [arguments.variant] if arguments.variant else ["multihead", "additive"]:
        {"beam": beam, "cache": cache}[arguments.what](name)
