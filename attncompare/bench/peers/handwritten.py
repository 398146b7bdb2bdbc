"""The models as a plain script has them (after nanoGPT): torch's layers, its fused attention, its dropout, its loss."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attncompare.bench.peers.sizes import Sizes
from attncompare.data.batches import PairBatch, TextBatch
from attncompare.data.tokenizer import PAD


class _Attention(nn.Module):
    def __init__(self, sizes: Sizes, causal: bool, bias: bool) -> None:
        super().__init__()
        self.heads, self.causal = sizes.heads, causal
        self.projections = nn.Linear(sizes.d_model, 3 * sizes.d_model, bias=bias)
        self.output = nn.Linear(sizes.d_model, sizes.d_model, bias=bias)

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = (self.split(part) for part in self.projections(x_BTD).chunk(3, -1))
        return self.mix(q, k, v, mask)

    def across(self, x_BTD: Tensor, memory_BSD: Tensor, mask: Tensor) -> Tensor:
        width = x_BTD.shape[-1]
        weight, bias = self.projections.weight, self.projections.bias
        q = self.split(F.linear(x_BTD, weight[:width], bias[:width]))
        k, v = (self.split(part) for part in F.linear(memory_BSD, weight[width:], bias[width:]).chunk(2, -1))
        return self.mix(q, k, v, mask)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        context = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        return self.output(context.transpose(1, 2).flatten(2))

    def split(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class _Block(nn.Module):
    def __init__(self, sizes: Sizes, *, causal: bool, cross: bool, bias: bool) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(sizes.d_model, bias=bias), _Attention(sizes, causal, bias)
        if cross:
            self.cross_norm = nn.LayerNorm(sizes.d_model, bias=bias)
            self.cross_attention = _Attention(sizes, False, bias)
        self.last_norm = nn.LayerNorm(sizes.d_model, bias=bias)
        self.inner = nn.Linear(sizes.d_model, sizes.d_ff, bias=bias)
        self.outer = nn.Linear(sizes.d_ff, sizes.d_model, bias=bias)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x_BTD: Tensor, memory_BSD: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        own_mask = mask if memory_BSD is None else None
        x_BTD = x_BTD + self.dropout(self.attention(self.norm(x_BTD), own_mask))
        if memory_BSD is not None:
            assert mask is not None
            x_BTD = x_BTD + self.dropout(self.cross_attention.across(self.cross_norm(x_BTD), memory_BSD, mask))
        return x_BTD + self.dropout(self.outer(F.gelu(self.inner(self.last_norm(x_BTD)))))


class HandwrittenDecoder(nn.Module):
    """A GPT-2 without biases, its positions learned and its embedding tied."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.tokens = nn.Embedding(sizes.vocab_size, sizes.d_model)
        self.positions = nn.Embedding(sizes.max_length, sizes.d_model)
        self.dropout = nn.Dropout(sizes.dropout)
        self.blocks = nn.ModuleList(_Block(sizes, causal=True, cross=False, bias=False) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(sizes.d_model, bias=False)
        self.apply(_initialize)

    def loss(self, batch: TextBatch) -> Tensor:
        """Return the mean cross-entropy of the next tokens."""
        places = torch.arange(batch.input_BT.shape[1], device=batch.input_BT.device)
        x_BTD = self.dropout(self.tokens(batch.input_BT) + self.positions(places))
        for block in self.blocks:
            x_BTD = block(x_BTD)
        logits_BTV = F.linear(self.norm(x_BTD), self.tokens.weight)
        return F.cross_entropy(logits_BTV.flatten(0, 1), batch.target_BT.flatten())


class HandwrittenTranslator(nn.Module):
    """An encoder-decoder with its norms first, sinusoidal positions and one embedding for source, target and output."""

    places_TD: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.smoothing, self.scale = sizes.smoothing, math.sqrt(sizes.d_model)
        self.tokens = nn.Embedding(sizes.vocab_size, sizes.d_model)
        self.register_buffer("places_TD", _sinusoids(sizes.max_length, sizes.d_model), persistent=False)
        self.dropout = nn.Dropout(sizes.dropout)
        self.encoder = nn.ModuleList(_Block(sizes, causal=False, cross=False, bias=True) for _ in range(sizes.layers))
        self.encoder_norm = nn.LayerNorm(sizes.d_model)
        self.decoder = nn.ModuleList(_Block(sizes, causal=True, cross=True, bias=True) for _ in range(sizes.layers))
        self.decoder_norm = nn.LayerNorm(sizes.d_model)
        self.apply(_initialize)

    def loss(self, batch: PairBatch) -> Tensor:
        """Return the label-smoothed cross-entropy, a mean over target tokens."""
        mask_B11S = (batch.source_BS != PAD)[:, None, None]
        memory_BSD = self._embed(batch.source_BS)
        for block in self.encoder:
            memory_BSD = block(memory_BSD, mask=mask_B11S)
        memory_BSD = self.encoder_norm(memory_BSD)
        x_BTD = self._embed(batch.target_BT[:, :-1])
        for block in self.decoder:
            x_BTD = block(x_BTD, memory_BSD, mask_B11S)
        logits_BTV = F.linear(self.decoder_norm(x_BTD), self.tokens.weight)
        return smoothed(logits_BTV, batch, self.smoothing)

    def _embed(self, ids_BT: Tensor) -> Tensor:
        return self.dropout(self.tokens(ids_BT) * self.scale + self.places_TD[: ids_BT.shape[1]])


def smoothed(logits_BTV: Tensor, batch: PairBatch, smoothing: float) -> Tensor:
    """Return torch's label-smoothed cross-entropy of the next target tokens, without padding."""
    next_N = batch.target_BT[:, 1:].flatten()
    return F.cross_entropy(logits_BTV.float().flatten(0, 1), next_N, ignore_index=PAD, label_smoothing=smoothing)


def _sinusoids(length: int, width: int) -> Tensor:
    angles = torch.arange(length)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.cat((angles.sin(), angles.cos()), dim=1)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
