"""A decoder-only transformer (Radford et al. 2019)."""

import itertools

import torch
from torch import Tensor, nn

from attncompare.model.layers import Block, BlockCache, Embedding, MakeAttention, ModelOutput, ModelSize, Weights


class DecoderOnly(nn.Module):
    """Says of each position which token comes next, given the tokens up to there.

    Args:
        size: the sizes; input and output share one embedding.
        make_attention: called once for each block.
    """

    SITES = ("decoder_self",)

    def __init__(self, size: ModelSize, make_attention: MakeAttention) -> None:
        super().__init__()
        self.embedding = Embedding(size)
        self.decoder = nn.ModuleList(Block(size, make_attention, causal=True, cross=False) for _ in range(size.layers))
        self.decoder_norm = nn.LayerNorm(size.d_model, bias=size.bias)

    def forward(
        self, input_BT: Tensor, need_weights: bool = False, caches: list[BlockCache] | None = None, start: int = 0
    ) -> ModelOutput:
        """Return the logits (B, T, V) of the token after each position.

        With ``caches`` (see :meth:`new_caches`), ``input_BT`` holds only the tokens since the last call, of which the
        first stands at position ``start``.
        """
        x_BTD, weights = self._read(input_BT, need_weights, caches, start)
        return ModelOutput(self.embedding.logits(x_BTD), weights)

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
        return self.decoder_norm(x_BTD), {"decoder_self": torch.stack(weights)} if need_weights else None

    def new_caches(self) -> list[BlockCache]:
        """Return empty caches, one for each block."""
        return [BlockCache() for _ in self.decoder]
