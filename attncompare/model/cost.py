"""What a model costs: parameters and floating-point operations, by formula (a test holds them to torch's counter)."""

from dataclasses import dataclass

from torch import nn

from attncompare.attention import Attention
from attncompare.model.decoder_only import DecoderOnly
from attncompare.model.encoder_decoder import EncoderDecoder
from attncompare.model.layers import Block


@dataclass(frozen=True)
class Lengths:
    """How many tokens a sequence has: S in the source (0 where there is none), T in the target."""

    source: float
    target: float


def parameter_count(model: nn.Module) -> int:
    """Return the number of trained numbers; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def train_flops_per_token(model: EncoderDecoder | DecoderOnly, lengths: Lengths) -> float:
    """Return the operations of one training step divided by its target tokens.

    Counted are matrix products (a multiplication and an addition are two) and scores, over whole T x S rectangles
    without saving for masks; embeddings looked up, norms, softmax and element-wise functions are not. The backward pass
    costs twice the forward pass (Kaplan et al. 2020, section 2.1), which for additive scores leaves out what is
    computed again to save memory.
    """
    return 3 * forward_flops(model, lengths) / lengths.target


def forward_flops(model: EncoderDecoder | DecoderOnly, lengths: Lengths) -> float:
    """Return the operations of the forward pass over one sequence."""
    s, t = lengths.source, lengths.target
    total = 2 * t * model.embedding.tokens.weight.numel()  # the logits
    for block in model.decoder:
        total += _block(block, t, t)
        if isinstance(model, EncoderDecoder):
            total += _attention(block.get_submodule("cross_attention"), t, s)
    if isinstance(model, EncoderDecoder):
        total += sum(_block(block, s, s) for block in model.encoder)
    return total


def _block(block: nn.Module, queries: float, keys: float) -> float:
    assert isinstance(block, Block)
    feed_forward = block.feed_forward.inner.weight.numel() + block.feed_forward.outer.weight.numel()
    return _attention(block.self_attention, queries, keys) + 2 * queries * feed_forward


def _attention(attention: nn.Module, queries: float, keys: float) -> float:
    assert isinstance(attention, Attention)
    projections = 2 * queries * (attention.query.weight.numel() + attention.output.weight.numel())
    projections += 2 * keys * (attention.key.weight.numel() + attention.value.weight.numel())
    mixing = 2 * attention.head_dim
    return projections + queries * keys * attention.heads * (attention.score.flops_per_score() + mixing)
