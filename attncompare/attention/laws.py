"""The laws of each kind of part, checked on a few random numbers: what every variant is promised to keep."""

from typing import Any

import torch
from torch import Generator, Tensor

from attncompare.attention.masks import Mask, causal_mask
from attncompare.attention.normalizers.base import Normalizer
from attncompare.attention.parts import Part
from attncompare.attention.places import Places
from attncompare.attention.positions.base import Positions
from attncompare.attention.scores.base import ScoreFunction
from attncompare.errors import Refused

LENGTH = 24  # positions that a mask is asked about


def check_laws(part: Part) -> None:
    """Check a part on the CPU against the laws of its kind (docs/attention.md), with the parameters that it has.

    - A score depends on its own query and key alone, and its kernel gives the context of the softmax of the scores.
    - Weights are 0 where a key is hidden and depend on nothing that is; a query that sees nothing has weights and
      gradients of 0; they sum to one where that is declared.
    - A mask shows each query its own position, no more of the future than it declares, and forgets nothing that is needed.
    - Masks and positions say the same of a position whether the sequence is read at once or in parts.
    - Values have the shape that is asked for, are no NaN, have the type of what comes in, and are the same again.

    Raises:
        Refused: names the class and the law. Errors of the part's own code pass through.
    """
    trains, generator = part.training, torch.Generator().manual_seed(0)
    part.eval()
    try:
        with torch.random.fork_rng(devices=[]):  # a part that draws numbers shifts no others
            match part:
                case ScoreFunction():
                    _check_score(part, generator)
                case Normalizer():
                    _check_normalizer(part, generator)
                case Mask():
                    _check_mask(part)
                case Positions():
                    _check_positions(part, generator)
    finally:
        part.train(trains)


def _require(kept: bool, part: Part, otherwise: str) -> None:
    if not kept:
        kinds = {ScoreFunction: "score", Normalizer: "normalizer", Mask: "mask", Positions: "positions"}
        kind = next(kind for base, kind in kinds.items() if isinstance(part, base))
        raise Refused(f"{kind} {type(part).__name__}: {otherwise}")


def _values(part: Part, method: str, found: Any, like: Tensor, dims: str, *shape: int) -> Tensor:
    """Return what a method gave if it is a tensor of these ``dims`` and of the type of ``like``, without NaN."""
    _require(isinstance(found, Tensor), part, f"{method} returned {type(found).__name__}, must be a tensor")
    of_shape = f"{method} returned a tensor of shape {tuple(found.shape)}, must be ({', '.join(dims)}) = {shape}"
    _require(tuple(found.shape) == shape, part, of_shape)
    of_type = f"{method} returned {found.dtype} for {like.dtype}: must keep the type"
    _require(found.dtype == like.dtype, part, of_type)
    _require(not found.isnan().any(), part, f"{method} returned NaN")
    return found


def _same(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, rtol=1e-4, atol=1e-5)


def _check_score(score: ScoreFunction, generator: Generator) -> None:
    T, S = 5, 7
    heads, width = score.heads, score.head_dim
    q_BHTK, k_BHSK, v_BHSV, other_K = (
        torch.randn(shape, generator=generator)
        for shape in ((2, heads, T, width), (2, heads, S, width), (2, heads, S, 3), (width,))
    )

    def scores_of(q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        B, _, T, S = *q_BHTK.shape[:3], k_BHSK.shape[2]
        found = score.at(q_BHTK, k_BHSK, Places(S - T, T, S, q_BHTK.device))
        return _values(score, "forward", found, q_BHTK, "BHTS", B, heads, T, S)

    with torch.no_grad():
        scores_BHTS = scores_of(q_BHTK, k_BHSK)
        again = "forward returned other scores for the same queries and keys"
        _require(_same(scores_of(q_BHTK, k_BHSK), scores_BHTS), score, again)
        another_BHTK, another_BHSK, changed_BTS = q_BHTK.clone(), k_BHSK.clone(), torch.zeros(2, 1, T, S).bool()
        another_BHTK[0, :, 2], another_BHSK[0, :, 4] = other_K, 2 * other_K
        changed_BTS[0, :, 2], changed_BTS[0, :, :, 4] = True, True
        after_BHTS = scores_of(another_BHTK, another_BHSK)
        alone = "a score depends on other queries or keys than its own, so that hidden ones would be seen"
        _require(_same(after_BHTS.masked_fill(changed_BTS, 0), scores_BHTS.masked_fill(changed_BTS, 0)), score, alone)
        context_BHTV = score.context(q_BHTK, k_BHSK, v_BHSV, None, True, 0.0)
        if context_BHTV is not None:
            _values(score, "context", context_BHTV, q_BHTK, "BHTV", 2, heads, T, 3)
            weights_BHTS = scores_BHTS.masked_fill(~causal_mask(T, S), -torch.inf).softmax(-1)
            equal = torch.allclose(context_BHTV, weights_BHTS @ v_BHSV, rtol=1e-3, atol=1e-4)
            _require(equal, score, "context differs from softmax(scores) @ values under a causal mask")
    _check_cost(score)


def _check_normalizer(normalizer: Normalizer, generator: Generator) -> None:
    shape = (2, normalizer.heads, 5, 7)
    scores_BHTS, others_BHTS, upstream_BHTS = (2 * torch.randn(shape, generator=generator) for _ in range(3))
    may_attend = torch.rand(2, 1, 5, 7, generator=generator) < 0.6
    may_attend[..., 0], may_attend[0, :, 3] = True, False  # one query sees nothing

    def weights_of(scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
        return _values(normalizer, "forward", normalizer(scores_BHTS.clone(), may_attend), scores_BHTS, "BHTS", *shape)

    weights_BHTS = weights_of(scores_BHTS, may_attend).detach()
    _require(
        bool((weights_BHTS.masked_select(~may_attend) == 0).all()), normalizer, "hidden keys have other weights than 0"
    )
    seen_BHTS = torch.where(may_attend, scores_BHTS, others_BHTS)
    hidden = "weights depend on the scores of hidden keys, so that the future would be seen"
    _require(_same(weights_of(seen_BHTS, may_attend).detach(), weights_BHTS), normalizer, hidden)
    seen_BHTS = torch.cat((scores_BHTS[:, :, :1], others_BHTS[:, :, 1:]), dim=2)
    queries = "the weights of a query depend on the scores of other queries"
    _require(_same(weights_of(seen_BHTS, may_attend)[:, :, 0].detach(), weights_BHTS[:, :, 0]), normalizer, queries)
    every_BHTS, nothing = weights_of(scores_BHTS, None).detach(), torch.ones(1, 1, 1, 7, dtype=torch.bool)
    masked = "weights differ between may_attend=None and one that is true everywhere, of shape (1, 1, 1, S)"
    _require(_same(weights_of(scores_BHTS, nothing).detach(), every_BHTS), normalizer, masked)
    if normalizer.sums_to_one:
        one = "weights do not sum to one; sums_to_one = False says so"
        _require(_same(every_BHTS.sum(-1), torch.ones(shape[:3])), normalizer, one)
    scores_BHTS = scores_BHTS.requires_grad_()
    weights_BHTS = normalizer(1 * scores_BHTS, may_attend)
    if weights_BHTS.requires_grad:
        (gradient_BHTS,) = torch.autograd.grad((weights_BHTS * upstream_BHTS).sum(), scores_BHTS)
        finite = "gradients are not finite where a query sees nothing: give its scores a number before the softmax"
        _require(bool(gradient_BHTS.isfinite().all()), normalizer, finite)


def _check_mask(mask: Mask) -> None:
    position = torch.arange(LENGTH)
    for causal in (False, True):

        def visible(query_T: Tensor, key_S: Tensor, causal: bool = causal) -> Tensor:
            found, shape = mask.visible(query_T[:, None], key_S[None, :], causal), (len(query_T), len(key_S))
            is_mask = isinstance(found, Tensor) and found.dtype == torch.bool
            _require(is_mask, mask, "visible must return a boolean tensor, True = may attend")
            of_shape = f"visible returned a tensor of shape {tuple(found.shape)}, must be (T, S) = {shape}"
            _require(found.shape == shape, mask, of_shape)
            return found

        visible_TS = visible(position, position)
        _require(bool(visible_TS.diagonal().all()), mask, "visible hides a query's own position")
        parts = "visible says something else of the same positions when it is asked about fewer: is it by index?"
        some_T, some_S = position[9:12], position[3:12]
        _require(torch.equal(visible(some_T, some_S), visible_TS[9:12, 3:12]), mask, parts)
        if mask.sees_future and causal:
            future = f"visible opens keys behind the query, beyond the first opened={mask.opened} positions"
            _require(not visible_TS[:, mask.opened :].triu(1 - mask.opened).any(), mask, future)
        elif not mask.sees_future:
            visible_TS = visible_TS & causal_mask(LENGTH, LENGTH)
        for now in (5, 17):
            needed_S = mask.needed_later(position[:now], now)
            if needed_S is not None:
                lost = bool((visible_TS[now:, :now].any(0) & ~needed_S).any())
                _require(not lost, mask, "needed_later forgets a key that a later query sees")


def _check_positions(positions: Positions, generator: Generator) -> None:
    T, heads, width = 6, positions.heads, positions.head_dim
    x_BHTK = torch.randn(2, heads, T, width, generator=generator)
    position_T = torch.arange(T)
    parts = "gives something else for the same positions when the sequence is read in parts, as a cache does"

    def bias_of(first: int, last: int, causal: bool) -> Tensor | None:
        places = Places(first, last - first, last, x_BHTK.device)
        found = positions.bias(x_BHTK[:, :, first:last], places, causal)
        if found is None:
            return None
        wanted = (2, heads, last - first, last)
        _require(isinstance(found, Tensor), positions, f"bias returned {type(found).__name__}, must be a tensor")
        fits = found.ndim <= 4 and all(
            one in (1, size) for one, size in zip(reversed(found.shape), reversed(wanted), strict=False)
        )
        shapes = (
            f"bias returned a tensor of shape {tuple(found.shape)}, must be broadcastable to (B, H, T, S) = {wanted}"
        )
        _require(fits, positions, shapes)
        _require(bool(found.isfinite().all()), positions, "bias returned NaN or infinity; what hides keys is a mask")
        return found.broadcast_to(wanted).masked_fill(~causal_mask(last - first, last), 0.0)

    with torch.no_grad():
        turned_BHTK = _values(positions, "turned", positions.turned(x_BHTK, position_T), x_BHTK, "BHTK", *x_BHTK.shape)
        of_part = positions.turned(x_BHTK[:, :, 4:], position_T[4:])
        _require(_same(of_part, turned_BHTK[:, :, 4:]), positions, f"turned {parts}")
        bias_of(0, T, causal=False)
        whole_BHTS = bias_of(0, T, causal=True)
        for first, last in ((0, 3), (4, T)):
            part_BHTS = bias_of(first, last, causal=True)
            if part_BHTS is not None and whole_BHTS is not None:
                equal = _same(part_BHTS, whole_BHTS[:, :, first:last, :last])
                _require(equal, positions, f"bias {parts}")
    _check_cost(positions)


def _check_cost(part: ScoreFunction | Positions) -> None:
    cost: Any = part.flops_per_score() if callable(part.flops_per_score) else part.flops_per_score
    fits = callable(part.flops_per_score) and isinstance(cost, int | float)
    _require(fits, part, f"flops_per_score must be a method that returns a number, not {cost!r}")
