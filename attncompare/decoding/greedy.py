"""Greedy search: the likeliest token at each step."""

import torch
from torch import Tensor

from attncompare.decoding.stepping import TranslationSteps
from attncompare.model.backbones.transformer import EncoderDecoder


def greedy(model: EncoderDecoder, source_BS: Tensor, bos: int, eos: int, max_length: int) -> Tensor:
    """Return the target tokens (B, at most max_length) that follow from taking the likeliest token at each step.

    A row that has ended continues with padding; decoding stops when all have ended.
    """
    return greedy_with_totals(model, source_BS, bos, eos, max_length)[0].clone()  # no tensor of inference alone


@torch.inference_mode()
def greedy_with_totals(
    model: EncoderDecoder, source_BS: Tensor, bos: int, eos: int, max_length: int
) -> tuple[Tensor, Tensor]:
    """Return what :func:`greedy` does, and the log-probability (B,) of each row, float64, in nats."""
    steps = TranslationSteps(model, source_BS)
    token_B = source_BS.new_full((len(source_BS),), bos)
    ended_B = torch.zeros(len(source_BS), dtype=torch.bool, device=source_BS.device)
    total_B = torch.zeros(len(source_BS), dtype=torch.float64, device=source_BS.device)
    tokens: list[Tensor] = []
    for _ in range(max_length):
        logits_BV = steps.logits(token_B)
        token_B = logits_BV.argmax(-1)
        gained_B = logits_BV.gather(1, token_B[:, None])[:, 0].double() - logits_BV.logsumexp(-1).double()
        total_B += gained_B.masked_fill(ended_B, 0.0)
        token_B = token_B.masked_fill(ended_B, model.pad)
        tokens.append(token_B)
        ended_B |= token_B == eos
        if bool(ended_B.all()):
            break
    return torch.stack(tokens, dim=1), total_B
