"""Dot-product attention over short sequences as one function of tensors on the CPU; ``dot.cpp`` has the loops."""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncompare.attention.kernels.build import at, compiled
from attncompare.attention.kernels.dropout import drawn_seed


class _Rows(ctypes.Structure):
    """What ``struct Rows`` of dot.cpp holds."""

    _fields_ = (("at", ctypes.c_void_p), *((name, ctypes.c_int64) for name in ("batch", "head", "row")))


class _Problem(ctypes.Structure):
    """What ``struct Problem`` of dot.cpp holds."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "heads", "queries", "keys", "width", "value_width")),
        *((name, ctypes.c_int64) for name in ("mask_batch", "mask_head", "mask_query", "mask_key")),
        *((name, _Rows) for name in ("q", "k", "values", "context")),
        ("mask", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("causal", "threads")),
        *((name, ctypes.c_float) for name in ("scale", "dropout")),
        ("seed", ctypes.c_uint32),
    )


class _Gradients(ctypes.Structure):
    """What ``struct Gradients`` of dot.cpp holds."""

    _fields_ = tuple((name, _Rows) for name in ("q", "k", "values"))


def dot_context(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    values_BHSV: Tensor,
    may_attend: Tensor | None,
    causal: bool,
    dropout: float,
    scale: float,
) -> Tensor:
    """Return ``softmax(scale q . k) values`` (B, H, T, width of the values), where the compiled loops serve (``build.serves``).

    Computed in float32. Tensors of one type, float32 or bfloat16, are read as they stand, also as views of (B, T, H, K);
    the context stands in memory as (B, T, H, V), and so do the gradients. The bits depend neither on the number of threads
    nor on the rest of the batch.

    Args:
        q_BHTK: queries.
        k_BHSK: keys.
        values_BHSV: values.
        may_attend: boolean, broadcastable to (B, H, T, S); a query that may attend to nothing gets zeros.
        causal: also hide the future; the last query stands at the last key.
        dropout: probability with which a weight is dropped; drawn from torch's generator.
        scale: what the scores are multiplied with.
    """
    seed = drawn_seed() if dropout else 0
    inputs = (q_BHTK, k_BHSK, values_BHSV)
    if any(tensor.dtype != torch.bfloat16 for tensor in inputs):
        inputs = (q_BHTK.float(), k_BHSK.float(), values_BHSV.float())
    return _Dot.apply(*inputs, may_attend, causal, dropout, scale, seed).to(q_BHTK.dtype)


class _Dot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, values: Tensor, may_attend: Tensor | None, *options: Any) -> Tensor:
        q, k, values = map(_whole_rows, (q, k, values))
        context = _heads_beside_each_other(q.shape[:3], values)
        problem = _problem(q, k, values, context, may_attend, *options)
        compiled().dot_forward(ctypes.byref(problem), _half(q))
        ctx.save_for_backward(q, k, values, may_attend)
        ctx.options = options
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_context: Tensor) -> tuple[Tensor | None, ...]:
        q, k, values, may_attend = ctx.saved_tensors
        inputs = q, k, values
        problem = _problem(*inputs, _whole_rows(d_context), may_attend, *ctx.options)
        gradients = [_heads_beside_each_other(tensor.shape[:3], tensor) for tensor in inputs]
        places = _Gradients(*map(_rows, gradients))
        compiled().dot_backward(ctypes.byref(problem), ctypes.byref(places), _half(q))
        return *gradients, None, *[None] * len(ctx.options)


def _problem(
    q: Tensor,
    k: Tensor,
    values: Tensor,
    context: Tensor,
    may_attend: Tensor | None,
    causal: bool,
    dropout: float,
    scale: float,
    seed: int,
) -> _Problem:
    batch, heads, queries, width = q.shape
    keys = k.shape[2]
    strides = (0, 0, 0, 0) if may_attend is None else may_attend.expand(batch, heads, queries, keys).stride()
    sizes = (batch, heads, queries, keys, width, values.shape[3])
    tensors = map(_rows, (q, k, values, context))
    return _Problem(*sizes, *strides, *tensors, at(may_attend), causal, torch.get_num_threads(), scale, dropout, seed)


def _rows(tensor: Tensor) -> _Rows:
    return _Rows(at(tensor), *tensor.stride()[:3])


def _whole_rows(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(3) == 1 else tensor.contiguous()


def _heads_beside_each_other(shape_BHT: torch.Size, like: Tensor) -> Tensor:
    """Return a new tensor (B, H, T, last width of ``like``) that stands in memory as (B, T, H, width)."""
    batch, heads, length = shape_BHT
    return like.new_empty(batch, length, heads, like.shape[3]).transpose(1, 2)


def _half(tensor: Tensor) -> ctypes.c_int64:
    return ctypes.c_int64(tensor.dtype == torch.bfloat16)
