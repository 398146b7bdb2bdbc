"""Hugging Face's Marian (``MarianMTModel``) with random weights."""

from typing import Any

from torch import Tensor, nn

from attncompare.bench.fixed_lengths import ends
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

    def translated_lengths(self, source_BS: Tensor, beam: int) -> list[int]:
        """Return how many tokens the best translation of each row has, by ``generate``, EOS among them.

        Each ends when it is as long as its source: EOS cannot come before, and nothing else then.
        """
        may_attend_BS = source_BS != PAD
        length_N = may_attend_BS.sum(1).repeat_interleave(beam)

        def end_in_time(ids_NT: Tensor, scores_NV: Tensor) -> Tensor:
            scores_NV[:, EOS] = ends(length_N, ids_NT.shape[1], scores_NV.dtype)
            return scores_NV

        found_BT = self.model.generate(
            input_ids=source_BS,
            attention_mask=may_attend_BS.long(),
            num_beams=beam,
            early_stopping=True,  # as soon as there are as many hypotheses as beams, as our search does
            do_sample=False,
            max_new_tokens=source_BS.shape[1] + 1,
            logits_processor=[end_in_time],
            use_cache=True,
        )
        return ((found_BT == EOS).long().argmax(1)).tolist()  # BOS stands first
