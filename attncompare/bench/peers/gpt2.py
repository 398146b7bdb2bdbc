"""Hugging Face's GPT-2 (``GPT2LMHeadModel``) with random weights."""

import torch.nn.functional as F
from torch import Tensor, nn

from attncompare.bench.peers.installed import library
from attncompare.bench.peers.sizes import Sizes
from attncompare.data.batches import TextBatch


class Gpt2(nn.Module):
    """``GPT2LMHeadModel`` of these sizes, with fused attention (``sdpa``); its linear maps have biases.

    Raises:
        LeftOut: if transformers is not installed.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        transformers = library("transformers")
        config = transformers.GPT2Config(
            vocab_size=sizes.vocab_size,
            n_positions=sizes.max_length,
            n_embd=sizes.d_model,
            n_layer=sizes.layers,
            n_head=sizes.heads,
            n_inner=sizes.d_ff,
            resid_pdrop=sizes.dropout,
            embd_pdrop=sizes.dropout,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
            use_cache=False,
            attn_implementation="sdpa",
        )
        self.model = transformers.GPT2LMHeadModel(config)

    def loss(self, batch: TextBatch) -> Tensor:
        """Return the mean cross-entropy of the next tokens: of the batch's own targets, one more than ``labels`` would give."""
        logits_BTV = self.model(input_ids=batch.input_BT).logits
        return F.cross_entropy(logits_BTV.flatten(0, 1), batch.target_BT.flatten())
