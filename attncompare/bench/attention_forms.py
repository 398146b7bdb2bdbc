"""Attention from queries, keys and values to context: our function, the formula written out, and what torch has."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attncompare.attention import ScoreFunction, attend, causal_mask
from attncompare.attention.scores.base import masked_softmax
from attncompare.bench.contender import Contender, LeftOut
from attncompare.registry import load_score

Function = Callable[[Tensor, Tensor, Tensor], Tensor]  # (q_BHTK, k_BHSK, values_BHSK) -> context_BHTK

OURS = "attncompare"
NAMES = {
    "ours": OURS,
    "eager": "eager formula",
    "compile": "torch.compile",
    "sdpa": "SDPA",
}


def contender(form: str, training: bool, threads: int | None = None, **problem: Any) -> Contender:
    """Return one form of attention as a contender.

    Args:
        form: a key of ``NAMES``.
        training: whether the work is forward and backward, or forward alone.
        threads: of torch; None: as it chooses.
        problem: arguments of :func:`inputs`, and the ``score`` and ``causal`` of the variant.
    """

    def prepare() -> Callable[[], object]:
        if threads is not None:
            torch.set_num_threads(threads)
        score, causal, sizes = problem["score"], problem["causal"], dict(problem)
        del sizes["score"], sizes["causal"]
        q, k, values, gradient = inputs(**sizes)
        scorer = scorer_of(score, q)
        function = function_of(form, scorer, score, causal)
        parameters = [] if form == "sdpa" else list(scorer.parameters())  # torch's function has none
        return work_of(lambda: function(q, k, values), [q, k, values, *parameters], gradient, training)

    return Contender(NAMES[form], prepare)


def inputs(
    batch: int, heads: int, length: int, head_dim: int, dtype: str, device: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return queries, keys and values (B, H, T, K) that ask for gradients, and the gradient of the context."""
    generator = torch.Generator().manual_seed(1)
    shape = (batch, heads, length, head_dim)
    made = [torch.randn(shape, generator=generator).to(device, getattr(torch, dtype)) for _ in range(4)]
    return made[0].requires_grad_(), made[1].requires_grad_(), made[2].requires_grad_(), made[3]


def scorer_of(score: str, like_BHTK: Tensor) -> ScoreFunction:
    """Return the score function with its initial parameters in the type and on the device of ``like``."""
    scorer: ScoreFunction = load_score(score)(like_BHTK.shape[1], like_BHTK.shape[3])
    return scorer.to(like_BHTK)


def function_of(form: str, scorer: ScoreFunction, score: str, causal: bool) -> Function:
    """Return one form of the attention with this score."""
    if form == "ours":
        return lambda q, k, values: attend(q, k, values, score=scorer, causal=causal)[0]
    if form == "sdpa":
        scale = getattr(scorer, "scale", None)  # of products; torch's own for other scores
        return lambda q, k, values: F.scaled_dot_product_attention(q, k, values, is_causal=causal, scale=scale)
    formula = written_out(scorer, score, causal)
    return formula if form == "eager" else _compiled(formula)


def written_out(scorer: ScoreFunction, score: str, causal: bool) -> Function:
    """Return the attention as its formula stands in the papers, every intermediate result a tensor of its own."""

    v_HK = dict(scorer.named_parameters()).get("v_HK")

    def scores_of(q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        if score == "additive" and v_HK is not None:  # ours never holds the B*H*T*S*K numbers of the formula
            h_BHTSK = torch.tanh(q_BHTK.unsqueeze(3) + k_BHSK.unsqueeze(2))
            return (h_BHTSK @ v_HK[:, None, :, None]).squeeze(-1)
        return scorer(q_BHTK, k_BHSK)

    def formula(q_BHTK: Tensor, k_BHSK: Tensor, values_BHSK: Tensor) -> Tensor:
        mask = causal_mask(q_BHTK.shape[2], k_BHSK.shape[2], q_BHTK.device) if causal else None
        return masked_softmax(scores_of(q_BHTK, k_BHSK), mask) @ values_BHSK

    return formula


def work_of(
    forward: Callable[[], Tensor], differentiated: list[Tensor], gradient: Tensor, training: bool
) -> Callable[[], object]:
    """Return the work: forward alone without a graph, or forward and all gradients. Both return what they made."""
    if training:
        return lambda: torch.autograd.grad(forward(), differentiated, gradient)

    def alone() -> Tensor:
        with torch.no_grad():
            return forward()

    return alone


def bytes_needed(
    form: str, score: str, training: bool, *, batch: int, heads: int, length: int, head_dim: int, dtype: str
) -> int:
    """Return about how many bytes a form holds at its peak: eager forms hold each intermediate result, others do not."""
    if form != "eager":
        return 0
    numbers = batch * heads * length**2 * (head_dim if score == "additive" else 1)
    return numbers * getattr(torch, dtype).itemsize * (3 if training else 2)


def _compiled(formula: Function) -> Function:
    torch.compiler.reset()  # else what was compiled for other sizes would count against a limit
    compiled = torch.compile(formula, dynamic=False, fullgraph=True)

    def or_left_out(q: Tensor, k: Tensor, values: Tensor) -> Tensor:
        try:
            return compiled(q, k, values)
        except Exception as error:  # its compilers raise whatever they like
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            raise LeftOut(f"torch.compile cannot: {reason[0]}") from None

    return or_left_out
