"""What each compiled kernel gains of a whole training step, or of beam search, at the sizes of conf/experiment.

Two processes do the same steps, one of them without the kernel, and take turns every few steps. A kernel stays where the
lower end of some interval is above 5 %.
"""

import importlib
import itertools
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from attncompare.attention.kernels.heap import keep_freed_memory
from attncompare.config import RunConfig
from attncompare.data.tokenizer import BOS, EOS, PAD
from attncompare.decoding import translate_all
from benchmarks.measure import Pause, arguments, clock, parsed, ratio, shown, table, turns_apart
from benchmarks.models import batches_of, config_of, fix_lengths, loop, pair_corpus, prepared, text_corpus

_SECONDS = 0.1  # of a turn, about
# Where a kernel is asked whether it takes a tensor.
_SWITCHES = {
    "dot": "attncompare.attention.scores.dot",
    "additive": "attncompare.attention.scores.additive",
    "dropout": "attncompare.attention.kernels.dropout",
    "cross_entropy": "attncompare.attention.kernels.cross_entropy",
    "likeliest": "attncompare.attention.kernels.likeliest",
    "memory": "",
}
SETTINGS = {
    f"{experiment}{f', {attention}' if attention else ''}": (*words, *([f"attention={attention}"] if attention else []))
    for experiment, words, attentions in (
        ("five_variants, translation", ["task=translation"], ("additive", "scaled", "multihead")),
        ("five_variants, language model", ["task=language_model"], ("additive", "scaled", "multihead")),
        ("nanogpt_cpu", ["experiment=nanogpt_cpu"], ("",)),
        ("shakespeare", ["experiment=shakespeare"], ("",)),
        ("multi30k", ["experiment=multi30k"], ("",)),
        ("multi30k_variants", ["experiment=multi30k_variants"], ("additive", "scaled")),
    )
    for attention in attentions
}
"""The overrides of each setting: the sizes of conf/experiment."""
_BEAM = "beam search"
_OTHERS = [name for name in SETTINGS if not name.endswith("additive")]
_ONE_HEAD = [name for name in _OTHERS if not name.endswith("multihead")]
PLANS = {
    "additive": [name for name in SETTINGS if name.endswith("additive")],
    "dot": _OTHERS,
    "dropout": [name for name in _ONE_HEAD if name not in ("nanogpt_cpu", "shakespeare")],  # which have none
    "cross_entropy": _ONE_HEAD,
    "likeliest": [f"multi30k, {_BEAM}", f"multi30k_variants, scaled, {_BEAM}"],
    "memory": [*_ONE_HEAD, f"multi30k, {_BEAM}"],
}
"""Where each kernel is measured."""


def _config(setting: str, folder: Path) -> RunConfig:
    """Return the config of a setting; the corpora that are not embedded are generated with lengths and tokens like theirs."""
    overrides = SETTINGS[setting.removesuffix(f", {_BEAM}")]
    corpus: tuple[str, ...] = ()
    if overrides[0].startswith("experiment=multi30k"):
        corpus = (*pair_corpus(folder), "data.batch_size=null", "data.batch_tokens=4096")
    elif overrides[0].startswith("experiment="):
        size = 12 if setting == "nanogpt_cpu" else 10
        corpus = (*text_corpus(folder), f"data.batch_size={size}")
    return config_of("trainer=cpu", *overrides, *corpus)


def _steps(setting: str, folder: Path) -> Callable[[], None]:
    """Return what trains one step, or translates one batch."""
    config = _config(setting, folder)
    data, task = prepared(config)
    if not setting.endswith(_BEAM):
        batches = itertools.cycle(list(itertools.islice(data.train_dataloader(), 64)))
        return loop(config, task, task.loss, task.configure_optimizers(), batches)
    model = fix_lengths(task.model.eval())
    rows = [
        ids[ids != PAD].tolist() for batch in itertools.islice(data.test_dataloader(), 4) for ids in batch.source_BS
    ]
    turns = itertools.cycle(batches_of(rows, 16))

    def translate() -> None:
        batch = next(turns)
        translate_all(model, batch, bos=BOS, eos=EOS, max_length=max(map(len, batch)) + 1, beam=5)

    return translate


def _work(pause: Pause, setting: str, without: str | None) -> None:
    """Do steps, for about as long in each turn."""
    torch.manual_seed(1)
    if without != "memory":
        keep_freed_memory()
    if without and _SWITCHES[without]:
        module: Any = importlib.import_module(_SWITCHES[without])
        module.serves = lambda _: False
    with TemporaryDirectory() as folder:
        step = _steps(setting, Path(folder))
    seconds = None
    while True:
        pause(seconds)
        step()  # after the other process had the caches
        began, count = clock(), 0
        while count < 1 or clock() - began < _SECONDS:
            step()
            count += 1
        seconds = (clock() - began) / count


def main(words: list[str] | None = None) -> None:
    """Print the table."""
    parser = arguments(__doc__, rounds=100)
    parser.add_argument("kernels", nargs="*", help=f"which of {', '.join(PLANS)} (default: all)")
    options = parsed(parser, words)
    rows = []
    for kernel in options.kernels or PLANS:
        for setting in PLANS[kernel][: 1 if options.quick else None]:
            works = {"with": (_work, setting, None), "without": (_work, setting, kernel)}
            seconds, left_out = turns_apart(works, options.rounds, warm_up=3)
            if left_out:
                rows.append((kernel, setting, *left_out.values(), ""))
                continue
            gain = ratio(seconds["without"], seconds["with"])
            percent = type(gain)(*(100 * (value - 1) for value in gain))
            rows.append((kernel, setting, shown(percent, "%"), "yes" if percent.low > 5 else ""))
            print(*rows[-1], sep="  ", flush=True)
    print()
    note = "Without a kernel, its plain torch form serves; memory: what is freed is held for the next step."
    table("Gain of a whole step, or of translating a batch", ("kernel", "where", "faster by", "above 5 %"), rows, note)


if __name__ == "__main__":
    main()
