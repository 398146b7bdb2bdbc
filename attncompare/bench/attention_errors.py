"""How far fast forms are from exact arithmetic, beside how far the formula in the same type is."""

import torch
from torch import Tensor

from attncompare.bench.attention_forms import function_of, inputs, scorer_of, written_out


def error_over_eager(form: str, score: str, causal: bool, *, device: str, dtype: str, **sizes: int) -> float:
    """Return the error of ``form`` over that of the eager formula, the largest such ratio among context and gradients.

    Each error is the root of the mean square against the formula in float64, from the same inputs (in ``dtype``).
    Gradients are those of queries, keys, values and the parameters of the score.
    """
    exact = _results("eager", score, causal, torch.float64, device=device, dtype=dtype, **sizes)
    native = getattr(torch, dtype)
    eager = _results("eager", score, causal, native, device=device, dtype=dtype, **sizes)
    fast = _results(form, score, causal, native, device=device, dtype=dtype, **sizes)
    return max(_rms(a, right) / max(_rms(b, right), 1e-30) for a, b, right in zip(fast, eager, exact, strict=True))


def _results(
    form: str, score: str, causal: bool, compute: torch.dtype, *, device: str, dtype: str, **sizes: int
) -> list[Tensor]:
    """Return context and gradients, computed in ``compute`` from inputs that were made in ``dtype``."""
    made = inputs(**sizes, dtype=dtype, device=device)
    scorer = scorer_of(score, made[0]).to(compute)  # by way of ``dtype``: the same parameters for all
    q, k, values = (x.detach().to(compute).requires_grad_() for x in made[:3])
    eager = form == "eager"
    function = written_out(scorer, score, causal) if eager else function_of(form, scorer, score, causal)
    context = function(q, k, values)
    gradients = torch.autograd.grad(context, [q, k, values, *scorer.parameters()], made[3].to(compute))
    return [context.detach(), *gradients]


def _rms(found: Tensor, right: Tensor) -> float:
    return float((found.double() - right).square().mean().sqrt())
