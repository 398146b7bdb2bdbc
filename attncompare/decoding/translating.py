"""Translating a batch, or any number of sentences, with the search that the width asks for."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attncompare.decoding.beam import beam_search, require_possible
from attncompare.decoding.greedy import greedy_with_totals
from attncompare.decoding.hypotheses import Hypothesis, length_penalty_of
from attncompare.model.backbones.transformer import EncoderDecoder

_BATCH_TOKENS = 8192  # source tokens of a batch, padding and the copies for the beams included
_BATCH_ROWS = 64  # sentences; more would wait long for the longest translation among them


def translate_batch(
    model: EncoderDecoder,
    source_BS: Tensor,
    *,
    bos: int,
    eos: int,
    max_length: int,
    beam: int = 1,
    length_penalty: float = 1.0,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """Return the ``n_best`` best translations of each row of ``source_BS``, best first.

    A beam of 1 is :func:`attncompare.decoding.greedy`, with the same bits; a wider one
    :func:`attncompare.decoding.beam_search`, which also says what the arguments mean.

    Raises:
        Refused: for a beam, length penalty or number of translations that cannot be.
    """
    require_possible(beam, length_penalty, n_best)
    if beam > 1:
        return beam_search(
            *(model, source_BS),
            bos=bos,
            eos=eos,
            max_length=max_length,
            beam=beam,
            length_penalty=length_penalty,
            n_best=n_best,
        )
    ids_BT, total_B = greedy_with_totals(model, source_BS, bos, eos, max_length)
    rows = zip(ids_BT.tolist(), total_B.tolist(), strict=True)
    return [[_hypothesis(ids, total, eos, length_penalty)] for ids, total in rows]


def translate_all(
    model: EncoderDecoder,
    sources: Sequence[Sequence[int]],
    *,
    bos: int,
    eos: int,
    max_length: int,
    beam: int = 1,
    length_penalty: float = 1.0,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """Return what :func:`translate_batch` does for any number of sentences, in their order.

    They are translated in batches of similar length; each gets what it would get alone.

    Args:
        model: in evaluation mode.
        sources: the ids of each sentence.
        bos: as for :func:`translate_batch`, like the rest.
    """
    device = next(model.parameters()).device
    found: list[list[Hypothesis]] = [[] for _ in sources]
    for rows in batches_by_length([len(ids) for ids in sources], beam):
        padded = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(sources[row]) for row in rows], batch_first=True, padding_value=model.pad
        )
        answers = translate_batch(
            *(model, padded.to(device)),
            bos=bos,
            eos=eos,
            max_length=max_length,
            beam=beam,
            length_penalty=length_penalty,
            n_best=n_best,
        )
        for row, answer in zip(rows, answers, strict=True):
            found[row] = answer
    return found


def batches_by_length(lengths: Sequence[int], beam: int) -> Iterator[list[int]]:
    """Yield the rows of each batch, the longest first: at most ``_BATCH_ROWS``, and few enough to bound memory."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    while order:
        count = max(1, min(_BATCH_ROWS, _BATCH_TOKENS // (beam * max(1, lengths[order[0]]))))
        yield order[:count]
        order = order[count:]


def _hypothesis(ids: list[int], total: float, eos: int, alpha: float) -> Hypothesis:
    ids = ids[: ids.index(eos) + 1] if eos in ids else ids
    return Hypothesis(ids, total, total / length_penalty_of(len(ids), alpha))
