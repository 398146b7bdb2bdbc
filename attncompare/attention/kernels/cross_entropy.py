"""The loss over a vocabulary, with the product before it, piece by piece: neither logits nor their logarithms are kept."""

import ctypes
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncompare.attention.kernels.build import at, compiled, serves

_LOGITS = 2**22  # numbers of a piece: half as many take a quarter longer, for so many more products are smaller then


def linear_cross_entropy(x_ND: Tensor, weight_VD: Tensor, target_N: Tensor, smoothing: float) -> Tensor:
    """Return the mean of ``cross_entropy(x @ weight.T, target)`` over the targets that count.

    Under autocast the products are taken in its type, so logits and their gradients are rounded to it; all else in float32.

    Args:
        x_ND: what the logits are made of.
        weight_VD: a row for each token of the vocabulary.
        target_N: tokens, int64; a negative one does not count.
        smoothing: label smoothing (Szegedy et al. 2016, section 7).
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
    if serves(x_ND) and weight_VD.dtype == torch.float32 and dtype in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", enabled=False):
            return _LinearCrossEntropy.apply(x_ND.float(), weight_VD, target_N.contiguous(), smoothing, dtype)
    logits_NV = F.linear(x_ND, weight_VD)
    precise_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    return F.cross_entropy(precise_NV, target_N.clamp(min=-1), ignore_index=-1, label_smoothing=smoothing)


class _LinearCrossEntropy(torch.autograd.Function):
    """The gradient is made together with the loss, from each piece of logits before it is forgotten."""

    @staticmethod
    def forward(
        ctx: Any, x_ND: Tensor, weight_VD: Tensor, target_N: Tensor, smoothing: float, dtype: torch.dtype
    ) -> Tensor:
        counted = int((target_N >= 0).sum())
        wanted = any(ctx.needs_input_grad)
        loss_N = x_ND.new_empty(len(x_ND))
        dx_ND, dw_VD = (torch.empty_like(x_ND), torch.zeros_like(weight_VD)) if wanted else (None, None)
        x_ND, weight_VD = x_ND.to(dtype), weight_VD.to(dtype)
        rows = max(1, _LOGITS // len(weight_VD))
        for begin in range(0, len(x_ND), rows):
            piece = slice(begin, begin + rows)
            logits_NV = x_ND[piece] @ weight_VD.T
            _become_gradient(logits_NV, target_N[piece], loss_N[piece], smoothing, 1 / max(counted, 1))
            if dx_ND is not None and dw_VD is not None:
                dx_ND[piece] = logits_NV @ weight_VD
                dw_VD += logits_NV.T @ x_ND[piece]
        ctx.save_for_backward(dx_ND, dw_VD)
        return loss_N.sum(dtype=torch.float64).div(counted).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        dx_ND, dw_VD = ctx.saved_tensors
        if gradient.item() != 1:
            dx_ND, dw_VD = dx_ND * gradient, dw_VD * gradient
        return dx_ND, dw_VD, None, None, None


def _become_gradient(logits_NV: Tensor, target_N: Tensor, loss_N: Tensor, smoothing: float, scale: float) -> None:
    """Write the losses, and the gradient of ``scale`` times their sum in the place of the logits."""
    half = logits_NV.dtype == torch.bfloat16
    rows, vocabulary, threads = map(ctypes.c_int64, (*logits_NV.shape, torch.get_num_threads()))
    numbers = rows, vocabulary, ctypes.c_float(smoothing), ctypes.c_float(scale), threads, ctypes.c_int64(half)
    compiled().cross_entropy(at(logits_NV), at(target_N), at(loss_N), *numbers)
