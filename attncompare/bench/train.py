"""``attncompare bench train``: whole training steps against what people would train with, and what the framework adds."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attncompare.bench.command import Say
from attncompare.bench.devices import use
from attncompare.bench.facts import machine_facts
from attncompare.bench.options import Options, data_words
from attncompare.bench.overhead import overhead_tables
from attncompare.bench.peers.gpt2 import Gpt2
from attncompare.bench.peers.handwritten import HandwrittenDecoder, HandwrittenTranslator
from attncompare.bench.peers.marian import Marian
from attncompare.bench.peers.torch_stack import TorchStack
from attncompare.bench.peers.x_decoder import XDecoder
from attncompare.bench.report import Report, Table
from attncompare.bench.train_tables import OURS, Peer, Training, training_table
from attncompare.bench.trainings import LARGER, TINY, in_turns, language_model, translation
from attncompare.config import RunConfig

_BY_HAND = "the same model written by hand"
_DECODERS = {
    _BY_HAND: Peer(HandwrittenDecoder),
    f"{_BY_HAND}, bf16-mixed": Peer(HandwrittenDecoder, "bf16-mixed"),
    "Hugging Face GPT2LMHeadModel": Peer(Gpt2),
    "x-transformers": Peer(XDecoder),
}
_TRANSLATORS = {
    _BY_HAND: Peer(HandwrittenTranslator),
    f"{_BY_HAND}, bf16-mixed": Peer(HandwrittenTranslator, "bf16-mixed"),
    "Hugging Face MarianMTModel": Peer(Marian),
    "torch.nn.Transformer": Peer(TorchStack),
}
_SAME = (
    "A step is forward, loss, backward, clipping and fused AdamW; everybody makes the same batches in the same order.",
    "fp32 where no other type is named; bf16-mixed is torch.autocast.",
    f"{OURS} is the whole command with its trainer and record, W&B disabled.",
)
_PRECISIONS = {OURS: "32-true", f"{OURS}, bf16-mixed": "bf16-mixed"}


@dataclass(frozen=True)
class TrainOptions:
    """What ``bench train`` can be told: parts to measure, none for all; the folder of Multi30k."""

    parts: tuple[str, ...]
    data_path: Path | None


def bench_train(options: Options, say: Say, chosen: TrainOptions) -> Report:
    """Measure the chosen parts.

    Raises:
        Refused: if there is no such device or data.
        RunFailed: if a peer is not of equal size, or the plain loop ends with other weights than the run.
    """
    use(options)
    if options.quick:
        say("--quick: tiny models in the place of those that the titles name")
    tables: list[Table] = []
    for name in chosen.parts:
        say(name)
        with tempfile.TemporaryDirectory(prefix="attncompare-bench-", ignore_cleanup_errors=True) as folder:
            tables += PARTS[name](options, Path(folder), chosen.data_path)
    settings = {"parts": list(chosen.parts), "data_path": None if chosen.data_path is None else str(chosen.data_path)}
    parts = chosen.parts if len(chosen.parts) < len(PARTS) else ()
    title = " ".join(["attncompare bench train", *parts, *data_words(chosen.data_path), *options.words])
    return Report(title, machine_facts(options.device), settings, tables)


Part = Callable[[Options, Path, Path | None], Sequence[Table]]


def _small(options: Options, folder: Path, data_path: Path | None) -> Sequence[Table]:  # noqa: ARG001  (every part gets the same)
    steps, rounds = (2, options.rounds or 2) if options.quick else (20, options.rounds or 20)
    overrides = (*in_turns(rounds, steps), *(TINY if options.quick else ()))
    ours = _in_each_precision(lambda precision: language_model(folder, options.device, (*overrides, precision)))
    title = "Language model: 4 layers, 4 heads, width 128, context 64, batch 12"
    return [training_table(Training(title, ours, dict(_DECODERS), steps, rounds, notes=_SAME))]


def _large(options: Options, folder: Path, data_path: Path | None) -> Sequence[Table]:  # noqa: ARG001
    steps, rounds = (1, options.rounds or 2) if options.quick else (2, options.rounds or 8)
    sizes = TINY if options.quick else (*LARGER, "data.batch_size=8")
    overrides = (*in_turns(rounds, steps), *sizes)
    ours = _in_each_precision(lambda precision: language_model(folder, options.device, (*overrides, precision)))
    title = "Language model: 6 layers, 6 heads, width 384, context 256, batch 8"
    formula = (
        "Shares of the peak count the model's operations alone: 3 * forward, a product of (m, k) and (k, n) being 2mkn."
    )
    training = Training(title, ours, dict(_DECODERS), steps, rounds, peak=True, notes=(*_SAME, formula))
    return [training_table(training)]


def _translation(options: Options, folder: Path, data_path: Path | None) -> Sequence[Table]:
    steps, rounds = (1, options.rounds or 2) if options.quick else (5, options.rounds or 8)
    sizes = (
        *in_turns(rounds, steps),
        *((*TINY, "data.batch_tokens=null", "data.tokenizer.vocab_size=null") if options.quick else ()),
    )
    pairs = 60 if options.quick else None
    ours = _in_each_precision(
        lambda precision: translation(folder, options.device, data_path, (*sizes, precision), pairs)
    )
    whose = (
        "Multi30k" if data_path else "generated pairs as long as those of Multi30k (--data-path FOLDER takes Multi30k)"
    )
    title = "Translation: Transformer-Tiny, 4 + 4 layers, 4 heads, width 128, inner width 256, 4,096 tokens a batch"
    notes = (f"Trained on {whose}.", *_SAME)
    return [training_table(Training(title, ours, dict(_TRANSLATORS), steps, rounds, notes=notes))]


def _in_each_precision(config: Callable[[str], RunConfig]) -> dict[str, RunConfig]:
    return {name: config(f"trainer.precision={precision}") for name, precision in _PRECISIONS.items()}


def _overhead(options: Options, folder: Path, data_path: Path | None) -> Sequence[Table]:  # noqa: ARG001
    return overhead_tables(options, folder)


PARTS: dict[str, Part] = {
    "language-model": _small,
    "language-model-large": _large,
    "translation": _translation,
    "overhead": _overhead,
}
