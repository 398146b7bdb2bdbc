"""An encoder-decoder transformer (Vaswani et al. 2017, figure 1, with the norms first)."""

import itertools

import torch
from torch import Tensor, nn

from attncompare.attention import padding_mask
from attncompare.model.layers import Block, BlockCache, Embedding, MakeAttention, ModelOutput, ModelSize, Weights


class EncoderDecoder(nn.Module):
    """Reads a source sequence and says of each target position which token comes next.

    Args:
        size: the sizes; target and output share one embedding, and so does the source unless it has a vocabulary of its
            own.
        make_attention: called once for each attention of each block.
        pad: the id of padding tokens.
    """

    SITES = ("encoder_self", "decoder_self", "cross")

    def __init__(self, size: ModelSize, make_attention: MakeAttention, pad: int) -> None:
        super().__init__()
        self.pad = pad
        self.embedding = Embedding(size)
        if size.source_vocab_size is not None:
            self.source_embedding = Embedding(size, size.source_vocab_size)
        self.encoder = nn.ModuleList(Block(size, make_attention, causal=False, cross=False) for _ in range(size.layers))
        self.encoder_norm = nn.LayerNorm(size.d_model, bias=size.bias)
        self.decoder = nn.ModuleList(Block(size, make_attention, causal=True, cross=True) for _ in range(size.layers))
        self.decoder_norm = nn.LayerNorm(size.d_model, bias=size.bias)

    def forward(self, source_BS: Tensor, target_BT: Tensor, need_weights: bool = False) -> ModelOutput:
        """Return the logits (B, T, V) of the token after each target position, given the target up to there."""
        may_attend = self.source_mask(source_BS)
        memory_BSD, encoder_weights = self.encode(source_BS, may_attend, need_weights)
        logits_BTV, decoder_weights = self.decode(target_BT, memory_BSD, may_attend, need_weights)
        return ModelOutput(logits_BTV, {**encoder_weights, **decoder_weights} if need_weights else None)

    def hidden(self, source_BS: Tensor, target_BT: Tensor) -> Tensor:
        """Return what the logits are made of (B, T, D): the decoder's stream, normalized."""
        may_attend = self.source_mask(source_BS)
        memory_BSD, _ = self.encode(source_BS, may_attend)
        return self._decode(target_BT, memory_BSD, may_attend)[0]

    def source_mask(self, source_BS: Tensor) -> Tensor:
        """Return the mask (B, 1, 1, S) that hides the source's padding."""
        return padding_mask(source_BS != self.pad)

    def read_source(self, source_BS: Tensor) -> Tensor:
        """Return the vectors (B, S, D) of source tokens."""
        embedding = self.source_embedding if hasattr(self, "source_embedding") else self.embedding
        return embedding(source_BS)

    def encode(self, source_BS: Tensor, may_attend: Tensor, need_weights: bool = False) -> tuple[Tensor, Weights]:
        """Return the memory (B, S, D) and the encoder's weights."""
        x_BSD = self.read_source(source_BS)
        weights = []
        for block in self.encoder:
            x_BSD, block_weights, _ = block(x_BSD, may_attend, need_weights=need_weights)
            weights.append(block_weights)
        return self.encoder_norm(x_BSD), {"encoder_self": torch.stack(weights)} if need_weights else {}

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
                x_BTD, None, memory_BSD, memory_may_attend, need_weights=need_weights, cache=cache
            )
            self_weights.append(of_self)
            cross_weights.append(of_cross)
        x_BTD = self.decoder_norm(x_BTD)
        if not need_weights:
            return x_BTD, {}
        return x_BTD, {"decoder_self": torch.stack(self_weights), "cross": torch.stack(cross_weights)}

    def new_caches(self) -> list[BlockCache]:
        """Return empty caches, one for each decoder block."""
        return [BlockCache() for _ in self.decoder]
