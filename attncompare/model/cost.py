"""What a model costs: parameters and floating-point operations, by formula (a test holds them to torch's counter)."""

from dataclasses import dataclass

from torch import nn

from attncompare.attention import Attention
from attncompare.model.decoder_only import DecoderOnly
from attncompare.model.encoder_decoder import EncoderDecoder
from attncompare.model.layers import Block, ModelSize


@dataclass(frozen=True)
class Lengths:
    """How many tokens a sequence has: S in the source (0 where there is none), T in the target."""

    source: float
    target: float


def parameter_count(model: nn.Module) -> int:
    """Return the number of trained numbers; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def planned_parameters(size: ModelSize, inner: int, *, cross: bool) -> int:
    """Return what :func:`parameter_count` would say of a model that nobody has built yet.

    The own parameters of score functions are left out: only a score itself knows them.

    Args:
        size: its sizes.
        inner: heads * head_dim of each attention.
        cross: True: an encoder-decoder; False: a decoder alone.
    """
    d = size.d_model
    bias = int(size.bias)
    attention, norm = 4 * d * inner + bias * (3 * inner + d), (1 + bias) * d
    feed_forward = 2 * d * size.d_ff + bias * (size.d_ff + d)
    decoder = attention + feed_forward + 2 * norm
    if cross:  # the encoder's block, and what the decoder's has more than that
        decoder += decoder + attention + norm
    positions = size.max_length if size.positions == "learned" else 0
    rows = size.vocab_size + positions
    if cross and size.source_vocab_size is not None:
        rows += size.source_vocab_size + positions
    return rows * d + size.layers * decoder + (1 + cross) * norm


def planned_activations(size: ModelSize, inner: int, lengths: Lengths) -> float:
    """Return how many numbers one sequence leaves for the backward pass at least, with scores that keep no T x S map.

    Counted are what every matrix product reads and the log-probabilities; dropout and norms keep more.

    Args:
        size: as for :func:`planned_parameters`.
        inner: likewise.
        lengths: of the sequence.
    """
    s, t = lengths.source, lengths.target
    # A self-attention keeps what it reads, queries, keys, values and contexts; a feed-forward part what it reads, and
    # its inner numbers before and after their function.
    block = 2 * size.d_model + 4 * inner + 2 * size.d_ff
    cross = t * (size.d_model + 2 * inner) + s * 2 * inner if s else 0
    return size.layers * ((s + t) * block + cross) + t * size.vocab_size


def planned_map(layers: int, heads: int, lengths: Lengths) -> float:
    """Return how many numbers the attention weights of one sequence have, over all layers and sites."""
    s, t = lengths.source, lengths.target
    return layers * heads * (s * s + t * t + t * s)


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
