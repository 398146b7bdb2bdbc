"""The attention module: projections, heads, cache and output around the exchangeable parts that mix values."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

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
from attncompare.attention.scores.base import ScoreFunction, make_score, repeated
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
        mask: which keys a query sees by their positions, in self-attention, and of a memory where the mask crosses; None: all.
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

    Attributes:
        on_heads: called with what each head gives to the output projection (B, T, H, V), the gate included, and returns what
            goes there in its place; None: nothing is called.
        on_values: called with the values of all keys (B, G, S, V) where weights are asked for; None: nothing is called.

    Raises:
        Refused: for a size that is not a positive integer, a dropout outside [0, 1), unknown parts, wrong settings of one, or
            parts that do not go together.
    """

    on_heads: Callable[[Tensor], Tensor] | None = None
    on_values: Callable[[Tensor], None] | None = None

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
        for name, size in {"d_model": d_model, "heads": heads, "layer": layer, **optional}.items():
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
        gate_widths = {None: 0, "elementwise": heads * self.value_dim, "headwise": heads}
        if gate not in gate_widths:
            raise Refused(f"gate={gate}: must be elementwise, headwise or null")
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
        # Both halves of a differential head stand at the same distances: they share what its positions add.
        self.positions = None if positions is None else make_positions(positions, heads, scored[1])
        if self.positions is not None and self.positions.rotates and not self.score.rotation_invariant:
            raise Refused(
                f"positions {type(self.positions).__name__}: only a score that is the same when query and key are turned alike, "
                f"such as a dot product, depends on their distance alone; {type(self.score).__name__} does not"
            )
        self.before, self.after = (HeadMixture(scored[0]) if talking_heads else None for _ in range(2))
        self.gate = nn.Linear(d_model, gate_widths[gate], bias=bias) if gate else None
        self.output = nn.Linear(heads * self.value_dim, d_model, bias=bias)
        # Without them nothing is made of positions, which takes longer than a small product.
        score_asks = any(
            type(one).at is not ScoreFunction.at for one in self.score.modules() if isinstance(one, ScoreFunction)
        )
        self._asks_where = score_asks or self.mask is not None or self.positions is not None
        of_all_heads = [name for name, _ in self.named_parameters() if name.partition(".")[0] in _OF_ALL_HEADS]
        if stacked and of_all_heads:
            raise Refused(
                f"stacked=true: heads cannot run one after the other, as they share {', '.join(of_all_heads)}"
            )

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
        may_attend, held, causal, bias = checked(may_attend), None, False, None
        if memory_BSD is None:
            start, beside = 0 if cache is None else cache.seen, 1
            q_BHTK, k_BGSK, v_BGSV = self._of_itself(query_BTD, cache, start)
            held, causal = None if cache is None else cache.positions, self.causal
        else:
            (q_BHTK,) = self._project(query_BTD, (self.query, self.heads))
            k_BGSK, v_BGSV = self._of_memory(memory_BSD, cache)
        places = None
        if self._asks_where:
            places = Places(start, query_BTD.shape[1], k_BGSK.shape[2], query_BTD.device, held, beside)
            if self.mask is not None and (memory_BSD is None or self.mask.crosses):
                visible_TS = self.mask.visible(places.of_queries()[:, None], places.of_keys()[None, :], causal)
                pattern = checked(visible_TS, f"what mask {type(self.mask).__name__} returned")
                may_attend, causal = combine(may_attend, pattern), causal and not self.mask.sees_future
            if memory_BSD is None and self.positions is not None:
                bias = self.positions.bias(self._halved(q_BHTK), places, causal)
                if self.difference is not None and bias is not None and bias.ndim > 2 and bias.shape[-3] == self.heads:
                    bias = bias.repeat_interleave(2, dim=-3)
        if need_weights and self.on_values is not None:
            self.on_values(v_BGSV)
        dropout = self.dropout if self.training else 0.0
        mixing = Mixing(self.score, self.normalizer, may_attend, causal, dropout, places, bias, self.before, self.after)
        if self.stacked:
            context_BHTV, weights_BHTS = _one_after_the_other(mixing, q_BHTK, k_BGSK, v_BGSV, need_weights)
        elif self.difference is not None:
            context_BHTV, weights_BHTS = self.difference(mixing, q_BHTK, k_BGSK, v_BGSV, need_weights)
        else:
            context_BHTV, weights_BHTS = mixing(q_BHTK, k_BGSK, v_BGSV, need_weights)
        mixed_BTHV = context_BHTV.transpose(1, 2)
        if self.gate is not None:
            mixed_BTHV = mixed_BTHV * self.gate(query_BTD).sigmoid().unflatten(-1, (self.heads, -1))
        if self.on_heads is not None:
            mixed_BTHV = self.on_heads(mixed_BTHV)
        return self.output(mixed_BTHV.flatten(2)), weights_BHTS

    def value_norms(self, v_BGSV: Tensor) -> Tensor:
        """Return the length of what each head writes for each key with weight 1, ``||v W_O||``, (B, H, S).

        A head's part of the output is the sum over keys of weight times that vector, the bias of the output aside: ``f(x)`` of
        Kobayashi et al. 2020 (norm-based analysis).

        Raises:
            Refused: if more stands between weights and output than a sum: a gate, or the norm of differential attention.
        """
        for name, part in (("gate", self.gate), ("differential", self.difference)):
            if part is not None:
                raise Refused(f"{name}: changes the weighted sum of values, so that they have no weighted norms")
        w_HVD = self.output.weight.T.unflatten(0, (self.heads, self.value_dim))
        return torch.einsum("bhsv,hvd->bhsd", repeated(v_BGSV, self.heads), w_HVD).norm(dim=-1)

    def flops(self, queries: float, keys: float) -> float:
        """Return the operations of a forward pass over so many queries and keys."""
        maps = {"query": queries, "output": queries, "gate": queries, "latent": keys, "key": keys, "value": keys}
        linear = {name: getattr(self, name) for name in maps}
        projected = sum(2 * maps[name] * one.weight.numel() for name, one in linear.items() if one is not None)
        scored, each = self.score.heads, self.score.flops_per_score() + 2 * self.value_dim
        each += self.positions.flops_per_score() if self.positions is not None else 0
        each += 4 * scored if self.before is not None else 0
        each_query = self.score.flops_per_query()
        each_query += self.positions.flops_per_query() if self.positions is not None else 0
        beside = queries * each_query + keys * self.score.flops_per_key()
        return projected + scored * (queries * keys * each + beside)

    def cached_numbers(self, of_memory: bool = False) -> int:
        """Return how many numbers a cache holds of each position that it keeps; of a memory always keys and values."""
        if self.latent is not None and not of_memory:
            return self.latent.out_features
        return self.kv_heads * (self.head_dim + self.value_dim)

    def _of_itself(self, x_BTD: Tensor, cache: KeyValueCache | None, start: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries of a sequence, and keys and values of it and of what the cache holds."""
        needed_later = None if self.mask is None else self.mask.needed_later
        of_keys = (self.key, self.kv_heads), (self.value, self.kv_heads)
        position_T = None
        if self.positions is not None:
            position_T = torch.arange(start, start + x_BTD.shape[1], device=x_BTD.device)
        if self.latent is None:
            q_BHTK, k_BGSK, v_BGSV = self._project(x_BTD, (self.query, self.heads), *of_keys)
            k_BGSK = self._turned(k_BGSK, position_T)
            if cache is not None:
                k_BGSK, v_BGSV = cache.extend(k_BGSK, v_BGSV, needed_later=needed_later)
        else:
            (q_BHTK,) = self._project(x_BTD, (self.query, self.heads))
            latent_B1SL = self.latent(x_BTD)[:, None]
            if cache is not None:
                (latent_B1SL,) = cache.extend(latent_B1SL, needed_later=needed_later)
            k_BGSK, v_BGSV = self._project(latent_B1SL[:, 0], *of_keys)
            if position_T is not None and cache is not None:
                places = Places(start, 0, latent_B1SL.shape[2], x_BTD.device, cache.positions)
                k_BGSK = self._turned(k_BGSK, places.of_keys())
            else:
                k_BGSK = self._turned(k_BGSK, position_T)
        return self._turned(q_BHTK, position_T), k_BGSK, v_BGSV

    def _turned(self, x_BHTK: Tensor, position_T: Tensor | None) -> Tensor:
        """Return queries or keys as they are at their positions; halves of differential attention are turned apart."""
        if self.positions is None or position_T is None:
            return x_BHTK
        turned = self.positions.turned(self._halved(x_BHTK), position_T)
        return turned if self.difference is None else turned.unflatten(1, (-1, 2)).transpose(2, 3).flatten(-2)

    def _halved(self, x_BHTK: Tensor) -> Tensor:
        """Return what scores are made of: of differential attention the halves of each head, (B, 2H, T, K/2)."""
        return x_BHTK if self.difference is None else halves(x_BHTK)

    def _of_memory(self, memory_BSD: Tensor, cache: KeyValueCache | None) -> tuple[Tensor, Tensor]:
        held = None if cache is None else cache.read()
        if held is None:
            read_BSX = memory_BSD if self.latent is None else self.latent(memory_BSD)
            held = self._project(read_BSX, (self.key, self.kv_heads), (self.value, self.kv_heads))
            held = held if cache is None else cache.fixed(*held)
        k_BGSK, v_BGSV = held
        return k_BGSK, v_BGSV

    def _project(self, x_BTD: Tensor, *maps: tuple[nn.Linear, int]) -> tuple[Tensor, ...]:
        """Return what each map makes of ``x_BTD``, B T (H K) -> B H T K: in training by one product, forward and backward."""
        if self.stacked:  # each head by a product of its own
            return tuple(
                torch.stack([F.linear(x_BTD, *each) for each in zip(*_heads(one, heads), strict=True)], dim=1)
                for one, heads in maps
            )
        if len(maps) > 1 and torch.is_grad_enabled():
            # Without gradients, as in decoding token by token, putting the weights together costs more than it saves.
            weight = torch.cat([one.weight for one, _ in maps])
            bias = None if maps[0][0].bias is None else torch.cat([one.bias for one, _ in maps])
            projected = F.linear(x_BTD, weight, bias).split([one.out_features for one, _ in maps], dim=-1)
        else:
            projected = tuple(one(x_BTD) for one, _ in maps)
        shape = x_BTD.shape[:2]
        return tuple(
            x.view(*shape, heads, x.shape[2] // heads).transpose(1, 2)
            for x, (_, heads) in zip(projected, maps, strict=True)
        )


_OF_ALL_HEADS = ("score", "normalizer", "before", "after", "difference")  # one head cannot have them for itself


class HeadMixture(nn.Module):
    """Mixes the heads of scores or of weights at each place (Shazeer et al. 2020, section 3): H * H parameters."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.p_HH = nn.Parameter(torch.eye(heads))

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Begin near the identity, each head for itself, so that what differs from plain attention is learned."""
        assert name == "p_HH"
        nn.init.normal_(parameter, std=0.1 * len(parameter) ** -0.5, generator=generator)
        parameter += torch.eye(len(parameter))

    def forward(self, x_BHTS: Tensor) -> Tensor:
        """Return (B, H, T, S)."""
        return torch.einsum("bhts,hg->bgts", x_BHTS, self.p_HH.to(x_BHTS.dtype))


class Difference(nn.Module):
    """The weights of one half of each head minus those of the other (Ye et al. 2024, equations 1 to 3).

    ``softmax(q1 k1) - lambda softmax(q2 k2)``, then an RMSNorm of each head's context, times ``1 - lambda_init``, where
    ``lambda_init = 0.8 - 0.6 exp(-0.3 (layer - 1))``. Four vectors of K/2 numbers decide lambda, for all heads of a layer.
    Weights may be negative.

    Args:
        heads: number H of heads.
        head_dim: width K of a head's queries and keys, both halves together; must be even.
        value_dim: width V of values.
        layer: number of the layer, from 1.
    """

    def __init__(self, heads: int, head_dim: int, value_dim: int, layer: int) -> None:
        super().__init__()
        if head_dim % 2:
            raise Refused(f"differential=true: a head has width {head_dim}, must be even: its halves are subtracted")
        self.heads, self.begin = heads, 0.8 - 0.6 * math.exp(-0.3 * (layer - 1))
        self.lambda_4F = nn.Parameter(torch.zeros(4, head_dim // 2))
        self.norm = nn.RMSNorm(value_dim, eps=1e-5)

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Draw the vectors from a normal distribution with standard deviation 0.1."""
        assert name == "lambda_4F"
        nn.init.normal_(parameter, std=0.1, generator=generator)

    def forward(
        self, mixing: Mixing, q_BHTK: Tensor, k_BGSK: Tensor, v_BGSV: Tensor, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the context (B, H, T, V) and, if they are needed, the differences of weights (B, H, T, S)."""
        q_BXTF, k_BXSF = halves(q_BHTK), halves(repeated(k_BGSK, self.heads))
        mask = mixing.may_attend
        if mask is not None and mask.ndim > 2 and mask.shape[-3] > 1:  # both halves of a head see what it may see
            mixing = replace(mixing, may_attend=mask.repeat_interleave(2, dim=-3))
        context_BXTV, weights_BXTS = mixing(q_BXTF, k_BXSF, repeated(v_BGSV, 2 * self.heads), need_weights)
        one, other, third, fourth = self.lambda_4F
        much = (one @ other).exp() - (third @ fourth).exp() + self.begin

        def differ(x_BXTY: Tensor) -> Tensor:
            first, second = x_BXTY.unflatten(1, (self.heads, 2)).unbind(2)
            return first - much.to(x_BXTY.dtype) * second

        mixed_BHTV = differ(context_BXTV)
        normed_BHTV = self.norm(mixed_BHTV.to(self.norm.weight.dtype)).to(mixed_BHTV.dtype)
        return normed_BHTV * (1 - self.begin), None if weights_BXTS is None else differ(weights_BXTS)


def halves(x_BHTK: Tensor) -> Tensor:
    """Return the halves of each head as heads beside each other, (B, 2H, T, K/2)."""
    return x_BHTK.unflatten(-1, (2, -1)).transpose(2, 3).flatten(1, 2)


def _one_after_the_other(
    mixing: Mixing, q_BHTK: Tensor, k_BGSK: Tensor, v_BGSV: Tensor, need_weights: bool
) -> tuple[Tensor, Tensor | None]:
    """Return context and weights of heads that are computed one after the other and then concatenated."""
    H = q_BHTK.shape[1]
    k_BHSK, v_BHSV = repeated(k_BGSK, H), repeated(v_BGSV, H)
    contexts, weights = [], []
    for one in (slice(h, h + 1) for h in range(H)):
        of_head = replace(mixing, may_attend=_of_head(mixing.may_attend, one), bias=_of_head(mixing.bias, one))
        context_B1TV, weights_B1TS = of_head(q_BHTK[:, one], k_BHSK[:, one], v_BHSV[:, one], need_weights)
        contexts.append(context_B1TV)
        weights += [] if weights_B1TS is None else [weights_B1TS]
    return torch.cat(contexts, 1), torch.cat(weights, 1) if weights else None


def _of_head(x: Tensor | None, one: slice) -> Tensor | None:
    """Return what a tensor that is broadcastable to (B, H, T, S) says of one head."""
    return x if x is None or x.ndim < 3 or x.shape[-3] == 1 else x[..., one, :, :]


def _heads(one: nn.Linear, heads: int) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
    """Return the weight and the bias of each head."""
    return one.weight.chunk(heads), (None,) * heads if one.bias is None else one.bias.chunk(heads)


def _as_products_take_it(x_BTD: Tensor) -> Tensor:
    """Return a tensor that several products read in their type: under autocast each would convert it for itself."""
    device = x_BTD.device.type
    takes_less = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    # Of float64, autocast takes nothing away.
    return x_BTD.to(torch.get_autocast_dtype(device)) if takes_less and x_BTD.dtype == torch.float32 else x_BTD
