"""Attention: everything that the variants share. The score function is the one part that they exchange."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attncompare.attention.cache import KeyValueCache
from attncompare.attention.masks import checked
from attncompare.attention.scores.base import ScoreFunction, make_score
from attncompare.config.values import PartConfig
from attncompare.errors import Refused


def attend(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_BHSK: Tensor,
    score: str | Mapping[str, Any] | PartConfig | ScoreFunction = "scaled",
    may_attend: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Mix values by attention: ``softmax(score(q, k)) v``, head by head.

    Args:
        q_BHTK: queries (B, H, T, K).
        k_BHSK: keys (B, H, S, K).
        v_BHSK: values (B, H, S, any width).
        score: a score function, its name, or a section of its name and settings, ``{"name": ..., ...}``; one that is made
            from a name has its initial parameters.
        may_attend: boolean, ``True`` = may attend, broadcastable to (B, H, T, S).
        causal: also hide the future; with T < S the last query stands at the last key.
        dropout: probability with which a weight is dropped, applied whenever it is not 0.
        need_weights: also return the weights, through a path that computes them explicitly.

    Returns:
        The context (B, H, T, width of v), and the weights (B, H, T, S) before dropout or ``None``. A query that may
        attend to nothing has zero weights and zero context.

    Raises:
        Refused: for an unknown score, wrong settings of one, one that returns wrong shapes, tensors of other shapes than
            these, or a mask that is not boolean.
    """
    q, k, v = (tuple(tensor.shape) for tensor in (q_BHTK, k_BHSK, v_BHSK))
    if not (len(q) == len(k) == len(v) == 4 and q[:2] == k[:2] == v[:2] and k[2] == v[2] and q[3] == k[3]):
        raise Refused(f"q {q}, k {k}, v {v}: must be (B, H, T, K), (B, H, S, K) and (B, H, S, any width)")
    scorer = score if isinstance(score, ScoreFunction) else make_score(score, *q_BHTK.shape[1::2]).to(q_BHTK)
    may_attend = checked(may_attend)
    if need_weights:
        return scorer.context_and_weights(q_BHTK, k_BHSK, v_BHSK, may_attend, causal, dropout)
    context_BHTK = scorer.context(q_BHTK, k_BHSK, v_BHSK, may_attend, causal, dropout)
    if context_BHTK.shape != (*q_BHTK.shape[:3], v_BHSK.shape[3]):
        shapes = f"{tuple(context_BHTK.shape)}, must be {(*q_BHTK.shape[:3], v_BHSK.shape[3])}"
        raise Refused(f"score {type(scorer).__name__}: context returned a tensor of shape {shapes}")
    return context_BHTK, None


class Attention(nn.Module):
    """Attention from d_model to d_model, with any score function and any positive number of heads.

    Args:
        d_model: width D of what comes in and goes out.
        heads: number H of heads.
        head_dim: width K of a head; ceil(d_model / heads) by default, so that H * K may exceed D.
        score: the name of a score function, or a section of its name and settings, ``{"name": ..., ...}``.
        causal: hide the future in self-attention.
        dropout: probability with which a weight is dropped while training.
        bias: whether the four projections have one.

    Raises:
        Refused: for a size that is not a positive integer, a dropout outside [0, 1), an unknown score or wrong settings of one.
    """

    def __init__(
        self,
        d_model: int,
        heads: int = 1,
        head_dim: int | None = None,
        score: str | Mapping[str, Any] | PartConfig = "scaled",
        causal: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        for name, size in (("d_model", d_model), ("heads", heads), ("head_dim", 1 if head_dim is None else head_dim)):
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise Refused(f"{name}={size}: must be a positive integer")
        if not 0 <= dropout < 1:
            raise Refused(f"dropout={dropout}: must be in [0, 1)")
        self.heads = heads
        self.head_dim = head_dim or math.ceil(d_model / heads)
        self.causal = causal
        self.dropout = dropout
        inner = heads * self.head_dim
        self.query = nn.Linear(d_model, inner, bias=bias)
        self.key = nn.Linear(d_model, inner, bias=bias)
        self.value = nn.Linear(d_model, inner, bias=bias)
        self.score = make_score(score, heads, self.head_dim)
        self.output = nn.Linear(inner, d_model, bias=bias)

    def forward(
        self,
        query_BTD: Tensor,
        memory_BSD: Tensor | None = None,
        may_attend: Tensor | None = None,
        need_weights: bool = False,
        cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Let every query attend to the memory, or without one to the queries' own sequence.

        Args:
            query_BTD: (B, T, D).
            memory_BSD: (B, S, D); absent for self-attention.
            may_attend: boolean, ``True`` = may attend, broadcastable to (B, H, T, S).
            need_weights: also return the weights.
            cache: keys and values of earlier calls. Self-attention appends to it; a memory is projected once and then
            read from it.

        Returns:
            The output (B, T, D), and the weights (B, H, T, S) before dropout or ``None``.
        """
        query_BTD = _as_products_take_it(query_BTD)
        memory_BSD = None if memory_BSD is None else _as_products_take_it(memory_BSD)
        if memory_BSD is None:
            q_BHTK, k_BHSK, v_BHSK = self._project(query_BTD, self.query, self.key, self.value)
            if cache is not None:
                k_BHSK, v_BHSK = cache.extend(k_BHSK, v_BHSK)
        else:
            (q_BHTK,) = self._project(query_BTD, self.query)
            k_BHSK, v_BHSK = self._of_memory(memory_BSD, cache)
        context_BHTK, weights_BHTS = attend(
            q_BHTK,
            k_BHSK,
            v_BHSK,
            score=self.score,
            may_attend=may_attend,
            causal=self.causal and memory_BSD is None,
            dropout=self.dropout if self.training else 0.0,
            need_weights=need_weights,
        )
        return self.output(context_BHTK.transpose(1, 2).flatten(2)), weights_BHTS

    def _of_memory(self, memory_BSD: Tensor, cache: KeyValueCache | None) -> tuple[Tensor, Tensor]:
        held = None if cache is None else cache.read()
        if held is not None:
            return held
        k_BHSK, v_BHSK = self._project(memory_BSD, self.key, self.value)
        return (k_BHSK, v_BHSK) if cache is None else cache.fixed(k_BHSK, v_BHSK)

    def _project(self, x_BTD: Tensor, *maps: nn.Linear) -> tuple[Tensor, ...]:
        """Return what each map makes of ``x_BTD``, B T (H K) -> B H T K: in training by one product, forward and backward."""
        if len(maps) > 1 and torch.is_grad_enabled():
            # Without gradients, as in decoding token by token, putting the weights together costs more than it saves.
            weight = torch.cat([each.weight for each in maps])
            bias = None if self.query.bias is None else torch.cat([each.bias for each in maps])
            projected = F.linear(x_BTD, weight, bias).chunk(len(maps), dim=-1)
        else:
            projected = tuple(each(x_BTD) for each in maps)
        return tuple(x.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2) for x in projected)


def _as_products_take_it(x_BTD: Tensor) -> Tensor:
    """Return a tensor that several products read in their type: under autocast each would convert it for itself."""
    device = x_BTD.device.type
    takes_less = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    # Of float64, autocast takes nothing away.
    return x_BTD.to(torch.get_autocast_dtype(device)) if takes_less and x_BTD.dtype == torch.float32 else x_BTD
