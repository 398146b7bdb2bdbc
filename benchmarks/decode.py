"""Beam search beside Hugging Face's, and what the cache of keys and values is worth."""

import itertools
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from attncompare.attention.kernels.heap import keep_freed_memory
from attncompare.data.tokenizer import BOS, EOS, PAD
from attncompare.decoding import greedy, translate_all
from attncompare.model import parameter_count
from benchmarks.measure import LeftOut, arguments, in_turns, median, parsed, ratio, shown, table
from benchmarks.models import Marian, Sizes, batches_of, fix_lengths, padded, prepared
from benchmarks.train import config_of_part

_BEAM, _ROWS = 5, 64
_OURS, _MARIAN = "attncompare", "Hugging Face MarianMTModel.generate"
_CACHED, _AGAIN = "with the cache", "reading everything again at each step"


def read_again(model: Any, source_BS: Tensor, tokens: int) -> Tensor:
    """Return what greedy search gives, (B, ``tokens``), reading the whole beginning again for each token."""
    may_attend = model.source_mask(source_BS)
    memory_BSD, _ = model.encode(source_BS, may_attend)
    target_BT = torch.full((len(source_BS), 1), BOS, device=source_BS.device)
    for _ in range(tokens):
        logits_BTV, _ = model.decode(target_BT, memory_BSD, may_attend)
        target_BT = torch.cat((target_BT, logits_BTV[:, -1:].argmax(-1)), dim=1)
    return target_BT[:, 1:]


def _beam_table(task: Any, data: Any, options: Any) -> None:
    model = fix_lengths(task.model)
    sources = [ids[ids != PAD].tolist() for batch in data.test_dataloader() for ids in batch.source_BS]
    batches = batches_of(sources, _ROWS)

    def turn(lengths_of: Callable[[list[list[int]]], list[int]]) -> Callable[[], None]:
        turns = itertools.cycle(batches)

        def work() -> None:
            batch = next(turns)
            if lengths_of(batch) != [len(ids) for ids in batch]:
                raise SystemExit("a translation is not as long as its source")

        return work

    def ours(batch: list[list[int]]) -> list[int]:
        found = translate_all(model, batch, bos=BOS, eos=EOS, max_length=max(map(len, batch)) + 1, beam=_BEAM)
        return [len(best.ids) for best, *_ in found]

    contenders, notes = {_OURS: turn(ours)}, []
    try:
        torch.manual_seed(1)
        marian = Marian(Sizes.of(task.config, data.tokenizer.vocab_size)).to(options.device).eval()
        contenders[_MARIAN] = turn(lambda batch: marian.translated_lengths(padded(batch).to(options.device), _BEAM))
        notes.append(f"{parameter_count(model):,} parameters; Marian {parameter_count(marian):,}.")
    except LeftOut as reason:
        notes.append(f"{_MARIAN}: {reason}")
    seconds = in_turns(contenders, options.rounds, sample=0.0)
    rows = [
        (name, shown(median(found), "s"), shown(ratio(found, seconds[_OURS]), "×")) for name, found in seconds.items()
    ]
    notes.append(
        f"Generated sentences as long as those of Multi30k, batches of {_ROWS} of like lengths. Weights are random, so lengths "
        "are fixed: each translation ends when it is as long as its source, and not before; that was checked."
    )
    title = f"Beam search, width {_BEAM}, Transformer-Tiny, fp32"
    table(title, ("search", "a batch", f"{_OURS} is faster by"), rows, *notes)


@torch.inference_mode()
def _cache_table(task: Any, data: Any, options: Any) -> None:
    model, (rows, tokens) = task.model, (2, 4) if options.quick else (_ROWS, 60)
    draw = torch.Generator().manual_seed(1)
    source_BS = torch.randint(EOS + 1, data.tokenizer.vocab_size, (rows, 15), generator=draw).to(options.device)
    if not torch.equal(greedy(model, source_BS, BOS, -1, tokens), read_again(model, source_BS, tokens)):
        raise SystemExit("with and without the cache other tokens come out")
    contenders: dict[str, Callable[[], object]] = {
        _CACHED: lambda: greedy(model, source_BS, BOS, -1, tokens),  # no id is EOS: each is as long as it may be
        _AGAIN: lambda: read_again(model, source_BS, tokens),
    }
    seconds = in_turns(contenders, min(options.rounds, 5), sample=0.0)
    lines = [
        (name, shown(median(found), "s"), shown(ratio(found, seconds[_CACHED]), "×")) for name, found in seconds.items()
    ]
    note = f"{rows} sentences, {tokens} tokens each; the same tokens come out, which was checked."
    table("Greedy search with and without the cache", ("search", "time", "the cache is faster by"), lines, note)


def main(words: list[str] | None = None) -> None:
    """Print the tables."""
    options = parsed(arguments(__doc__, rounds=16), words)
    keep_freed_memory()  # as the commands that decode do; it serves Marian, too
    with TemporaryDirectory() as folder:
        data, task = prepared(config_of_part("translation", Path(folder), options.quick, options.device))
    task.to(options.device).eval()
    _cache_table(task, data, options)
    _beam_table(task, data, options)


if __name__ == "__main__":
    main()
