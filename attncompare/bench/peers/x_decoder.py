"""A decoder of x-transformers."""

import torch.nn.functional as F
from torch import Tensor, nn

from attncompare.bench.peers.installed import library
from attncompare.bench.peers.sizes import Sizes
from attncompare.data.batches import TextBatch


class XDecoder(nn.Module):
    """``TransformerWrapper`` around a ``Decoder``: learned positions, tied embedding, fused attention.

    Raises:
        LeftOut: if x-transformers is not installed.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        x_transformers = library("x_transformers")
        self.model = x_transformers.TransformerWrapper(
            num_tokens=sizes.vocab_size,
            max_seq_len=sizes.max_length,
            emb_dropout=sizes.dropout,
            tie_embedding=True,
            attn_layers=x_transformers.Decoder(
                dim=sizes.d_model,
                depth=sizes.layers,
                heads=sizes.heads,
                attn_dim_head=sizes.d_model // sizes.heads,
                attn_flash=True,
                ff_mult=sizes.d_ff / sizes.d_model,
                layer_dropout=0.0,
                attn_dropout=0.0,
                ff_dropout=sizes.dropout,
            ),
        )

    def loss(self, batch: TextBatch) -> Tensor:
        """Return the mean cross-entropy of the next tokens."""
        logits_BTV = self.model(batch.input_BT)
        return F.cross_entropy(logits_BTV.flatten(0, 1), batch.target_BT.flatten())
