"""From a translator to translations: greedy search and beam search, one token at a time, with a cache of keys and values."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attncompare.attention.kernels.likeliest import likeliest
from attncompare.data.tokenizer import PAD
from attncompare.errors import Refused
from attncompare.model import PairModel

_BATCH_TOKENS = 8192  # source tokens of a batch, padding and the copies for the beams included
_BATCH_ROWS = 64  # sentences; more would wait long for the longest translation among them


class TranslationSteps:
    """Reads the sources once; then each call reads one more target token of every row.

    The rows of one source stand beside each other, as many for each; the projected keys and values of the source are there
    once for all of them.

    Args:
        model: in evaluation mode.
        source_BS: token ids, padded.
    """

    def __init__(self, model: PairModel, source_BS: Tensor) -> None:
        self.model = model
        self.may_attend = model.source_mask(source_BS)
        self.memory_BSD, _ = model.encode(source_BS, self.may_attend)
        self.caches = model.new_caches()
        self.position = 0

    def logits(self, token_N: Tensor) -> Tensor:
        """Return the logits (N, V), float32 at least, of the token after ``token_N``, the newest of each row."""
        logits_N1V, _ = self.model.decode(
            token_N[:, None], self.memory_BSD, self.may_attend, caches=self.caches, start=self.position
        )
        self.position += 1
        logits_NV = logits_N1V[:, 0]
        return logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))

    def keep(self, rows_N: Tensor, sources_B: Tensor | None = None) -> None:
        """Go on with these rows, in this order; one may be named more than once.

        Args:
            rows_N: of those read so far.
            sources_B: the sources that they belong to, of those before, in order; None: all of them.
        """
        if sources_B is not None:
            self.memory_BSD, self.may_attend = self.memory_BSD[sources_B], self.may_attend[sources_B]
        for cache in self.caches:
            cache.keep(rows_N, sources_B)


class Hypothesis(NamedTuple):
    """One translation as the search left it."""

    ids: list[int]
    """Token ids; the last is EOS unless it is of the longest length."""
    log_probability: float
    """The sum over these tokens, in nats."""
    score: float
    """The log-probability divided by the length penalty: what hypotheses are ranked by."""


def length_penalty_of(length: int, alpha: float) -> float:
    """Return ``((5 + length) / 6)^alpha`` (Wu et al. 2016, equation 14); 1 for any length where alpha is 0.

    Args:
        length: tokens of the hypothesis, its EOS among them.
        alpha: how much longer translations are preferred.
    """
    return ((5 + length) / 6) ** alpha


class Ended:
    """The ``n_best`` best ended hypotheses of each sentence so far. Of equal scores the one that ended first is better."""

    def __init__(self, sentences: int, n_best: int, max_length: int, device: torch.device) -> None:
        self.score_Bn = torch.full((sentences, n_best), -torch.inf, dtype=torch.float64, device=device)
        self.total_Bn = self.score_Bn.clone()
        self.length_Bn = torch.zeros(sentences, n_best, dtype=torch.int64, device=device)
        self.tokens_BnT = torch.zeros(sentences, n_best, max_length, dtype=torch.int64, device=device)
        self.count_B = torch.zeros(sentences, dtype=torch.int64, device=device)

    def add(self, sentences_A: Tensor, total_AW: Tensor, penalty: float, tokens_AWT: Tensor) -> None:
        """Add hypotheses that end with the same token now.

        Args:
            sentences_A: which sentences, each once.
            total_AW: log-probabilities, best first; -inf where there is no hypothesis.
            penalty: the length penalty of all of them.
            tokens_AWT: their tokens.
        """
        length, n_best = tokens_AWT.shape[2], self.score_Bn.shape[1]
        new = (total_AW / penalty, total_AW, torch.full_like(tokens_AWT[..., 0], length), tokens_AWT)
        held = (self.score_Bn, self.total_Bn, self.length_Bn, self.tokens_BnT)
        scores = torch.cat((self.score_Bn[sentences_A], new[0]), dim=1)
        best_An = scores.sort(dim=1, descending=True, stable=True).indices[:, :n_best]
        for old, added in zip(held, new, strict=True):
            if old.dim() == 3:
                both = torch.cat((old[sentences_A, :, :length], added), dim=1)
                old[sentences_A, :, :length] = both.gather(1, best_An[..., None].expand(-1, -1, length))
            else:
                old[sentences_A] = torch.cat((old[sentences_A], added), dim=1).gather(1, best_An)
        self.count_B[sentences_A] += (total_AW > -torch.inf).sum(1)

    def lists(self) -> list[list[Hypothesis]]:
        """Return the hypotheses of each sentence, best first; fewer than ``n_best`` where there are not so many."""
        columns = (self.tokens_BnT, self.length_Bn, self.total_Bn, self.score_Bn)
        return [
            [
                Hypothesis(tokens[:length], total, score)
                for tokens, length, total, score in zip(*rows, strict=True)
                if length
            ]
            for rows in zip(*(column.tolist() for column in columns), strict=True)
        ]


def greedy(model: PairModel, source_BS: Tensor, bos: int, eos: int, max_length: int) -> Tensor:
    """Return the target tokens (B, at most max_length) that follow from taking the likeliest token at each step.

    A row that has ended continues with padding; decoding stops when all have ended.
    """
    return _greedy_with_totals(model, source_BS, bos, eos, max_length)[0].clone()  # no tensor of inference alone


@torch.inference_mode()
def _greedy_with_totals(
    model: PairModel, source_BS: Tensor, bos: int, eos: int, max_length: int
) -> tuple[Tensor, Tensor]:
    """Return what :func:`greedy` does, and the log-probability (B,) of each row, float64, in nats."""
    steps = TranslationSteps(model, source_BS)
    token_B = torch.full((len(source_BS),), bos, device=source_BS.device)  # a source may be vectors
    ended_B = torch.zeros(len(source_BS), dtype=torch.bool, device=source_BS.device)
    total_B = torch.zeros(len(source_BS), dtype=torch.float64, device=source_BS.device)
    tokens: list[Tensor] = []
    for _ in range(max_length):
        logits_BV = steps.logits(token_B)
        token_B = logits_BV.argmax(-1)
        gained_B = logits_BV.gather(1, token_B[:, None])[:, 0].double() - logits_BV.logsumexp(-1).double()
        total_B += gained_B.masked_fill(ended_B, 0.0)
        token_B = token_B.masked_fill(ended_B, PAD)
        tokens.append(token_B)
        ended_B |= token_B == eos
        if bool(ended_B.all()):
            break
    return torch.stack(tokens, dim=1), total_B


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
    model: PairModel,
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
    token_N = torch.full((len(source_BS),), bos, device=source_BS.device)
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
        torch.empty(sentences, 1, 0, dtype=torch.int64, device=source_BS.device),
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


def translate_batch(
    model: PairModel,
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

    A beam of 1 is :func:`greedy`, with the same bits; a wider one :func:`beam_search`, which also says what the arguments
    mean.

    Raises:
        Refused: for a beam, length penalty or number of translations that cannot be.
    """
    require_possible(beam, length_penalty, n_best)
    if beam > 1:
        options = {"bos": bos, "eos": eos, "max_length": max_length, "beam": beam, "n_best": n_best}
        return beam_search(model, source_BS, length_penalty=length_penalty, **options)
    ids_BT, total_B = _greedy_with_totals(model, source_BS, bos, eos, max_length)
    found = []
    for ids, total in zip(ids_BT.tolist(), total_B.tolist(), strict=True):
        ended = ids[: ids.index(eos) + 1] if eos in ids else ids
        found.append([Hypothesis(ended, total, total / length_penalty_of(len(ended), length_penalty))])
    return found


def translate_all(
    model: PairModel, sources: Sequence[Sequence[Any]], *, beam: int = 1, **options: Any
) -> list[list[Hypothesis]]:
    """Return what :func:`translate_batch` does for any number of sentences, in their order.

    They are translated in batches of similar length; each gets what it would get alone.

    Args:
        model: in evaluation mode.
        sources: the ids of each sentence, or its vectors.
        beam: width of the search.
        options: the other arguments of :func:`translate_batch`.
    """
    device = model.output_weight.device
    found: list[list[Hypothesis]] = [[] for _ in sources]
    for rows in batches_by_length([len(ids) for ids in sources], beam):
        tensors = [torch.tensor(sources[row]) for row in rows]
        nothing = math.nan if tensors[0].is_floating_point() else PAD
        padded = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=nothing)
        for row, answer in zip(rows, translate_batch(model, padded.to(device), beam=beam, **options), strict=True):
            found[row] = answer
    return found


def batches_by_length(lengths: Sequence[int], beam: int) -> Iterator[list[int]]:
    """Yield the rows of each batch, the longest first: at most ``_BATCH_ROWS``, and few enough to bound memory."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    while order:
        count = max(1, min(_BATCH_ROWS, _BATCH_TOKENS // (beam * max(1, lengths[order[0]]))))
        yield order[:count]
        order = order[count:]
