"""Training of a recurrent decoder beside that of a transformer of its size, over lengths: what computing at once is worth.

Recurrent models read one position after the other; "this inherently sequential nature precludes parallelization within
training examples" (Vaswani et al. 2017, section 1). Attention after the recurrence, which is computed for all positions at
once, and none at all tell what the recurrence itself costs.
"""

from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from attncompare.config import RunConfig
from attncompare.model import parameter_count
from benchmarks import models
from benchmarks.measure import Pause, arguments, median, parsed, ratio, shown, table, turns_apart
from benchmarks.models import endless, loop, prepared

_LENGTHS = (16, 64, 256, 1024)
_TOKENS, _FEW = 4096, 64  # of a batch; with --quick
_TRANSFORMER = "transformer"
_WIDTH = ("backbone.d_model=192", "backbone.layers=2")
_CONTENDERS = {  # of 0.9 million parameters
    _TRANSFORMER: (*_WIDTH, "backbone.d_ff=768", "attention=scaled"),
    "recurrent": ("backbone=recurrent", "backbone.d_model=200", "backbone.layers=2", "attention=scaled"),
    "recurrent, no attention": ("backbone=recurrent", "backbone.d_model=252", "backbone.layers=2", "attention=none"),
}
_TOLERANCE = 0.02  # by which share of its parameters a model may be larger or smaller than the transformer
_NOTE = (
    "A step is forward, loss, backward, clipping and fused AdamW over 4,096 characters. GRUs of two layers, whose states "
    "attend after the recurrence; all models have the same loss and vocabulary."
)


def config_of(folder: Path, contender: str, length: int, quick: bool, device: str) -> RunConfig:
    """Return the config of one contender at one length."""
    sizes = (
        f"task.max_length={length}",
        f"data.batch_size={(_FEW if quick else _TOKENS) // length}",
        "task.eval_stride=null",
        "tracking.probes=1",
    )
    samples = ("task.sample_prompts=[a]", "task.sample_tokens=1", f"trainer={'gpu' if device == 'cuda' else 'cpu'}")
    corpus = models.text_corpus(folder)
    return models.config_of("task=language_model", *corpus, *sizes, *samples, *_CONTENDERS[contender])


def _train(pause: Pause, config: RunConfig, device: str) -> None:
    torch.manual_seed(config.seed)
    data, task = prepared(config)
    task.to(device)
    step = loop(config, task, task.loss, task.configure_optimizers(), endless(data))
    while True:
        pause()
        step()


def main(words: list[str] | None = None) -> None:
    """Print the table."""
    options = parsed(arguments(__doc__, rounds=10), words)
    rows, counts = [], {}
    with TemporaryDirectory() as folder:
        for length in _LENGTHS[:1] if options.quick else _LENGTHS:
            configs = {
                name: config_of(Path(folder), name, length, options.quick, options.device) for name in _CONTENDERS
            }
            counts = {name: parameter_count(prepared(config)[1].model) for name, config in configs.items()}
            for name, count in counts.items():
                if abs(count - counts[_TRANSFORMER]) > _TOLERANCE * counts[_TRANSFORMER]:
                    raise SystemExit(f"{name} has {count:,} parameters, the transformer {counts[_TRANSFORMER]:,}")
            (batch,) = islice(endless(prepared(configs[_TRANSFORMER])[0]), 1)
            works = {name: (_train, config, options.device) for name, config in configs.items()}
            seconds, left_out = turns_apart(works, options.rounds, warm_up=1)
            for name, found in seconds.items():
                rate = median(batch.scored() / second for second in found)
                lead = ratio(found, seconds[_TRANSFORMER]) if _TRANSFORMER in seconds else None
                rows.append((name, str(length), shown(median(found), "s"), shown(rate, "/s"), shown(lead, "×")))
            rows += [(f"{name}: {reason}", str(length), "", "", "") for name, reason in left_out.items()]
    sizes = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    heads = ("training", "length", "step", "tokens", "transformer is faster by")
    table("Transformer and recurrent decoder", heads, rows, _NOTE, f"Parameters: {sizes}.")


if __name__ == "__main__":
    main()
