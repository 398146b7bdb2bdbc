"""The sizes that every model of a table has."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from attncompare.config import RunConfig, TranslationConfig
from attncompare.errors import RunFailed
from attncompare.model.cost import parameter_count

TOLERANCE = 0.02
"""By which share of its parameters a model may be larger or smaller than ours."""


@dataclass(frozen=True)
class Sizes:
    """What a model is built from. Dropout is on embeddings and on what each sublayer adds, and nowhere else.

    Attributes:
        vocab_size: number V of tokens.
        max_length: tokens of the longest sequence.
        d_model: width D.
        layers: of the decoder, and of the encoder where there is one.
        d_ff: inner width of the feed-forward part.
        heads: that share ``d_model``.
        dropout: probability.
        smoothing: label smoothing of the loss.
    """

    vocab_size: int
    max_length: int
    d_model: int
    layers: int
    d_ff: int
    heads: int
    dropout: float
    smoothing: float

    @classmethod
    def of(cls, config: RunConfig, vocab_size: int) -> "Sizes":
        """Return those of a run with a vocabulary of that size."""
        backbone, task = config.backbone, config.task
        smoothing = task.label_smoothing if isinstance(task, TranslationConfig) else 0.0
        heads = config.attention.heads
        shape = (backbone.d_model, backbone.layers, backbone.d_ff)
        return cls(vocab_size, task.max_length, *shape, heads, backbone.dropout, smoothing)


def require_equal_size(ours: nn.Module, peers: Mapping[str, nn.Module]) -> None:
    """Fail where a peer's number of parameters is more than :data:`TOLERANCE` away from ours.

    Raises:
        RunFailed: names the peer and both numbers.
    """
    expected = parameter_count(ours)
    for name, model in peers.items():
        count = parameter_count(model)
        if abs(count - expected) > TOLERANCE * expected:
            raise RunFailed(f"{name} has {count:,} parameters, and not the {expected:,} of ours within {TOLERANCE:.0%}")
