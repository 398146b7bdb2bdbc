"""attncompare: what does the choice of attention do to a model, everything else being equal?

Shapes, everywhere (C1): B batch, T query positions, S key positions, D model width, H heads, K width of a head, V
vocabulary, N a flat batch of whatever its file says. Tensors carry their shape as a suffix, ``q_BHTK``. ``scores`` are
before the softmax, ``weights`` after it and before dropout, ``context`` is weights @ values, ``output`` comes after the
output projection.

The rooms, in the order in which data flows; each imports only from those above it:

    errors, registry, config    what may be configured, and how a bad config is refused
    plain_values                yaml and JSON of unknown origin as plain values
    data                        corpora, tokenizers, batches
    attention                   the subject: one module, exchangeable scores
    model                       transformers around it
    decoding                    from a model to sequences
    tasks                       loss, metrics, optimizer
    tracking                    the run record, attention maps, the W&B view
    compare                     runs -> table -> report
    faults, processes           what can go wrong, in words; several processes that train one run
    session                     one run between the opening and the closing of its record
    train, trained              a new run or an unfinished one; a record as a model again
    sweep, reproduce, upload    many runs; the same run again; a record shown in W&B
    inference                   what a trained run answers to new sentences, prompts and data
    dashboard, wandb_report     a folder of runs in a browser; a comparison in W&B
    bench                       speed and memory beside what others would pick
    streams, cli                its output where nobody reads it any more; the console script
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attncompare.attention import Attention, ScoreFunction, attend
    from attncompare.inference.trained import TrainedRun, Translated, TranslatedText, load

__all__ = ["Attention", "ScoreFunction", "TrainedRun", "Translated", "TranslatedText", "attend", "load"]

_HOMES = {
    "Attention": "attncompare.attention",
    "ScoreFunction": "attncompare.attention",
    "attend": "attncompare.attention",
    "TrainedRun": "attncompare.inference.trained",
    "Translated": "attncompare.inference.trained",
    "TranslatedText": "attncompare.inference.trained",
    "load": "attncompare.inference.trained",
}


def __getattr__(name: str) -> Any:
    """Import torch only when something that needs it is asked for, so that ``attncompare --help`` is quick (C11)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attncompare' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
