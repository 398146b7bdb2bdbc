"""Attention with dot-product or additive scores as one differentiable function on the CPU; ``fused.cpp`` has the loops."""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncompare.attention.kernels.build import at, compiled
from attncompare.attention.kernels.dropout import drawn_seed

# Additive: where there are fewer heads, so many tasks share the queries, whatever the number of threads: same bits.
_TASKS = 8
_QUERIES = 64  # that a task has at least


class _Rows(ctypes.Structure):
    """What ``struct Rows`` of fused.cpp holds."""

    _fields_ = (("at", ctypes.c_void_p), *((name, ctypes.c_int64) for name in ("batch", "head", "row")))


class _Problem(ctypes.Structure):
    """What ``struct Problem`` of fused.cpp holds."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "heads", "queries", "keys", "width", "value_width")),
        *((name, ctypes.c_int64) for name in ("mask_batch", "mask_head", "mask_query", "mask_key")),
        *((name, _Rows) for name in ("q", "k", "values", "context")),
        *((name, ctypes.c_void_p) for name in ("mask", "v")),
        *((name, ctypes.c_int64) for name in ("causal", "threads", "chunks")),
        *((name, ctypes.c_float) for name in ("scale", "dropout")),
        ("seed", ctypes.c_uint32),
    )


class _Gradients(ctypes.Structure):
    """What ``struct Gradients`` of fused.cpp holds."""

    _fields_ = (*((name, _Rows) for name in ("q", "k", "values")), ("v", ctypes.c_void_p))


def dot_context(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    values_BHSV: Tensor,
    may_attend: Tensor | None,
    causal: bool,
    dropout: float,
    scale: float,
) -> Tensor:
    """Return ``softmax(scale q . k) values`` (B, H, T, V), V being the width of the values, where the loops serve.

    Computed in float32. Tensors of one type, float32 or bfloat16, are read as they stand, also as views of (B, T, H, K);
    the context stands in memory as (B, T, H, V), and so do the gradients. The bits depend neither on the number of threads
    nor on the rest of the batch.

    Args:
        q_BHTK: queries.
        k_BHSK: keys.
        values_BHSV: values.
        may_attend: boolean, broadcastable to (B, H, T, S); a query that may attend to nothing gets zeros.
        causal: also hide the future; the last query stands at the last key.
        dropout: probability with which a weight is dropped; its seed is drawn from torch's generator.
        scale: what the scores are multiplied with.
    """
    return _context(q_BHTK, k_BHSK, values_BHSV, None, may_attend, causal, dropout, scale)


def additive_context(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_HK: Tensor,
    values_BHSV: Tensor,
    may_attend: Tensor | None,
    causal: bool,
    dropout: float,
) -> Tensor:
    """Return ``softmax(v . tanh(q + k)) values`` (B, H, T, V), likewise, in memory linear in T and S.

    Errors against exact arithmetic are about those of the plain formula in float32, at most twice as large by RMS.
    """
    return _context(q_BHTK, k_BHSK, values_BHSV, v_HK, may_attend, causal, dropout, 1.0)


def _context(q: Tensor, k: Tensor, values: Tensor, v: Tensor | None, *options: Any) -> Tensor:
    seed = drawn_seed() if options[2] else 0
    inputs = (q, k, values)
    if any(tensor.dtype != torch.bfloat16 for tensor in inputs):
        inputs = (q.float(), k.float(), values.float())
    return _Fused.apply(*inputs, None if v is None else v.float().contiguous(), *options, seed).to(q.dtype)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, values: Tensor, v: Tensor | None, may_attend: Tensor | None, *options: Any
    ) -> Tensor:
        q, k, values = map(_whole_rows, (q, k, values))
        context = _heads_beside_each_other(q, q.shape[1], q.shape[2], values.shape[3])
        problem = _problem(q, k, values, v, context, may_attend, *options)
        compiled().attention_forward(ctypes.byref(problem), _half(q))
        ctx.save_for_backward(q, k, values, v, may_attend)
        ctx.options = options
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_context: Tensor) -> tuple[Tensor | None, ...]:
        q, k, values, v, may_attend = ctx.saved_tensors
        problem = _problem(q, k, values, v, _whole_rows(d_context), may_attend, *ctx.options)
        heads, chunks = q.shape[1], problem.chunks
        d_q = _heads_beside_each_other(q, heads, q.shape[2], q.shape[3])
        d_k, d_values = (_heads_beside_each_other(x, heads * chunks, x.shape[2], x.shape[3]) for x in (k, values))
        d_v = None if v is None else v.new_empty(q.shape[0], heads, chunks, v.shape[1])
        places = _Gradients(*map(_rows, (d_q, d_k, d_values)), at(d_v))
        compiled().attention_backward(ctypes.byref(problem), ctypes.byref(places), _half(q))
        if chunks > 1:
            d_k, d_values = (x.unflatten(1, (heads, chunks)).sum(2) for x in (d_k, d_values))
        return d_q, d_k, d_values, None if d_v is None else d_v.sum((0, 2)), *[None] * (1 + len(ctx.options))


def _problem(
    q: Tensor,
    k: Tensor,
    values: Tensor,
    v: Tensor | None,
    context: Tensor,
    may_attend: Tensor | None,
    causal: bool,
    dropout: float,
    scale: float,
    seed: int,
) -> _Problem:
    batch, heads, queries, width = q.shape
    keys = k.shape[2]
    sizes = (batch, heads, queries, keys, width, values.shape[3])
    strides = (0, 0, 0, 0) if may_attend is None else may_attend.expand(batch, heads, queries, keys).stride()
    tensors = map(_rows, (q, k, values, context))
    chunks = 1 if v is None else max(1, min(_TASKS // max(1, batch * heads), queries // _QUERIES))
    counts = (causal, torch.get_num_threads(), chunks)
    return _Problem(*sizes, *strides, *tensors, at(may_attend), at(v), *counts, scale, dropout, seed)


def _rows(tensor: Tensor) -> _Rows:
    return _Rows(at(tensor), *tensor.stride()[:3])


def _whole_rows(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(3) == 1 else tensor.contiguous()


def _heads_beside_each_other(like: Tensor, heads: int, length: int, width: int) -> Tensor:
    """Return a new tensor (B, ``heads``, ``length``, ``width``) that stands in memory as (B, length, heads, width)."""
    return like.new_empty(like.shape[0], length, heads, width).transpose(1, 2)


def _half(tensor: Tensor) -> ctypes.c_int64:
    return ctypes.c_int64(tensor.dtype == torch.bfloat16)
