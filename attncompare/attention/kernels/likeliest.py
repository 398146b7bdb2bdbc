"""The likeliest tokens of a search, and how likely they are."""

import ctypes

import torch
from torch import Tensor

from attncompare.attention.kernels.build import at, compiled, serves

_FEW = 64  # of more, torch's sorting is faster


def likeliest(logits_NV: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the log-probabilities (N, C) of the ``count`` likeliest tokens of each row, or of all, and these tokens.

    They stand by logit, equal ones by id. Log-probabilities are float64. The compiled loops take the lowest ids of equal
    logits where not all can be among them; elsewhere that is the choice of ``torch.topk``: the same for the same row.
    """
    count = min(count, logits_NV.shape[1])
    if serves(logits_NV) and logits_NV.dtype == torch.float32 and count <= _FEW:
        return _by_loops(logits_NV.contiguous(), count)
    logit_NC, token_NC = logits_NV.topk(count, dim=1)
    token_NC, by_id_NC = token_NC.sort(dim=1)
    logit_NC, by_logit_NC = logit_NC.gather(1, by_id_NC).sort(dim=1, descending=True, stable=True)
    all_N1 = logits_NV.double().logsumexp(1, keepdim=True)
    return logit_NC.double() - all_N1, token_NC.gather(1, by_logit_NC)


def _by_loops(logits_NV: Tensor, count: int) -> tuple[Tensor, Tensor]:
    rows, vocabulary = logits_NV.shape
    logit_NC, all_N1 = logits_NV.new_empty(rows, count), logits_NV.new_empty(rows, 1, dtype=torch.float64)
    token_NC = torch.empty(rows, count, dtype=torch.int64)
    numbers = map(ctypes.c_int64, (rows, vocabulary, count, torch.get_num_threads()))
    compiled().likeliest(at(logits_NV), at(logit_NC), at(token_NC), at(all_N1), *numbers)
    return logit_NC.double() - all_N1, token_NC
