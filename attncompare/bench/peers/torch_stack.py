"""``torch.nn.Transformer`` between an embedding and a loss."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attncompare.bench.peers.handwritten import HandwrittenTranslator, smoothed
from attncompare.bench.peers.sizes import Sizes
from attncompare.data.batches import PairBatch
from attncompare.data.tokenizer import PAD


class TorchStack(HandwrittenTranslator):
    """The hand-written translator with torch's own encoder and decoder in the place of its blocks."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        del self.encoder, self.decoder, self.encoder_norm, self.decoder_norm  # torch's stacks bring their own
        layer: dict[str, Any] = {
            "d_model": sizes.d_model,
            "nhead": sizes.heads,
            "dim_feedforward": sizes.d_ff,
            "dropout": sizes.dropout,
            "activation": F.gelu,
            "batch_first": True,
            "norm_first": True,
        }
        # Its own encoder would be the same, but warns that nested tensors do not go with norms that come first.
        encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**layer), sizes.layers, nn.LayerNorm(sizes.d_model), enable_nested_tensor=False
        )
        self.stack = nn.Transformer(num_decoder_layers=sizes.layers, custom_encoder=encoder, **layer)
        for one in (*encoder.layers, *self.stack.decoder.layers):
            one.dropout.p = 0.0  # inside the feed-forward part, where the other models have none
        for module in self.stack.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.dropout = 0.0

    def loss(self, batch: PairBatch) -> Tensor:
        """Return the label-smoothed cross-entropy, a mean over target tokens."""
        padding_BS = batch.source_BS == PAD
        target_BT = batch.target_BT[:, :-1]
        length = target_BT.shape[1]
        # A boolean mask: True where nothing may be seen, as for the padding.
        future_TT = torch.ones(length, length, dtype=torch.bool, device=target_BT.device).triu(1)
        x_BTD = self.stack(
            self._embed(batch.source_BS),
            self._embed(target_BT),
            tgt_mask=future_TT,
            src_key_padding_mask=padding_BS,
            memory_key_padding_mask=padding_BS,
            tgt_is_causal=True,
        )
        return smoothed(F.linear(x_BTD, self.tokens.weight), batch, self.smoothing)
