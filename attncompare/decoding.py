"""From a trained model to sequences, one token at a time, with a cache of projected keys and values."""

import torch
from torch import Generator, Tensor

from attncompare.model import DecoderOnly, EncoderDecoder


@torch.no_grad()
def greedy(model: EncoderDecoder, source_BS: Tensor, bos: int, eos: int, max_length: int) -> Tensor:
    """Return the target tokens (B, at most max_length) that follow from taking the likeliest token at each step.

    A row that has ended continues with padding; decoding stops when all have ended.
    """
    may_attend = model.source_mask(source_BS)
    memory_BSD, _ = model.encode(source_BS, may_attend)
    caches = model.new_caches()
    token_B1 = source_BS.new_full((len(source_BS), 1), bos)
    ended_B = torch.zeros(len(source_BS), dtype=torch.bool, device=source_BS.device)
    tokens: list[Tensor] = []
    for position in range(max_length):
        logits_B1V, _ = model.decode(token_B1, memory_BSD, may_attend, caches=caches, start=position)
        token_B1 = logits_B1V.argmax(-1).masked_fill(ended_B[:, None], model.pad)
        tokens.append(token_B1)
        ended_B |= token_B1[:, 0] == eos
        if bool(ended_B.all()):
            break
    return torch.cat(tokens, dim=1)


@torch.no_grad()
def sample(
    model: DecoderOnly, prompt_T: Tensor, tokens: int, max_length: int, temperature: float, generator: Generator
) -> Tensor:
    """Return ``prompt_T`` (not empty) continued by ``tokens`` tokens drawn from the model, in all at most ``max_length`` of them.

    Args:
        model: a language model.
        prompt_T: token ids (T,).
        tokens: how many to add.
        max_length: longest sequence that the model takes.
        temperature: logits are divided by it; below 1 prefers likely tokens.
        generator: the source of chance, on the CPU.
    """
    caches = model.new_caches()
    sequence_T, new_T = prompt_T, prompt_T
    for _ in range(min(tokens, max_length - len(prompt_T))):
        start = len(sequence_T) - len(new_T)
        logits_V = model(new_T[None], caches=caches, start=start).logits_BTV[0, -1].float().cpu()
        # The largest becomes 0 before the division: however small the temperature, infinity appears below it alone.
        weights_V = ((logits_V - logits_V.max()).double() / temperature).softmax(-1).float()
        new_T = torch.multinomial(weights_V, 1, generator=generator).to(prompt_T.device)
        sequence_T = torch.cat((sequence_T, new_T))
    return sequence_T
