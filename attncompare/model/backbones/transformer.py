"""``backbone=transformer``: transformers around the attention module (Vaswani et al. 2017).

They are pre-norm by default (Xiong et al. 2020); their settings hold the forms of BERT, GPT-2 and T5 (``conf/experiment/``).
"""

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attncompare.attention import KeyValueCache, padding_mask
from attncompare.attention.kernels.dropout import add_dropout
from attncompare.config.values import Positive, Probability
from attncompare.errors import Refused
from attncompare.model.base import (
    Backbone,
    BackboneConfig,
    Lengths,
    MakeAttention,
    ModelOutput,
    Site,
    Vocabulary,
    Weights,
    by_layer,
    is_there,
)


class TransformerConfig(BackboneConfig):
    """``backbone``: the same sizes in encoder and decoder."""

    layers: Positive
    d_ff: Positive
    activation: Literal["gelu", "gelu_tanh", "relu", "silu"] = "gelu"
    gated: bool = False
    norm: Literal["layer", "rms"] = "layer"
    norm_order: Literal["pre", "post"] = "pre"
    dropout: Probability
    positions: Literal["sinusoidal", "learned", "none"]
    scale_embedding: bool
    bias: bool
    init: Literal["xavier", "gpt2"]


class Transformer(Backbone):
    """Builds the three models of this backbone."""

    Config = TransformerConfig

    @staticmethod
    def decoder_only(config: TransformerConfig, size: Vocabulary, make_attention: MakeAttention) -> "DecoderOnly":
        """Return a decoder for text."""
        return DecoderOnly(config, size, make_attention)

    @staticmethod
    def encoder_only(config: TransformerConfig, size: Vocabulary, make_attention: MakeAttention) -> "EncoderOnly":
        """Return an encoder of text or vectors."""
        return EncoderOnly(config, size, make_attention)

    @staticmethod
    def encoder_decoder(config: TransformerConfig, size: Vocabulary, make_attention: MakeAttention) -> "EncoderDecoder":
        """Return an encoder-decoder for pairs of sentences."""
        return EncoderDecoder(config, size, make_attention)


@dataclass
class BlockCache:
    """The attention caches of one block: for its self-attention, and for its cross-attention where it has one."""

    self_attention: KeyValueCache = field(default_factory=KeyValueCache)
    cross_attention: KeyValueCache = field(default_factory=KeyValueCache)

    def keep(self, rows_N: Tensor, sources_B: Tensor | None = None) -> None:
        """Go on with these rows of the batch and, unless None, these rows of the memory; one may be named more than once."""
        self.self_attention.keep(rows_N)
        if sources_B is not None:
            self.cross_attention.keep(sources_B)


def make_norm(config: TransformerConfig) -> nn.Module:
    """Return a norm of vectors of width D: by mean and variance (Ba et al. 2016), or by size alone (Zhang and Sennrich 2019).

    The latter has no bias.
    """
    if config.norm == "rms":
        return nn.RMSNorm(config.d_model, eps=1e-6)
    return nn.LayerNorm(config.d_model, bias=config.bias)


def make_last_norm(config: TransformerConfig) -> nn.Module:
    """Return the norm behind a stack of blocks, which is none where each block ends with a norm."""
    return make_norm(config) if config.norm_order == "pre" else nn.Identity()


class Embedding(nn.Module):
    """Tokens to vectors and, with the same matrix, vectors to logits (Press and Wolf 2017; Vaswani et al. 2017, section 3.4).

    Args:
        config: the sizes of the model.
        tokens: number of tokens.
        max_length: longest sequence, in tokens or vectors.
        features: numbers in each vector, where a sequence is not of tokens but of vectors, such as patches of an image; a
            linear map takes the place of the table then (Dosovitskiy et al. 2020, equation 1). None: it is of tokens.
    """

    sinusoids_TD: Tensor

    def __init__(self, config: TransformerConfig, tokens: int, max_length: int, features: int | None = None) -> None:
        super().__init__()
        self.scale = math.sqrt(config.d_model) if config.scale_embedding else 1.0
        self.max_length = max_length
        if features is None:
            self.tokens = nn.Embedding(tokens, config.d_model)
        else:
            self.vectors = nn.Linear(features, config.d_model, bias=config.bias)
        if config.positions == "learned":
            self.positions = nn.Embedding(max_length, config.d_model)
        elif config.positions == "sinusoidal":
            # No parameter and no part of a checkpoint: it follows from the sizes.
            self.register_buffer("sinusoids_TD", sinusoids(max_length, config.d_model), persistent=False)
        # The first block of a post-norm stack reads what is normalized already, like all others (Devlin et al. 2018).
        self.norm = make_norm(config) if config.norm_order == "post" else nn.Identity()
        self.dropout = config.dropout

    def forward(self, tokens_BT: Tensor, start: int = 0) -> Tensor:
        """Return the vectors (B, T, D) of what stands at positions ``start``, ``start + 1``, ...

        Of vectors, (B, T, features), those of NaN are padding.

        Raises:
            Refused: if the last of these positions is beyond ``max_length``.
        """
        end = start + tokens_BT.shape[1]
        if end > self.max_length:
            raise Refused(f"a sequence of {end} tokens: the model's max_length is {self.max_length}")
        of_vectors = hasattr(self, "vectors")
        x_BTD = self.vectors(tokens_BT.nan_to_num()) if of_vectors else self.tokens(tokens_BT) * self.scale
        if hasattr(self, "positions"):
            x_BTD = x_BTD + self.positions.weight[start:end]
        elif hasattr(self, "sinusoids_TD"):
            x_BTD = x_BTD + self.sinusoids_TD[start:end]
        return add_dropout(None, self.norm(x_BTD), self.dropout if self.training else 0.0)

    def logits(self, x_BTD: Tensor) -> Tensor:
        """Return the logits (B, T, V)."""
        return F.linear(x_BTD, self.tokens.weight)


def sinusoids(length: int, d_model: int) -> Tensor:
    """Return the position vectors (T, D) of Vaswani et al. 2017, section 3.5."""
    position_T1 = torch.arange(length)[:, None]
    frequency_D = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10_000.0) / d_model))
    angle_TD = position_T1 * frequency_D
    return torch.stack((angle_TD.sin(), angle_TD.cos()), dim=-1).flatten(1)[:, :d_model]


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,  # Hendrycks and Gimpel 2016
    "gelu_tanh": functools.partial(F.gelu, approximate="tanh"),  # the same paper's approximation, as in GPT-2
    "relu": F.relu,
    "silu": F.silu,
}


class FeedForward(nn.Module):
    """Two linear maps with an activation between them (Vaswani et al. 2017, section 3.3).

    ``gated``: what the activation gives is multiplied by a further map of the input (Shazeer 2020, equation 6).
    """

    residual: ClassVar = ("outer",)  # maps whose results are added to the stream

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[config.activation]
        self.inner = nn.Linear(config.d_model, config.d_ff, bias=config.bias)
        self.gate = nn.Linear(config.d_model, config.d_ff, bias=config.bias) if config.gated else None
        self.outer = nn.Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return (B, T, D)."""
        inner_BTF = self.activation(self.inner(x_BTD))
        return self.outer(inner_BTF if self.gate is None else inner_BTF * self.gate(x_BTD))

    def flops(self, positions: float) -> float:
        """Return the operations of a forward pass over so many positions."""
        maps = [one for one in (self.inner, self.gate, self.outer) if one is not None]
        return 2 * positions * sum(one.weight.numel() for one in maps)


class Block(nn.Module):
    """Self-attention, cross-attention where there is a memory, feed-forward: each added to the stream.

    ``norm_order=pre``: each reads the stream normalized (Xiong et al. 2020); ``post``: the sum is normalized (Vaswani et al.
    2017, section 3.1).
    """

    def __init__(
        self, config: TransformerConfig, make_attention: MakeAttention, site: str, layer: int, cross: bool = False
    ) -> None:
        super().__init__()
        self.self_norm = make_norm(config)
        self.self_attention = make_attention(site, layer)
        self.self_attention.causal |= site == "decoder"
        if cross:
            self.cross_norm = make_norm(config)
            self.cross_attention = make_attention("cross", layer)
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = FeedForward(config)
        self.post_norm = config.norm_order == "post"
        self.dropout = config.dropout

    def forward(
        self,
        x_BTD: Tensor,
        may_attend: Tensor | None = None,
        memory_BSD: Tensor | None = None,
        memory_may_attend: Tensor | None = None,
        need_weights: bool = False,
        cache: BlockCache | None = None,
        start: int = 0,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the new stream (B, T, D), and the weights of self- and cross-attention or ``None``.

        A memory may have fewer rows than the stream, each for as many neighbouring rows, such as the beams of a sentence,
        if ``memory_may_attend`` says the same to all queries, (rows, 1, 1, S). The cross weights are (rows, H, queries, S).
        ``start`` is the position of the first query.
        """
        added_BTD, self_weights = self.self_attention(
            self._read(self.self_norm, x_BTD),
            may_attend=may_attend,
            need_weights=need_weights,
            cache=cache and cache.self_attention,
        )
        x_BTD = self._add(self.self_norm, x_BTD, added_BTD)
        cross_weights = None
        if memory_BSD is not None:
            # Rows that share a memory are queries beside each other: its keys and values are there once for all of them.
            added_BTD, cross_weights = self.cross_attention(
                self._read(self.cross_norm, x_BTD).reshape(len(memory_BSD), -1, x_BTD.shape[2]),
                memory_BSD,
                may_attend=memory_may_attend,
                need_weights=need_weights,
                cache=cache and cache.cross_attention,
                start=start,
                beside=len(x_BTD) // len(memory_BSD),
            )
            x_BTD = self._add(self.cross_norm, x_BTD, added_BTD.view_as(x_BTD))
        added_BTD = self.feed_forward(self._read(self.feed_forward_norm, x_BTD))
        x_BTD = self._add(self.feed_forward_norm, x_BTD, added_BTD)
        return x_BTD, self_weights, cross_weights

    def flops(self, queries: float, memory: float | None = None) -> float:
        """Return the operations of a forward pass over so many positions, which attend to each other and to a memory."""
        total = self.self_attention.flops(queries, queries) + self.feed_forward.flops(queries)
        return total if memory is None else total + self.cross_attention.flops(queries, memory)

    def _read(self, norm: nn.Module, x_BTD: Tensor) -> Tensor:
        return x_BTD if self.post_norm else norm(x_BTD)

    def _add(self, norm: nn.Module, x_BTD: Tensor, added_BTD: Tensor) -> Tensor:
        sum_BTD = add_dropout(x_BTD, added_BTD, self.dropout if self.training else 0.0)
        return norm(sum_BTD) if self.post_norm else sum_BTD


class DecoderOnly(nn.Module):
    """Says of each position which token comes next, given the tokens up to there.

    Args:
        config: the sizes; input and output share one embedding.
        size: of the vocabulary and the sequences.
        make_attention: called once for each block.
    """

    sites: ClassVar = {"decoder_self": Site("decoder self-attention", queries="target", keys="target")}

    def __init__(self, config: TransformerConfig, size: Vocabulary, make_attention: MakeAttention) -> None:
        super().__init__()
        self.embedding = Embedding(config, size.target, size.max_length)
        self.decoder = nn.ModuleList(
            Block(config, make_attention, "decoder", layer) for layer in range(1, config.layers + 1)
        )
        self.decoder_norm = make_last_norm(config)

    def forward(
        self, input_BT: Tensor, need_weights: bool = False, caches: list[BlockCache] | None = None, start: int = 0
    ) -> ModelOutput:
        """Return the logits (B, T, V) of the token after each position.

        With ``caches`` (see :meth:`new_caches`), ``input_BT`` holds only the tokens since the last call, of which the
        first stands at position ``start``.
        """
        x_BTD, weights = self._read(input_BT, need_weights, caches, start)
        return ModelOutput(self.embedding.logits(x_BTD), weights)

    @property
    def output_weight(self) -> Tensor:
        """The matrix (V, D) that makes logits of :meth:`hidden`."""
        return self.embedding.tokens.weight

    def hidden(self, input_BT: Tensor) -> Tensor:
        """Return what the logits are made of (B, T, D): the decoder's stream, normalized."""
        return self._read(input_BT)[0]

    def _read(
        self, input_BT: Tensor, need_weights: bool = False, caches: list[BlockCache] | None = None, start: int = 0
    ) -> tuple[Tensor, Weights | None]:
        x_BTD = self.embedding(input_BT, start)
        weights = []
        for block, cache in zip(self.decoder, caches or itertools.repeat(None, len(self.decoder)), strict=True):
            x_BTD, block_weights, _ = block(x_BTD, need_weights=need_weights, cache=cache)
            weights.append(block_weights)
        return self.decoder_norm(x_BTD), {"decoder_self": by_layer(weights)} if need_weights else None

    def new_caches(self) -> list[BlockCache]:
        """Return empty caches, one for each block."""
        return [BlockCache() for _ in self.decoder]

    def forward_flops(self, lengths: Lengths) -> float:
        """Return the operations of the forward pass over one sequence (:func:`attncompare.model.base.train_flops_per_token`)."""
        logits = 2 * lengths.target * self.embedding.tokens.weight.numel()
        return logits + sum(cast(Block, block).flops(lengths.target) for block in self.decoder)


class Encoder(nn.Module):
    """What reads a source: an embedding of its own, unless it shares that of the target, and the encoder's blocks."""

    def __init__(self, config: TransformerConfig, size: Vocabulary, make_attention: MakeAttention) -> None:
        super().__init__()
        self.pad = size.pad
        longest = size.max_source or size.max_length
        if size.features is not None or size.source is not None:
            self.source_embedding = Embedding(config, size.source or 0, longest, size.features)
        self.encoder = nn.ModuleList(
            Block(config, make_attention, "encoder", layer) for layer in range(1, config.layers + 1)
        )
        self.encoder_norm = make_last_norm(config)

    def source_mask(self, source_BS: Tensor) -> Tensor:
        """Return the mask (B, 1, 1, S) that hides the source's padding."""
        return padding_mask(is_there(source_BS, self.pad))

    def read_source(self, source_BS: Tensor) -> Tensor:
        """Return the vectors (B, S, D) of the source."""
        return cast(Embedding, self.source_embedding if hasattr(self, "source_embedding") else self.embedding)(
            source_BS
        )

    def encode(self, source_BS: Tensor, may_attend: Tensor, need_weights: bool = False) -> tuple[Tensor, Weights]:
        """Return the memory (B, S, D) and the encoder's weights."""
        x_BSD = self.read_source(source_BS)
        weights = []
        for block in self.encoder:
            x_BSD, block_weights, _ = block(x_BSD, may_attend, need_weights=need_weights)
            weights.append(block_weights)
        return self.encoder_norm(x_BSD), {"encoder_self": by_layer(weights)} if need_weights else {}

    def source_flops(self, lengths: Lengths) -> float:
        """Return the operations of the forward pass over the source."""
        maps = [m for m in self.modules() if isinstance(m, Embedding) and hasattr(m, "vectors")]
        embedding = sum(2 * lengths.source * one.vectors.weight.numel() for one in maps)
        return embedding + sum(cast(Block, block).flops(lengths.source) for block in self.encoder)


class EncoderOnly(Encoder):
    """Says something of each position of a sequence, all of which it sees (Devlin et al. 2018).

    Args:
        config: the sizes; input and output share one embedding where they share a vocabulary.
        size: of the vocabularies and the sequences.
        make_attention: called once for each block.
    """

    sites: ClassVar = {"encoder_self": Site("encoder self-attention", queries="source", keys="source")}

    def __init__(self, config: TransformerConfig, size: Vocabulary, make_attention: MakeAttention) -> None:
        super().__init__(config, size, make_attention)
        if hasattr(self, "source_embedding"):
            self.output = nn.Linear(config.d_model, size.target, bias=False)
        else:
            self.embedding = Embedding(config, size.target, size.max_length)

    def forward(self, source_BS: Tensor, need_weights: bool = False) -> ModelOutput:
        """Return the logits (B, S, V) of each position."""
        x_BSD, weights = self.encode(source_BS, self.source_mask(source_BS), need_weights)
        return ModelOutput(F.linear(x_BSD, self.output_weight), weights if need_weights else None)

    @property
    def output_weight(self) -> Tensor:
        """The matrix (V, D) that makes logits of :meth:`hidden`."""
        return self.output.weight if hasattr(self, "output") else self.embedding.tokens.weight

    def hidden(self, source_BS: Tensor) -> Tensor:
        """Return what the logits are made of (B, S, D): the encoder's stream, normalized."""
        return self.encode(source_BS, self.source_mask(source_BS))[0]

    def forward_flops(self, lengths: Lengths) -> float:
        """Return the operations of the forward pass over one sequence (:func:`attncompare.model.base.train_flops_per_token`)."""
        logits = 2 * lengths.source * self.output_weight.numel()
        return logits + self.source_flops(lengths)


class EncoderDecoder(Encoder):
    """Reads a source sequence and says of each target position which token comes next.

    Args:
        config: the sizes; target and output share one embedding, and so does the source unless it has a vocabulary of
            its own.
        size: of the vocabularies and the sequences.
        make_attention: called once for each attention of each block.
    """

    sites: ClassVar = {
        "encoder_self": Site("encoder self-attention", queries="source", keys="source"),
        "decoder_self": Site("decoder self-attention", queries="target", keys="target"),
        "cross": Site("cross-attention", queries="target", keys="source"),
    }

    def __init__(self, config: TransformerConfig, size: Vocabulary, make_attention: MakeAttention) -> None:
        super().__init__(config, size, make_attention)
        self.embedding = Embedding(config, size.target, size.max_length)
        self.decoder = nn.ModuleList(
            Block(config, make_attention, "decoder", layer, cross=True) for layer in range(1, config.layers + 1)
        )
        self.decoder_norm = make_last_norm(config)

    def forward(self, source_BS: Tensor, target_BT: Tensor, need_weights: bool = False) -> ModelOutput:
        """Return the logits (B, T, V) of the token after each target position, given the target up to there."""
        may_attend = self.source_mask(source_BS)
        memory_BSD, encoder_weights = self.encode(source_BS, may_attend, need_weights)
        logits_BTV, decoder_weights = self.decode(target_BT, memory_BSD, may_attend, need_weights)
        return ModelOutput(logits_BTV, {**encoder_weights, **decoder_weights} if need_weights else None)

    @property
    def output_weight(self) -> Tensor:
        """The matrix (V, D) that makes logits of :meth:`hidden`."""
        return self.embedding.tokens.weight

    def hidden(self, source_BS: Tensor, target_BT: Tensor) -> Tensor:
        """Return what the logits are made of (B, T, D): the decoder's stream, normalized."""
        may_attend = self.source_mask(source_BS)
        memory_BSD, _ = self.encode(source_BS, may_attend)
        return self._decode(target_BT, memory_BSD, may_attend)[0]

    def decode(
        self,
        target_BT: Tensor,
        memory_BSD: Tensor,
        memory_may_attend: Tensor,
        need_weights: bool = False,
        caches: list[BlockCache] | None = None,
        start: int = 0,
    ) -> tuple[Tensor, Weights]:
        """Return the logits (B, T, V) and the decoder's weights.

        With ``caches`` (see :meth:`new_caches`), ``target_BT`` holds only the tokens since the last call, of which the
        first stands at position ``start``.
        """
        x_BTD, weights = self._decode(target_BT, memory_BSD, memory_may_attend, need_weights, caches, start)
        return self.embedding.logits(x_BTD), weights

    def _decode(
        self,
        target_BT: Tensor,
        memory_BSD: Tensor,
        memory_may_attend: Tensor,
        need_weights: bool = False,
        caches: list[BlockCache] | None = None,
        start: int = 0,
    ) -> tuple[Tensor, Weights]:
        x_BTD = self.embedding(target_BT, start)
        self_weights, cross_weights = [], []
        for block, cache in zip(self.decoder, caches or itertools.repeat(None, len(self.decoder)), strict=True):
            x_BTD, of_self, of_cross = block(
                x_BTD, None, memory_BSD, memory_may_attend, need_weights=need_weights, cache=cache, start=start
            )
            self_weights.append(of_self)
            cross_weights.append(of_cross)
        x_BTD = self.decoder_norm(x_BTD)
        if not need_weights:
            return x_BTD, {}
        return x_BTD, {"decoder_self": by_layer(self_weights), "cross": by_layer(cross_weights)}

    def new_caches(self) -> list[BlockCache]:
        """Return empty caches, one for each decoder block."""
        return [BlockCache() for _ in self.decoder]

    def forward_flops(self, lengths: Lengths) -> float:
        """Return the operations of the forward pass over one pair (:func:`attncompare.model.base.train_flops_per_token`)."""
        logits = 2 * lengths.target * self.embedding.tokens.weight.numel()
        decoder = sum(cast(Block, block).flops(lengths.target, lengths.source) for block in self.decoder)
        return logits + self.source_flops(lengths) + decoder
