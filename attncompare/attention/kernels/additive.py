"""Additive attention as one differentiable function of tensors on the CPU; ``additive.cpp`` has the loops."""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncompare.attention.kernels.pointers import at, compiled, drawn_seed, mask_strides

_TASKS = 8  # so many, where there are fewer heads, share the queries, whatever the number of threads: same bits
_ROWS = 64  # queries that a task has at least


class _Problem(ctypes.Structure):
    """What ``struct Problem`` of additive.cpp holds."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "heads", "queries", "keys", "width", "value_width")),
        *((name, ctypes.c_int64) for name in ("mask_batch", "mask_head", "mask_query", "mask_key")),
        *((name, ctypes.c_void_p) for name in ("q", "k", "v", "values", "mask")),
        *((name, ctypes.c_int64) for name in ("causal", "threads", "chunks")),
        ("dropout", ctypes.c_float),
        ("seed", ctypes.c_uint32),
    )


class _Outcome(ctypes.Structure):
    """What ``struct Outcome`` of additive.cpp holds."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("softmax", "d_context", "d_q", "d_k", "d_v", "d_values"))


def additive_context(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_HK: Tensor,
    values_BHSV: Tensor,
    may_attend: Tensor | None,
    causal: bool,
    dropout: float,
) -> Tensor:
    """Return ``softmax(v . tanh(q + k)) values`` (B, H, T, width of the values), where the compiled loops serve (pointers.py).

    Extra memory is linear in T and S, forward and backward. The bits do not depend on the number of threads. Errors
    against exact arithmetic are about those of the plain formula in float32 (at most twice as large, by RMS).

    Args:
        q_BHTK: queries; computed in float32, whatever their type.
        k_BHSK: keys.
        v_HK: the vector v of each head.
        values_BHSV: values.
        may_attend: boolean, broadcastable to (B, H, T, S); a query that may attend to nothing gets zeros.
        causal: also hide the future; the last query stands at the last key.
        dropout: probability with which a weight is dropped; drawn from torch's generator.
    """
    seed = drawn_seed() if dropout else 0
    inputs = (tensor.float().contiguous() for tensor in (q_BHTK, k_BHSK, v_HK, values_BHSV))
    return _Additive.apply(*inputs, may_attend, causal, dropout, seed).to(q_BHTK.dtype)


class _Additive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, values: Tensor, *options: Any) -> Tensor:
        context = q.new_empty(*q.shape[:3], values.shape[3])
        softmax = q.new_empty(*q.shape[:3], 2)  # largest score and sum of exponentials of each row
        problem = _problem(q, k, v, values, *options)
        compiled().additive_forward(ctypes.byref(problem), at(context), at(softmax))
        ctx.save_for_backward(q, k, v, values, softmax, options[0])
        ctx.options = options[1:]
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_context: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, values, softmax, may_attend = ctx.saved_tensors
        problem = _problem(q, k, v, values, may_attend, *ctx.options)
        batch, heads, chunks = problem.batch, problem.heads, problem.chunks
        d_context, d_q = d_context.contiguous(), torch.empty_like(q)
        d_k, d_values = (x.new_empty(batch, heads, chunks, *x.shape[2:]) for x in (k, values))
        d_v = v.new_empty(batch, heads, chunks, v.shape[1])
        tensors = (softmax, d_context, d_q, d_k, d_v, d_values)
        compiled().additive_backward(ctypes.byref(problem), ctypes.byref(_Outcome(*map(at, tensors))))
        return d_q, d_k.sum(2), d_v.sum((0, 2)), d_values.sum(2), *[None] * (1 + len(ctx.options))


def _problem(
    q: Tensor, k: Tensor, v: Tensor, values: Tensor, may_attend: Tensor | None, causal: bool, dropout: float, seed: int
) -> _Problem:
    batch, heads, queries, width = q.shape
    keys = k.shape[2]
    strides = mask_strides(may_attend, batch, heads, queries, keys)
    chunks = max(1, min(_TASKS // max(1, batch * heads), queries // _ROWS))
    sizes = (batch, heads, queries, keys, width, values.shape[3])
    return _Problem(
        *sizes,
        *strides,
        *map(at, (q, k, v, values, may_attend)),
        causal,
        torch.get_num_threads(),
        chunks,
        dropout,
        seed,
    )
