"""The attention module: projections, heads, cache and output around the exchangeable parts that mix values."""

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from attncompare.attention.cache import KeyValueCache
from attncompare.attention.masks import checked, combine, make_mask
from attncompare.attention.mixing import Mixing
from attncompare.attention.normalizers.base import make_normalizer
from attncompare.attention.parts import Section
from attncompare.attention.places import Places
from attncompare.attention.positions.base import make_positions
from attncompare.attention.scores.base import make_score
from attncompare.errors import Refused

Gate = Literal["elementwise", "headwise"]


class Attention(nn.Module):
    """Attention from d_model to d_model, composed of its parts.

    Args:
        d_model: width D of what comes in and goes out.
        heads: number H of heads.
        head_dim: width K of queries and keys; ceil(d_model / heads) by default, so that H * K may exceed D.
        score: a score function: its name, or a section of its name and settings, ``{"name": ..., ...}``.
        causal: hide the future in self-attention.
        dropout: probability with which a weight is dropped while training.
        bias: whether the projections have one.
        normalizer: how scores become weights, likewise a name or a section.
        mask: which keys a query sees by their positions, in self-attention; None: all.
        positions: how positions enter the scores of self-attention; None: not at all.
        kv_heads: number G of heads of keys and values, a divisor of H, which share them (Shazeer 2019; Ainslie et al. 2023).
        value_dim: width V of values; K by default.
        talking_heads: learned mixtures of heads before and after the normalizer (Shazeer et al. 2020).
        gate: what multiplies the mixed values before the output projection: a sigmoid of the query's input for each number, or
            for each head (Qiu et al. 2025).
        differential: each head subtracts the weights of the second half of its queries and keys from those of the first
            (Ye et al. 2024).
        latent: width of the one vector for each position from which keys and values are made, and which alone is cached
            (multi-head latent attention; DeepSeek-AI 2024, section 2.1); None: they are made from the input.
        stacked: run the heads one after the other, as textbooks write it: the same numbers, slower.
        layer: number of the layer, from 1, which differential attention asks for.

    Raises:
        Refused: for a size that is not a positive integer, a dropout outside [0, 1), unknown parts, wrong settings of one, or
            parts that do not go together.
    """

    def __init__(
        self,
        d_model: int,
        heads: int = 1,
        head_dim: int | None = None,
        score: Section = "scaled",
        causal: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        normalizer: Section = "softmax",
        mask: Section | None = None,
        positions: Section | None = None,
        kv_heads: int | None = None,
        value_dim: int | None = None,
        talking_heads: bool = False,
        gate: Gate | None = None,
        differential: bool = False,
        latent: int | None = None,
        stacked: bool = False,
        layer: int = 1,
    ) -> None:
        super().__init__()
        optional = {"head_dim": head_dim, "kv_heads": kv_heads, "value_dim": value_dim, "latent": latent}
        for name, size in {"d_model": d_model, "heads": heads, **optional}.items():
            if size is None and name in optional:
                continue
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise Refused(f"{name}={size}: must be a positive integer")
        if not 0 <= dropout < 1:
            raise Refused(f"dropout={dropout}: must be in [0, 1)")
        self.heads, self.kv_heads = heads, kv_heads or heads
        self.head_dim = head_dim or math.ceil(d_model / heads)
        self.value_dim = value_dim or self.head_dim
        self.causal, self.dropout, self.stacked = causal, dropout, stacked
        if heads % self.kv_heads:
            raise Refused(f"kv_heads={kv_heads}: must divide heads={heads}")
        read = d_model if latent is None else latent
        self.query = nn.Linear(d_model, heads * self.head_dim, bias=bias)
        self.key = nn.Linear(read, self.kv_heads * self.head_dim, bias=bias)
        self.value = nn.Linear(read, self.kv_heads * self.value_dim, bias=bias)
        self.latent = None if latent is None else nn.Linear(d_model, latent, bias=bias)
        self.difference = Difference(heads, self.head_dim, self.value_dim, layer) if differential else None
        scored = (2 * heads, self.head_dim // 2) if differential else (heads, self.head_dim)
        self.score = make_score(score, *scored)
        self.normalizer = make_normalizer(normalizer, scored[0])
        self.mask = None if mask is None else make_mask(mask)
        self.positions = None if positions is None else make_positions(positions, *scored)
        self.before, self.after = (HeadMixture(scored[0]) if talking_heads else None for _ in range(2))
        widths = {None: 0, "elementwise": heads * self.value_dim, "headwise": heads}
        self.gate = nn.Linear(d_model, widths[gate], bias=bias) if gate else None
        self.output = nn.Linear(heads * self.value_dim, d_model, bias=bias)
        of_all_heads = [name for name, _ in self.named_parameters() if name.partition(".")[0] in _OF_ALL_HEADS]
        if stacked and of_all_heads:
            raise Refused(f"stacked=true: heads cannot run one after the other, as they share {', '.join(of_all_heads)}")

    def forward(
        self,
        query_BTD: Tensor,
        memory_BSD: Tensor | None = None,
        may_attend: Tensor | None = None,
        need_weights: bool = False,
        cache: KeyValueCache | None = None,
        start: int = 0,
        beside: int = 1,
    ) -> tuple[Tensor, Tensor | None]:
        """Let every query attend to the memory, or without one to the queries' own sequence.

        Args:
            query_BTD: (B, T, D).
            memory_BSD: (B, S, D); absent for self-attention.
            may_attend: boolean, ``True`` = may attend, broadcastable to (B, H, T, S).
            need_weights: also return the weights.
            cache: what earlier calls read. Self-attention appends to it; a memory is projected once and then
            read from it.
            start: the position of the first query over a memory; in self-attention the cache knows it.
            beside: so many queries beside each other stand at the same positions (:class:`attncompare.attention.places.Places`).

        Returns:
            The output (B, T, D), and the weights (B, H, T, S) before dropout or ``None``. S counts the keys that the cache
            holds.
        """
        query_BTD = _as_products_take_it(query_BTD)
        memory_BSD = None if memory_BSD is None else _as_products_take_it(memory_BSD)
        T, alone, bias = query_BTD.shape[1], memory_BSD is None, None
        if alone:
            start, beside = 0 if cache is None else cache.seen, 1
            q_BHTK, k_BGSK, v_BGSV = self._of_itself(query_BTD, cache, start)
        else:
            (q_BHTK,) = self._project(query_BTD, (self.query, self.heads))
            k_BGSK, v_BGSV = self._of_memory(memory_BSD, cache)
        held = cache.positions if alone and cache is not None else None
        places = Places(start, T, k_BGSK.shape[2], query_BTD.device, held, beside)
        causal, may_attend = self.causal and alone, checked(may_attend)
        if alone and self.mask is not None:
            visible_TS = self.mask.visible(places.of_queries()[:, None], places.of_keys()[None, :], causal)
            may_attend, causal = combine(may_attend, visible_TS), causal and not self.mask.sees_future
        if alone and self.positions is not None:
            bias = self.positions.bias(q_BHTK, places, self.causal)
        dropout = self.dropout if self.training else 0.0
        mixing = Mixing(
            self.score, self.normalizer, may_attend, causal, dropout, places, bias, self.before, self.after
        )
        mix = _head_by_head if self.stacked else _together
        context_BHTV, weights_BHTS = mix(mixing, q_BHTK, k_BGSK, v_BGSV, need_weights)
        if self.difference is not None:
            context_BHTV, weights_BHTS = self.difference(context_BHTV, weights_BHTS)
        mixed_BTX = context_BHTV.transpose(1, 2)
        if self.gate is not None:
            mixed_BTX = mixed_BTX * self.gate(query_BTD).sigmoid().unflatten(-1, (self.heads, -1))
        return self.output(mixed_BTX.flatten(2)), weights_BHTS
