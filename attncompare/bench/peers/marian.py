"""Hugging Face's Marian (``MarianMTModel``) with random weights."""

from typing import Any

from torch import Tensor, nn

from attncompare.bench.peers.handwritten import smoothed
from attncompare.bench.peers.installed import library
from attncompare.bench.peers.sizes import Sizes
from attncompare.data.batches import PairBatch
from attncompare.data.tokenizer import BOS, EOS, PAD


class Marian(nn.Module):
    """``MarianMTModel`` of these sizes, with fused attention (``sdpa``); its norms come last, as Marian has them.

    Raises:
        LeftOut: if transformers is not installed.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.smoothing = sizes.smoothing
        transformers = library("transformers")
        both: dict[str, Any] = {
            f"{side}_{name}": value
            for side in ("encoder", "decoder")
            for name, value in {"layers": sizes.layers, "ffn_dim": sizes.d_ff, "attention_heads": sizes.heads}.items()
        }
        config = transformers.MarianConfig(
            vocab_size=sizes.vocab_size,
            d_model=sizes.d_model,
            max_position_embeddings=sizes.max_length,
            dropout=sizes.dropout,
            attention_dropout=0.0,
            activation_dropout=0.0,
            activation_function="gelu",
            scale_embedding=True,
            share_encoder_decoder_embeddings=True,
            pad_token_id=PAD,
            bos_token_id=BOS,
            eos_token_id=EOS,
            forced_eos_token_id=None,
            decoder_start_token_id=BOS,
            attn_implementation="sdpa",
            **both,
        )
        self.model = transformers.MarianMTModel(config)

    def loss(self, batch: PairBatch) -> Tensor:
        """Return the label-smoothed cross-entropy, a mean over target tokens."""
        logits_BTV = self.model(
            input_ids=batch.source_BS,
            attention_mask=(batch.source_BS != PAD).long(),
            decoder_input_ids=batch.target_BT[:, :-1],
            use_cache=False,
        ).logits
        return smoothed(logits_BTV, batch, self.smoothing)
