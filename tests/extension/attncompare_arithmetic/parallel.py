"""A decoder whose blocks compute attention and feed-forward side by side (Wang and Komatsuzaki 2021, GPT-J)."""

from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from attncompare.attention import KeyValueCache
from attncompare.config.values import Positive, PositiveFloat
from attncompare.model import (
    Backbone,
    BackboneConfig,
    Lengths,
    MakeAttention,
    ModelOutput,
    Site,
    Vocabulary,
)


class ParallelConfig(BackboneConfig):
    """The sizes of the blocks."""

    layers: Positive
    d_ff: Positive
    layer_scale: PositiveFloat


class Parallel(Backbone):
    """Builds the decoder; there is no encoder-decoder, so that tasks on pairs are refused."""

    Config = ParallelConfig

    @staticmethod
    def decoder_only(config: ParallelConfig, size: Vocabulary, make_attention: MakeAttention) -> "ParallelDecoder":
        """Return the model of a text."""
        return ParallelDecoder(config, size, make_attention)


class ParallelBlock(nn.Module):
    """``x + scale * (attention(norm(x)) + feed_forward(norm(x)))`` with a learned scale (Touvron et al. 2021)."""

    def __init__(self, config: ParallelConfig, make_attention: MakeAttention, layer: int) -> None:
        super().__init__()
        self.layer_scale = config.layer_scale
        self.norm = nn.LayerNorm(config.d_model)
        self.attention = make_attention("decoder", layer)
        self.attention.causal = True
        self.inner = nn.Linear(config.d_model, config.d_ff)
        self.outer = nn.Linear(config.d_ff, config.d_model)
        self.scale_D = nn.Parameter(torch.ones(config.d_model))

    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Fill a parameter of the block itself; those of norms, linear maps, embeddings and scores have their rules."""
        parameter.fill_(self.layer_scale)

    def forward(self, x_BTD: Tensor, need_weights: bool, cache: KeyValueCache | None) -> tuple[Tensor, Tensor | None]:
        """Return the output of the block (B, T, D), and the weights if they are needed."""
        normed_BTD = self.norm(x_BTD)
        attended_BTD, weights_BHTS = self.attention(normed_BTD, need_weights=need_weights, cache=cache)
        return x_BTD + self.scale_D * (attended_BTD + self.outer(F.gelu(self.inner(normed_BTD)))), weights_BHTS


class ParallelDecoder(nn.Module):
    """Learned positions, blocks, a norm; input and output share the embedding."""

    sites: ClassVar = {"decoder_self": Site("decoder self-attention", queries="target", keys="target")}

    def __init__(self, config: ParallelConfig, size: Vocabulary, make_attention: MakeAttention) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.target, config.d_model)
        self.positions = nn.Embedding(size.max_length, config.d_model)
        layers = range(1, config.layers + 1)
        self.blocks: Any = nn.ModuleList(ParallelBlock(config, make_attention, layer) for layer in layers)
        self.norm = nn.LayerNorm(config.d_model)

    def forward(
        self,
        input_BT: Tensor,
        need_weights: bool = False,
        caches: list[KeyValueCache] | None = None,
        start: int = 0,
    ) -> ModelOutput:
        """Return logits (B, T, V) and weights."""
        x_BTD, weights = self._read(input_BT, need_weights, caches, start)
        logits_BTV = F.linear(x_BTD, self.output_weight)
        return ModelOutput(logits_BTV, {"decoder_self": torch.stack(weights)} if need_weights else None)

    def hidden(self, input_BT: Tensor) -> Tensor:
        """Return what logits are made of (B, T, D)."""
        return self._read(input_BT, False, None, 0)[0]

    @property
    def output_weight(self) -> Tensor:
        """The embedding (V, D)."""
        return self.tokens.weight

    def new_caches(self) -> list[KeyValueCache]:
        """Return an empty cache for each block."""
        return [KeyValueCache() for _ in self.blocks]

    def forward_flops(self, lengths: Lengths) -> float:
        """Return the operations of products and scores; those on single numbers, such as norms, do not count."""
        T = lengths.target
        blocks = sum(block.attention.flops(T, T) + 4 * T * block.inner.weight.numel() for block in self.blocks)
        return blocks + 2 * T * self.tokens.weight.numel()

    def _read(
        self, input_BT: Tensor, need_weights: bool, caches: list[KeyValueCache] | None, start: int
    ) -> tuple[Tensor, list[Tensor]]:
        places_T = torch.arange(start, start + input_BT.shape[1], device=input_BT.device)
        x_BTD, weights = self.tokens(input_BT) + self.positions(places_T), []
        nothing: list[Any] = [None] * len(self.blocks)
        for block, cache in zip(self.blocks, caches or nothing, strict=True):
            x_BTD, weights_BHTS = block(x_BTD, need_weights, cache)
            weights.append(weights_BHTS)
        return self.norm(x_BTD), weights
