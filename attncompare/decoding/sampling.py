"""Continuing a text by chance: temperature, top-k and top-p."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from attncompare.errors import Refused
from attncompare.model import TextModel


def sample(
    model: TextModel, prompt_T: Tensor, tokens: int, max_length: int, temperature: float, generator: Generator
) -> Tensor:
    """Return one prompt (T,), T > 0, continued as :func:`sample_rows` does."""
    return sample_rows(model, prompt_T[None], tokens, max_length, generator, temperature=temperature)[0]


def sample_rows(
    model: TextModel,
    prompt_NT: Tensor,
    tokens: int,
    max_length: int,
    generator: Generator,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos: int | None = None,
    seen: Callable[[Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Return each row of ``prompt_NT`` continued by ``tokens`` tokens drawn from the model.

    Args:
        model: a language model, in evaluation mode.
        prompt_NT: token ids (N, T), T > 0.
        tokens: how many to add.
        max_length: longest sequence that the model takes, and that is returned.
        generator: the source of chance, on the CPU; it alone decides, and the number of rows.
        temperature: logits are divided by it; below 1 prefers likely tokens, and 0 takes the likeliest alone.
        top_k: draw from the k likeliest tokens alone (Fan et al. 2018, section 5.4); None: from all.
        top_p: draw from the fewest likeliest tokens whose probabilities sum to p at least, the nucleus (Holtzman et al. 2020,
            section 3.1), after ``top_k``; None: from all.
        eos: stop when every row has drawn it; None: never.
        seen: called at each step with the model's own probabilities (N, V), before temperature, k and p, and what was drawn (N,).

    Raises:
        Refused: for a temperature, k or p that cannot be.
    """
    require_chances(temperature, top_k, top_p)
    with torch.inference_mode():
        caches = model.new_caches()
        sequence_NT, new_NT = prompt_NT, prompt_NT
        ended_N = torch.zeros(len(prompt_NT), dtype=torch.bool)
        for _ in range(min(tokens, max_length - prompt_NT.shape[1])):
            start = sequence_NT.shape[1] - new_NT.shape[1]
            logits_NV = model(new_NT, caches=caches, start=start).logits_BTV[:, -1].float().cpu()
            drawn_N1 = torch.multinomial(chances(logits_NV, temperature, top_k, top_p), 1, generator=generator)
            if seen is not None:
                seen(logits_NV.softmax(1), drawn_N1[:, 0])
            new_NT = drawn_N1.to(prompt_NT.device)
            sequence_NT = torch.cat((sequence_NT, new_NT), dim=1)
            if eos is not None:
                ended_N |= drawn_N1[:, 0] == eos
                if bool(ended_N.all()):
                    break
    return sequence_NT.clone()  # no tensor of inference alone


def chances(logits_NV: Tensor, temperature: float, top_k: int | None = None, top_p: float | None = None) -> Tensor:
    """Return the probabilities (N, V) that tokens are drawn with. Of equally likely tokens the smaller id is kept first."""
    if temperature == 0:  # the limit
        return chances(logits_NV, 1.0, top_k=1)
    # The largest becomes 0 before the division: however small the temperature, infinity appears below it alone.
    scaled_NV = (logits_NV - logits_NV.amax(1, keepdim=True)).double() / temperature
    if top_k is not None or top_p is not None:
        ordered_NV, token_NV = scaled_NV.sort(dim=1, descending=True, stable=True)
        if top_k is not None:
            ordered_NV[:, top_k:] = -torch.inf
        if top_p is not None:
            probability_NV = ordered_NV.softmax(1)
            before_NV = probability_NV.cumsum(1) - probability_NV  # of all that are likelier
            beyond_NV = before_NV >= top_p
            beyond_NV[:, 0] = False
            ordered_NV = ordered_NV.masked_fill(beyond_NV, -torch.inf)
        scaled_NV = torch.empty_like(scaled_NV).scatter_(1, token_NV, ordered_NV)
    return scaled_NV.softmax(1).float()


def require_chances(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Refuse what nothing can be drawn with.

    Raises:
        Refused: names the argument and what would be valid.
    """
    if not 0 <= temperature < torch.inf:
        raise Refused(f"temperature={temperature}: must be a number, 0 or more")
    if top_k is not None and top_k < 1:
        raise Refused(f"top_k={top_k}: must be a positive integer")
    if top_p is not None and not 0 < top_p <= 1:
        raise Refused(f"top_p={top_p}: must be above 0 and at most 1")
