"""Whole attention modules, projections included: ours, the same written out by hand, and torch's."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attncompare.attention import Attention
from attncompare.bench.attention_forms import work_of
from attncompare.bench.contender import Contender

BY_HAND = "projections + SDPA by hand"
OURS = "attncompare"
TORCH = "nn.MultiheadAttention"
NAMES = {"ours": OURS, "by_hand": BY_HAND, "torch": TORCH}


class ByHand(nn.Module):
    """Multi-head self-attention as a short script would have it: one projection to queries, keys and values, torch's kernel."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        width = heads * head_dim
        self.projection = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return the output (B, T, D)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.projection(x_BTD).chunk(3, dim=-1)
        )
        return self.output(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def module_of(form: str, heads: int, head_dim: int) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """Return one module, and how it is called; all compute the same function of the same weights."""
    torch.manual_seed(1)
    by_hand = ByHand(heads, head_dim)
    if form == "by_hand":
        return by_hand, by_hand
    if form == "torch":
        theirs = nn.MultiheadAttention(heads * head_dim, heads, batch_first=True)
        theirs.load_state_dict(
            {
                "in_proj_weight": by_hand.projection.weight,
                "in_proj_bias": by_hand.projection.bias,
                "out_proj.weight": by_hand.output.weight,
                "out_proj.bias": by_hand.output.bias,
            }
        )
        return theirs, lambda x: theirs(x, x, x, need_weights=False)[0]
    ours = Attention(heads * head_dim, heads)
    with torch.no_grad():
        for name in ("weight", "bias"):
            parts = getattr(by_hand.projection, name).chunk(3)
            for linear, part in zip((ours.query, ours.key, ours.value), parts, strict=True):
                getattr(linear, name).copy_(part)
            getattr(ours.output, name).copy_(getattr(by_hand.output, name))
    return ours, lambda x: ours(x)[0]


def module_contender(
    form: str,
    training: bool,
    *,
    batch: int,
    heads: int,
    length: int,
    head_dim: int,
    dtype: str,
    device: str,
    threads: int | None = None,
) -> Contender:
    """Return one module as a contender; its work is forward alone, or forward and the gradients of input and weights."""

    def prepare() -> Callable[[], object]:
        if threads is not None:
            torch.set_num_threads(threads)
        module, call = module_of(form, heads, head_dim)
        module.to(device, getattr(torch, dtype)).train(training)
        shape = (batch, length, heads * head_dim)
        generator = torch.Generator().manual_seed(1)
        x, gradient = (torch.randn(shape, generator=generator).to(device, getattr(torch, dtype)) for _ in range(2))
        x.requires_grad_()
        return work_of(lambda: call(x), [x, *module.parameters()], gradient, training)

    return Contender(NAMES[form], prepare)
