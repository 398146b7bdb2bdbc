"""Translators with random weights whose answers vary, and what they would say without any cache."""

import torch
from variants import make_encoder_decoder

from attncompare.data.tokenizer import BOS
from attncompare.decoding.search import TranslationSteps


def translator(variant, size, heads=None):
    """A fresh model whose answers vary; with its one embedding it would repeat what it reads for ever."""
    model = make_encoder_decoder(variant, size, heads)
    torch.nn.init.normal_(model.decoder_norm.weight, generator=torch.Generator().manual_seed(1))
    return model


class Recomputing(TranslationSteps):
    """Reads the whole beginning of every row again at each step; each row has its own copy of its source."""

    def __init__(self, model, source_BS):
        super().__init__(model, source_BS)
        self.source_NS, self.read_NT = source_BS, torch.empty(len(source_BS), 0, dtype=torch.int64)

    def logits(self, token_N):
        self.read_NT = torch.cat((self.read_NT, token_N[:, None]), dim=1)
        return self.model(self.source_NS, self.read_NT).logits_BTV[:, -1]

    def keep(self, rows_N, sources_B=None):  # noqa: ARG002
        self.read_NT, self.source_NS = self.read_NT[rows_N], self.source_NS[rows_N]


def log_probability(model, source_S, ids):
    """What the whole model gives the target ``ids`` in one pass."""
    target_T = torch.tensor([BOS, *ids])
    logits_TV = model(source_S[None], target_T[None, :-1]).logits_BTV[0].double()
    return logits_TV.log_softmax(-1)[torch.arange(len(ids)), target_T[1:]].sum().item()
