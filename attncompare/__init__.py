"""attncompare: what does the choice of attention do to a model, everything else being equal?

Shapes, everywhere (C1): B batch, T query positions, S key positions, D model width, H heads, K width of a head, V
vocabulary, N a flat batch of whatever its file says. Tensors carry their shape as a suffix, ``q_BHTK``. ``scores`` are
before the softmax, ``weights`` after it and before dropout, ``context`` is weights @ values, ``output`` comes after the
output projection.

The rooms, in the order in which data flows; each imports only from those above it:

    errors, registry, config    what may be configured, and how a bad config is refused
    data                        corpora, tokenizers, batches
    attention                   the subject: one module, exchangeable scores
    model                       transformers around it
    decoding                    from a model to sequences
    tasks                       loss, metrics, optimizer
    tracking                    the run record, attention maps, the W&B view
    compare                     runs -> table -> report
    train, trained              one run from config to record; a record as a model again
    sweep, reproduce, cli       many runs; the same run again; the console script
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attncompare.attention import Attention, ScoreFunction, attend
    from attncompare.trained import TrainedRun, load

__all__ = ["Attention", "ScoreFunction", "TrainedRun", "attend", "load"]

_HOMES = {
    "Attention": "attncompare.attention",
    "ScoreFunction": "attncompare.attention",
    "attend": "attncompare.attention",
    "TrainedRun": "attncompare.trained",
    "load": "attncompare.trained",
}


def __getattr__(name: str) -> Any:
    """Import torch only when something that needs it is asked for, so that ``attncompare --help`` is quick (C11)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attncompare' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
