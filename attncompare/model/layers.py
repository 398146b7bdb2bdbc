"""The parts that both models are made of."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attncompare.attention import Attention, KeyValueCache
from attncompare.errors import Refused
from attncompare.attention.kernels.dropout import add_dropout

MakeAttention = Callable[[], Attention]
Weights = dict[str, Tensor]  # site -> weights of all its layers, (layers, B, H, T, S)


@dataclass(frozen=True)
class ModelSize:
    """The sizes of a transformer.

    Args:
        vocab_size: number V of tokens.
        max_length: longest sequence, in tokens.
        d_model: width D of the residual stream.
        layers: blocks in each stack.
        d_ff: inner width of the feed-forward part.
        dropout: probability on embeddings and on what each sublayer adds.
        positions: ``sinusoidal`` or ``learned``.
        source_vocab_size: number of tokens of a source with a vocabulary of its own; None: it shares that of the target.
        scale_embedding: whether embeddings are multiplied by sqrt(D) where they are read.
        bias: whether linear maps and norms have a bias.
    """

    vocab_size: int
    max_length: int
    d_model: int
    layers: int
    d_ff: int
    dropout: float
    positions: str
    source_vocab_size: int | None = None
    scale_embedding: bool = True
    bias: bool = True


class ModelOutput(NamedTuple):
    """What a model says of every position: logits (B, T, V), and the attention weights by site where they were asked for."""

    logits_BTV: Tensor
    weights: Weights | None


@dataclass
class BlockCache:
    """The attention caches of one block: for its self-attention, and for its cross-attention where it has one."""

    self_attention: KeyValueCache = field(default_factory=KeyValueCache)
    cross_attention: KeyValueCache = field(default_factory=KeyValueCache)


class Embedding(nn.Module):
    """Tokens to vectors and, with the same matrix, vectors to logits (Press and Wolf 2017; Vaswani et al. 2017, section 3.4).

    Args:
        size: the sizes of the model.
        vocab_size: number of tokens, where it is not that of ``size``.
    """

    sinusoids_TD: Tensor

    def __init__(self, size: ModelSize, vocab_size: int | None = None) -> None:
        super().__init__()
        self.scale = math.sqrt(size.d_model) if size.scale_embedding else 1.0
        self.max_length = size.max_length
        self.tokens = nn.Embedding(vocab_size or size.vocab_size, size.d_model)
        if size.positions == "learned":
            self.positions = nn.Embedding(size.max_length, size.d_model)
        else:
            # No parameter and no part of a checkpoint: it follows from the sizes.
            self.register_buffer("sinusoids_TD", sinusoids(size.max_length, size.d_model), persistent=False)
        self.dropout = size.dropout

    def forward(self, tokens_BT: Tensor, start: int = 0) -> Tensor:
        """Return the vectors (B, T, D) of tokens that stand at positions ``start``, ``start + 1``, ...

        Raises:
            Refused: if the last of these positions is beyond ``max_length``.
        """
        end = start + tokens_BT.shape[1]
        if end > self.max_length:
            raise Refused(f"a sequence of {end} tokens: the model's max_length is {self.max_length}")
        table_TD = self.positions.weight if hasattr(self, "positions") else self.sinusoids_TD
        x_BTD = self.tokens(tokens_BT) * self.scale + table_TD[start:end]
        return add_dropout(None, x_BTD, self.dropout if self.training else 0.0)

    def logits(self, x_BTD: Tensor) -> Tensor:
        """Return the logits (B, T, V)."""
        return F.linear(x_BTD, self.tokens.weight)


def sinusoids(length: int, d_model: int) -> Tensor:
    """Return the position vectors (T, D) of Vaswani et al. 2017, section 3.5."""
    position_T1 = torch.arange(length)[:, None]
    frequency_D = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10_000.0) / d_model))
    angle_TD = position_T1 * frequency_D
    return torch.stack((angle_TD.sin(), angle_TD.cos()), dim=-1).flatten(1)[:, :d_model]


class FeedForward(nn.Module):
    """Two linear maps with a GELU between them (Vaswani et al. 2017, section 3.3; Hendrycks and Gimpel 2016)."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.inner = nn.Linear(size.d_model, size.d_ff, bias=size.bias)
        self.outer = nn.Linear(size.d_ff, size.d_model, bias=size.bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return (B, T, D)."""
        return self.outer(F.gelu(self.inner(x_BTD)))


class Block(nn.Module):
    """Self-attention, cross-attention where there is a memory, feed-forward: each normalized first, then added.

    This order of norms is that of Xiong et al. 2020.
    """

    def __init__(self, size: ModelSize, make_attention: MakeAttention, causal: bool, cross: bool) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(size.d_model, bias=size.bias)
        self.self_attention = make_attention()
        self.self_attention.causal |= causal
        if cross:
            self.cross_norm = nn.LayerNorm(size.d_model, bias=size.bias)
            self.cross_attention = make_attention()
        self.feed_forward_norm = nn.LayerNorm(size.d_model, bias=size.bias)
        self.feed_forward = FeedForward(size)
        self.dropout = size.dropout

    def forward(
        self,
        x_BTD: Tensor,
        may_attend: Tensor | None = None,
        memory_BSD: Tensor | None = None,
        memory_may_attend: Tensor | None = None,
        need_weights: bool = False,
        cache: BlockCache | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the new stream (B, T, D), and the weights of self- and cross-attention or ``None``.

        A memory may have fewer rows than the stream, each for as many neighbouring rows, such as the beams of a sentence,
        if ``memory_may_attend`` says the same to all queries, (rows, 1, 1, S). The cross weights are (rows, H, queries, S).
        """
        added_BTD, self_weights = self.self_attention(
            self.self_norm(x_BTD),
            may_attend=may_attend,
            need_weights=need_weights,
            cache=cache and cache.self_attention,
        )
        x_BTD = self._add(x_BTD, added_BTD)
        cross_weights = None
        if memory_BSD is not None:
            # Rows that share a memory are queries beside each other: its keys and values are there once for all of them.
            added_BTD, cross_weights = self.cross_attention(
                self.cross_norm(x_BTD).reshape(len(memory_BSD), -1, x_BTD.shape[2]),
                memory_BSD,
                may_attend=memory_may_attend,
                need_weights=need_weights,
                cache=cache and cache.cross_attention,
            )
            x_BTD = self._add(x_BTD, added_BTD.view_as(x_BTD))
        x_BTD = self._add(x_BTD, self.feed_forward(self.feed_forward_norm(x_BTD)))
        return x_BTD, self_weights, cross_weights

    def _add(self, x_BTD: Tensor, added_BTD: Tensor) -> Tensor:
        return add_dropout(x_BTD, added_BTD, self.dropout if self.training else 0.0)
