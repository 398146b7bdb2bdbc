"""Whole training steps beside models of equal size in other libraries and by hand."""

from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from attncompare.config import RunConfig
from attncompare.model import Lengths, parameter_count, train_flops_per_token
from benchmarks import models
from benchmarks.measure import Pause, arguments, median, parsed, ratio, shown, table, turns_apart
from benchmarks.models import Sizes, endless, loop, prepared

OURS = "attncompare"
_BY_HAND = "the same model written by hand"
_DECODERS = {
    _BY_HAND: models.HandwrittenDecoder,
    "Hugging Face GPT2LMHeadModel": models.Gpt2,
    "x-transformers": models.XDecoder,
}
_TRANSLATORS = {
    _BY_HAND: models.HandwrittenTranslator,
    "Hugging Face MarianMTModel": models.Marian,
    "torch.nn.Transformer": models.TorchTransformer,
}
_TOLERANCE = 0.02  # by which share of its parameters a peer may be larger or smaller
_PEAK, _TIMES = (
    2048,
    8,
)  # rows and columns of the matrix products beside which operations are counted; products of a turn
_LARGE = ("backbone.d_model=384", "backbone.layers=6", "backbone.d_ff=1536", "attention.heads=6", "task.max_length=256")
PARTS = {
    "small": "Language model: 4 layers, 4 heads, width 128, context 64, batch 12",
    "large": "Language model: 6 layers, 6 heads, width 384, context 256, batch 8",
    "translation": "Translation: Transformer-Tiny, 4 + 4 layers, 4 heads, width 128, inner width 256, 4,096 tokens a batch",
}
_NOTE = (
    "A step is forward, loss, backward, clipping and fused AdamW, with the same batches in the same order for everyone."
)


def config_of_part(part: str, folder: Path, quick: bool, device: str) -> RunConfig:
    """Return the config of one table."""
    tiny = (*(models.TINY if quick else ()), f"trainer={'gpu' if device == 'cuda' else 'cpu'}")
    if part == "translation":
        return models.multi30k(folder, "attention.heads=4", *tiny, pairs=60 if quick else None)
    sizes = () if part == "small" or quick else (*_LARGE, "data.batch_size=8", "task.eval_stride=null")
    return models.nanogpt(folder, *sizes, *tiny)


def _train(pause: Pause, config: RunConfig, peer: type | None, steps: int, device: str) -> None:
    """Train our model, or a peer, so many steps a turn."""
    torch.manual_seed(config.seed)
    data, task = prepared(config)
    model = task if peer is None else peer(Sizes.of(config, data.tokenizer.vocab_size)).train()
    model.to(device)
    optimizers = task.configure_optimizers() if peer is None else models.peer_optimizers(config, model)

    step = loop(config, model, model.loss, optimizers, endless(data))
    while True:
        pause()
        for _ in range(steps):
            step()


def _multiply(pause: Pause, dtype: torch.dtype, device: str) -> None:
    left, right, product = (torch.randn(_PEAK, _PEAK, device=device).to(dtype) for _ in range(3))
    while True:
        pause()
        for _ in range(_TIMES):
            torch.mm(left, right, out=product)


def _table(part: str, rounds: int, quick: bool, device: str) -> None:
    with TemporaryDirectory() as folder:
        config = config_of_part(part, Path(folder), quick, device)
        half = config.model_copy(update={"trainer": config.trainer.model_copy(update={"precision": "bf16-mixed"})})
        data, task = prepared(config)
        sizes, expected = Sizes.of(config, data.tokenizer.vocab_size), parameter_count(task.model)
        steps = {"small": 10, "large": 1, "translation": 2}[part]
        works: dict[str, tuple[Any, ...]] = {
            OURS: (_train, config, None, steps, device),
            f"{OURS}, bf16-mixed": (_train, half, None, steps, device),
        }
        left_out = {}
        for name, peer in (_TRANSLATORS if part == "translation" else _DECODERS).items():
            try:
                count = parameter_count(peer(sizes))
            except Exception as error:  # a library that is not installed, or not as it was
                left_out[name] = str(error)
                continue
            if abs(count - expected) > _TOLERANCE * expected:
                raise SystemExit(
                    f"{name} has {count:,} parameters, and not the {expected:,} of ours within {_TOLERANCE:.0%}"
                )
            works[name] = (_train, config, peer, steps, device)
            if name == _BY_HAND:
                works[f"{name}, bf16-mixed"] = (_train, half, peer, steps, device)
        peaks = {
            f"matrix products, {str(t).removeprefix('torch.')}": t
            for t in (torch.float32, torch.bfloat16)
            if part == "large"
        }
        works |= {name: (_multiply, dtype, device) for name, dtype in peaks.items()}
        warm_up = 2
        seconds, others = turns_apart(works, rounds, warm_up)
    left_out |= others
    counts = [batch.scored() for batch in islice(endless(data), steps * (warm_up + rounds))]
    tokens = [sum(counts[begin : begin + steps]) for begin in range(steps * warm_up, len(counts), steps)]
    base = seconds[OURS]
    rows = []
    for name, found in seconds.items():
        if name not in peaks:
            rate = median(count / second for count, second in zip(tokens, found, strict=True))
            step = median(second / steps for second in found)
            lead = ratio(found, base)
            rows.append((name, shown(step, "s"), shown(rate, "/s"), shown(lead, "×")))
    rows += [(f"{name}: {reason}", "", "", "") for name, reason in left_out.items()]
    notes = [_NOTE, f"{expected:,} parameters; fp32 where no other type is named, bf16-mixed is torch.autocast."]
    flops = train_flops_per_token(task.model, Lengths(0, config.task.max_length)) if peaks else 0.0
    for name in peaks.keys() & seconds.keys():
        speed = [_TIMES * 2 * _PEAK**3 / second for second in seconds[name]]
        shares = {}
        for ours in (OURS, f"{OURS}, bf16-mixed"):
            done = [count * flops / second for count, second in zip(tokens, seconds[ours], strict=True)]
            shares[ours] = f"{ours} {100 * ratio(done, speed).value:.0f} %"
        notes.append(f"{name}: {median(speed).value / 1e9:,.0f} GFLOP/s; of them reach {', '.join(shares.values())}.")
    table(PARTS[part], ("training", "step", "target tokens", f"{OURS} is faster by"), rows, *notes)


def main(words: list[str] | None = None) -> None:
    """Print the tables."""
    parser = arguments(__doc__, rounds=20)
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join(PARTS)} (default: all)")
    options = parsed(parser, words)
    for part in options.parts or PARTS:
        if part not in PARTS:
            parser.error(f"part {part}: valid: {', '.join(PARTS)}")
        _table(part, options.rounds, options.quick, options.device)


if __name__ == "__main__":
    main()
