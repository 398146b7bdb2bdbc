"""Attention in float64, as the papers write it, and how far a type's own rounding may lead away from it."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Reference:
    """The exact context, weights and gradients of q, k and v, and beside each the largest error of every number."""

    context: torch.Tensor
    context_error: torch.Tensor
    weights: torch.Tensor
    weights_error: torch.Tensor
    gradients: tuple[torch.Tensor, ...]
    gradient_errors: tuple[torch.Tensor, ...]
    largest_score: float  # the largest sum of absolute terms of a score
    largest: float  # the largest number on the way back


def reference(q_BHTK, k_BHSK, v_BHSC, g_BHTC, may_attend, scorer):
    """Return what ``scorer`` should give, in float64, for inputs of any type.

    ``g_BHTC`` is the gradient of the context, ``may_attend`` boolean (B, H, T, S).
    """
    q, k, v = (x.detach().double().requires_grad_() for x in (q_BHTK, k_BHSK, v_BHSC))
    g = g_BHTC.double()
    scores, sizes_BHTS = _scores(q, k, scorer)
    weights = _softmax(scores, may_attend)
    context = weights @ v
    gradients = torch.autograd.grad(context, (q, k, v), g)

    scores, weights, context, q, k, v = (x.detach() for x in (scores, weights, context, q, k, v))
    eps = torch.finfo(q_BHTK.dtype).eps
    summing = min(eps, torch.finfo(torch.float32).eps)  # sums of bfloat16 are taken in float32
    tiny = 4 * torch.finfo(q_BHTK.dtype).tiny * (1 + sum(x.abs().amax() if x.numel() else 0 for x in (k, v, g)))
    keys, queries, width = k.shape[2], q.shape[2], q.shape[3] + v.shape[3]

    # A weight is e^score over a sum of such: an error of delta in each score changes it by a factor within e^(2 delta).
    delta_BHTS = (4 * eps + 4 * (width + 4) * summing) * sizes_BHTS
    delta_BHT1 = _largest(delta_BHTS.masked_fill(~may_attend, 0))
    relative_BHT1 = torch.expm1(2 * delta_BHT1.clamp(max=20)) + (keys + 8) * summing + 4 * eps
    # Of scores that are less certain than that, nothing is known but that their weights lie between 0 and 1.
    weights_error = torch.where(delta_BHT1 > 20, may_attend, (relative_BHT1 * weights).clamp(max=1)) + tiny * may_attend
    context_error = weights_error @ v.abs() + (4 * eps + (keys + 8) * summing) * (weights @ v.abs()) + tiny

    # dS = w (g v - sum of w g v), dq = dS dscore/dq: each may be wrong by its own terms' size times these roundings.
    mixed_BHTS = g.abs() @ v.abs().transpose(-2, -1)
    w = weights + weights_error
    terms_BHTS = w * (mixed_BHTS + (w * mixed_BHTS).sum(-1, keepdim=True))
    dq, dk = _through_scores(terms_BHTS, q, k, scorer)
    part_BHTS = (3 * relative_BHT1 + 16 * eps + (width + keys + queries + 16) * summing) * terms_BHTS + tiny
    dq_error, dk_error = _through_scores(part_BHTS, q, k, scorer)
    dv_error = (weights_error + (4 * eps + (queries + 8) * summing) * weights).transpose(-2, -1) @ g.abs()
    return Reference(
        context,
        context_error,
        weights,
        weights_error,
        gradients,
        (dq_error + tiny, dk_error + tiny, dv_error + tiny),
        largest_score=_most(sizes_BHTS),
        largest=max(_most(mixed_BHTS), _most(dq), _most(dk)),
    )


def _scores(q, k, scorer):
    """Return the scores and, for each, the sum of its terms' absolute values."""
    name = type(scorer).__name__
    if name == "Additive":
        v_HK = scorer.v_HK.detach().double()
        terms_BHTSK = torch.tanh(q[:, :, :, None] + k[:, :, None]) * v_HK[None, :, None, None]
        return terms_BHTSK.sum(-1), v_HK.abs().sum(-1)[None, :, None, None].expand(terms_BHTSK.shape[:-1])
    scale = {"Dot": 1.0, "Scaled": 1 / math.sqrt(q.shape[-1])}[name]
    return scale * (q @ k.transpose(-2, -1)), scale * (q.detach().abs() @ k.detach().abs().transpose(-2, -1))


def _through_scores(d_scores_BHTS, q, k, scorer):
    """Return the sums of absolute terms of dq and dk for the absolute gradient of the scores."""
    if type(scorer).__name__ == "Additive":  # the slope of tanh is 1 at most
        v_HK = scorer.v_HK.detach().double().abs()
        return d_scores_BHTS.sum(3, keepdim=True) * v_HK[:, None], d_scores_BHTS.sum(2)[..., None] * v_HK[:, None]
    return d_scores_BHTS @ k.abs(), d_scores_BHTS.transpose(-2, -1) @ q.abs()


def _softmax(scores, may_attend):
    """Return e^score over the sum of those that may be attended to; zeros where there is none."""
    allowed = scores.masked_fill(~may_attend, -torch.inf)
    numerators = (allowed - _largest(allowed.detach()).clamp(min=-1e300)).exp()
    total = numerators.sum(-1, keepdim=True)
    return numerators / total.masked_fill(total == 0, 1)


def _largest(x):
    return x.amax(-1, keepdim=True) if x.shape[-1] else x.new_zeros(*x.shape[:-1], 1)


def _most(x):
    return float(x.amax()) if x.numel() else 0.0
