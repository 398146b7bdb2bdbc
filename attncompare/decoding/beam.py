"""Beam search: at each step the best few beginnings go on, and those that end are ranked by score."""

from typing import NamedTuple

import torch
from torch import Tensor

from attncompare.decoding.hypotheses import Ended, Hypothesis, length_penalty_of
from attncompare.decoding.stepping import TranslationSteps
from attncompare.errors import Refused
from attncompare.model.backbones.transformer import EncoderDecoder
from attncompare.attention.kernels.likeliest import likeliest


class _Open(NamedTuple):
    """The beginnings that go on: W for each of the B sentences that are not done, best first."""

    sentence_B: Tensor
    total_BW: Tensor
    """Log-probabilities, float64; -inf where there is no beginning."""
    tokens_BWT: Tensor


class _Candidates(NamedTuple):
    """The beginnings, one token longer, best first."""

    total_BC: Tensor
    parent_BC: Tensor
    token_BC: Tensor

    def choose(self, order_BC: Tensor) -> "_Candidates":
        return _Candidates(*(values_BC.gather(1, order_BC) for values_BC in self))


@torch.inference_mode()
def beam_search(
    model: EncoderDecoder,
    source_BS: Tensor,
    *,
    bos: int,
    eos: int,
    max_length: int,
    beam: int,
    length_penalty: float = 1.0,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """Return the ``n_best`` best translations of each row, best first, no two of them the same tokens.

    Of all beginnings, one token longer, the ``beam`` best by log-probability are looked at. Those among them that end
    become hypotheses; the ``beam`` best that do not end go on (Graves 2012, section 3, without its sum over equal
    outputs). At ``max_length`` tokens every beginning ends as it is. A sentence is done when it has ``beam`` hypotheses, or
    when nothing that is open could still become one of its ``n_best`` best: log-probabilities only fall, and no length is
    penalized less than the longest. Equal candidates rank by their beam, then by the token's logit, then by its id.

    Args:
        model: in evaluation mode.
        source_BS: token ids, padded.
        bos: the id that every target begins with.
        eos: the id that ends it.
        max_length: tokens of the longest translation.
        beam: how many beginnings go on; may exceed what there are.
        length_penalty: alpha of :func:`length_penalty_of`, from 0.
        n_best: how many, at most ``beam``.

    Raises:
        Refused: for a beam, length penalty or number of translations that cannot be.
    """
    require_possible(beam, length_penalty, n_best)
    steps = TranslationSteps(model, source_BS)
    ended = Ended(len(source_BS), n_best, max_length, source_BS.device)
    is_open = _at_first(source_BS)
    token_N = source_BS.new_full((len(source_BS),), bos)
    for length in range(1, max_length + 1):
        candidates = _candidates(steps.logits(token_N), is_open.total_BW, beam)
        end_BC = (candidates.token_BC == eos) | (length == max_length)
        _end(ended, is_open, candidates, end_BC, beam, length_penalty_of(length, length_penalty))
        order_BC = candidates.total_BC.masked_fill(end_BC, -torch.inf).sort(dim=1, descending=True, stable=True)
        going_on = candidates.choose(order_BC.indices[:, :beam])._replace(total_BC=order_BC.values[:, :beam])
        best_B = going_on.total_BC[:, 0] / length_penalty_of(max_length, length_penalty)
        count_B, worst_B = ended.count_B[is_open.sentence_B], ended.score_Bn[is_open.sentence_B, -1]
        left_B = ((count_B < beam) & (best_B > worst_B)).nonzero()[:, 0]
        if not len(left_B):
            break
        rows_BW = left_B[:, None] * is_open.total_BW.shape[1] + going_on.parent_BC[left_B]
        steps.keep(rows_BW.flatten(), left_B if len(left_B) < len(best_B) else None)
        is_open = _go_on(is_open, going_on, left_B)
        token_N = is_open.tokens_BWT[:, :, -1].flatten()
    return ended.lists()


def require_possible(beam: int, length_penalty: float, n_best: int) -> None:
    """Refuse what no search can be asked for.

    Raises:
        Refused: names the argument and what would be valid.
    """
    if beam < 1:
        raise Refused(f"beam={beam}: must be a positive integer")
    if not 1 <= n_best <= beam:
        raise Refused(f"n_best={n_best}: valid: 1 to beam={beam}")
    if not 0 <= length_penalty < torch.inf:
        raise Refused(f"length_penalty={length_penalty}: must be a number, 0 or more")


def _at_first(source_BS: Tensor) -> _Open:
    sentences = len(source_BS)
    return _Open(
        torch.arange(sentences, device=source_BS.device),
        torch.zeros(sentences, 1, dtype=torch.float64, device=source_BS.device),
        source_BS.new_empty(sentences, 1, 0),
    )


def _candidates(logits_NV: Tensor, total_BW: Tensor, beam: int) -> _Candidates:
    """Return the continuations that can matter: of each beginning one more than the beam, as one of them may end."""
    sentences, width = total_BW.shape
    gained_NC, token_NC = likeliest(logits_NV, beam + 1)
    total_BC = (total_BW.view(-1, 1) + gained_NC).view(sentences, -1)
    parent_W = torch.arange(width, device=total_BW.device).repeat_interleave(token_NC.shape[1])
    all_BC = _Candidates(total_BC, parent_W.expand(sentences, -1), token_NC.view(sentences, -1))
    return all_BC.choose(total_BC.sort(dim=1, descending=True, stable=True).indices)


def _end(ended: Ended, is_open: _Open, candidates: _Candidates, end_BC: Tensor, beam: int, penalty: float) -> None:
    """Make hypotheses of those among the ``beam`` best candidates that end."""
    total_BW = candidates.total_BC.masked_fill(~end_BC, -torch.inf)[:, :beam]
    hit_A = (total_BW > -torch.inf).any(1).nonzero()[:, 0]
    if len(hit_A):
        chosen = _Candidates(total_BW, candidates.parent_BC[:, :beam], candidates.token_BC[:, :beam])
        grown = _go_on(is_open, chosen, hit_A)
        ended.add(grown.sentence_B, grown.total_BW, penalty, grown.tokens_BWT)


def _go_on(is_open: _Open, chosen: _Candidates, left_B: Tensor) -> _Open:
    """Return what the chosen candidates of the sentences ``left_B`` have become."""
    parent_BW1 = chosen.parent_BC[left_B][..., None]
    before_BWT = is_open.tokens_BWT[left_B].gather(1, parent_BW1.expand(-1, -1, is_open.tokens_BWT.shape[2]))
    tokens_BWT = torch.cat((before_BWT, chosen.token_BC[left_B][..., None]), dim=2)
    return _Open(is_open.sentence_B[left_B], chosen.total_BC[left_B], tokens_BWT)
