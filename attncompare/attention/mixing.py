"""From queries, keys and values to a mix of values, by a kernel where one computes exactly that, else explicitly."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from attncompare.attention.kernels.dropout import drawn_seed, drop_weights
from attncompare.attention.masks import causal_mask, checked, combine
from attncompare.attention.normalizers.base import Normalizer, make_normalizer
from attncompare.attention.parts import Section
from attncompare.attention.places import Places
from attncompare.attention.scores.base import ScoreFunction, checked_scores, make_score, repeated
from attncompare.errors import Refused

BLOCK = 2**24
"""Scores at a time where they are computed explicitly: beyond, queries are taken in blocks, so that memory is bounded."""

Across = Callable[[Tensor], Tensor]
"""Mixes the heads of scores or weights (B, H, T, S) at each place (talking heads)."""


def attend(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_BHSV: Tensor,
    score: Section | ScoreFunction = "scaled",
    may_attend: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    need_weights: bool = False,
    normalizer: Section | Normalizer = "softmax",
) -> tuple[Tensor, Tensor | None]:
    """Mix values by attention: ``normalizer(score(q, k)) v``, head by head.

    Args:
        q_BHTK: queries (B, H, T, K).
        k_BHSK: keys (B, H, S, K); fewer heads than queries have, if they divide them, serve several query heads each
            (Shazeer 2019; Ainslie et al. 2023).
        v_BHSV: values (B, as many heads as the keys, S, any width V).
        score: a score function, its name, or a section of its name and settings, ``{"name": ..., ...}``; one that is made
            from a name has its initial parameters.
        may_attend: boolean, ``True`` = may attend, broadcastable to (B, H, T, S).
        causal: also hide the future; with T < S the last query stands at the last key.
        dropout: probability with which a weight is dropped, applied whenever it is not 0.
        need_weights: also return the weights, through a path that computes them explicitly.
        normalizer: how scores become weights, likewise.

    Returns:
        The context (B, H, T, V), and the weights (B, H, T, S) before dropout or ``None``. A query that may
        attend to nothing has zero weights and zero context.

    Raises:
        Refused: for an unknown part, wrong settings of one, one that returns wrong shapes, tensors of other shapes than
            these, or a mask that is not boolean.
    """
    q, k, v = (tuple(tensor.shape) for tensor in (q_BHTK, k_BHSK, v_BHSV))
    fits = len(q) == len(k) == len(v) == 4 and q[0] == k[0] and k[:3] == v[:3] and q[3] == k[3] and q[1] % k[1] == 0
    if not fits:
        raise Refused(f"q {q}, k {k}, v {v}: must be (B, H, T, K), (B, H, S, K) and (B, H, S, any width)")
    heads, width = q[1], q[3]
    scorer = score if isinstance(score, ScoreFunction) else make_score(score, heads, width).to(q_BHTK)
    normal = normalizer if isinstance(normalizer, Normalizer) else make_normalizer(normalizer, heads).to(q_BHTK)
    mixing = Mixing(scorer, normal, checked(may_attend), causal, dropout)
    return mixing(q_BHTK, k_BHSK, v_BHSV, need_weights)


@dataclass(slots=True)
class Mixing:
    """One way of mixing values, for queries and keys at their places.

    Attributes:
        score: the score function.
        normalizer: makes weights of scores.
        may_attend: boolean, broadcastable to (B, H, T, S), or None.
        causal: also hide the future; the last query stands at the last key.
        dropout: probability with which a weight is dropped.
        places: where queries and keys stand, for a score that asks; None: at 0, 1, ...
        bias: what is added to the scores, broadcastable to (B, H, T, S); None: nothing.
        before, after: mix the heads of scores, and of weights; None: each head for itself.
    """

    score: ScoreFunction
    normalizer: Normalizer
    may_attend: Tensor | None = None
    causal: bool = False
    dropout: float = 0.0
    places: Places | None = None
    bias: Tensor | None = None
    before: Across | None = None
    after: Across | None = None

    def __call__(
        self, q_BHTK: Tensor, k_BGSK: Tensor, v_BGSV: Tensor, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the context (B, H, T, V), and the weights (B, H, T, S) before dropout or ``None``."""
        heads, score = q_BHTK.shape[1], self.score
        if not score.shares_keys:
            k_BGSK, v_BGSV = repeated(k_BGSK, heads), repeated(v_BGSV, heads)
        if not need_weights and self.before is None and self.after is None:
            options = (self.may_attend, self.causal, self.dropout, *(() if self.bias is None else (self.bias,)))
            context_BHTV = self.normalizer.context(score, q_BHTK, k_BGSK, v_BGSV, *options)
            if context_BHTV is not None:
                self._check(context_BHTV, (*q_BHTK.shape[:3], v_BGSV.shape[3]))
                return context_BHTV, None
        k_BHSK, v_BHSV = repeated(k_BGSK, heads), repeated(v_BGSV, heads)
        if need_weights:
            return self._explicitly(q_BHTK, k_BHSK, v_BHSV)
        return self._in_blocks(q_BHTK, k_BHSK, v_BHSV), None

    def _check(self, context_BHTV: Tensor, wanted: tuple[int, ...]) -> None:
        if context_BHTV.shape != wanted:
            shapes = f"{tuple(context_BHTV.shape)}, must be {wanted}"
            raise Refused(f"score {type(self.score).__name__}: context returned a tensor of shape {shapes}")

    def _in_blocks(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSV: Tensor) -> Tensor:
        """Return the context (B, H, T, V) of some queries after the others; the backward pass computes their scores again."""
        B, H, T = q_BHTK.shape[:3]
        size = max(1, BLOCK // max(1, B * H * k_BHSK.shape[2]))
        if size >= T:
            return self._explicitly(q_BHTK, k_BHSK, v_BHSV)[0]
        seed = drawn_seed() if self.dropout else 0

        def block(q: Tensor, k: Tensor, v: Tensor, part: slice) -> Tensor:
            return self._explicitly(q, k, v, part, T, seed)[0]

        contexts = []
        for start in range(0, T, size):
            part = slice(start, min(T, start + size))
            options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
            if torch.is_grad_enabled():
                contexts.append(checkpoint(block, q_BHTK[:, :, part], k_BHSK, v_BHSV, part, **options))
            else:
                contexts.append(block(q_BHTK[:, :, part], k_BHSK, v_BHSV, part))
        return torch.cat(contexts, dim=2)

    def _explicitly(
        self,
        q_BHTK: Tensor,
        k_BHSK: Tensor,
        v_BHSV: Tensor,
        part: slice = slice(None),
        queries: int | None = None,
        seed: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return context and weights of all queries, or of a ``part`` of so many ``queries`` with what ``seed`` drops."""
        T, S = queries or q_BHTK.shape[2], k_BHSK.shape[2]
        places = None if self.places is None else self.places.some(part)
        scores_BHTS = self.score(q_BHTK, k_BHSK) if places is None else self.score.at(q_BHTK, k_BHSK, places)
        scores_BHTS = checked_scores(scores_BHTS, self.score, q_BHTK, k_BHSK)
        if self.bias is not None:
            scores_BHTS = scores_BHTS + _of_queries(self.bias, part)
        if self.before is not None:
            scores_BHTS = self.before(scores_BHTS)
        may_attend = None if self.may_attend is None else _of_queries(self.may_attend, part)
        if self.causal:
            may_attend = combine(may_attend, causal_mask(T, S, q_BHTK.device)[part])
        weights_BHTS = self.normalizer(scores_BHTS, may_attend)
        if weights_BHTS.shape != scores_BHTS.shape:
            shapes = f"{tuple(weights_BHTS.shape)}, must be (B, H, T, S) = {tuple(scores_BHTS.shape)}"
            raise Refused(f"normalizer {type(self.normalizer).__name__}: forward returned weights of shape {shapes}")
        if self.after is not None:
            weights_BHTS = self.after(weights_BHTS)
        dropped_BHTS = drop_weights(weights_BHTS, self.dropout, part, T, seed)
        return dropped_BHTS @ v_BHSV, weights_BHTS


def _of_queries(x: Tensor, part: slice) -> Tensor:
    """Return what a tensor that is broadcastable to (B, H, T, S) says of some queries."""
    return x if x.shape[-2] == 1 else x[..., part, :]
