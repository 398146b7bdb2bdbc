"""Every score beside its formula, torch.compile of it and torch's own attention: time, memory and error."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attncompare.attention import Attention, ScoreFunction, attend, causal_mask
from attncompare.attention.kernels.build import cpp_compiler
from attncompare.attention.normalizers.softmax import masked_softmax
from attncompare.attention.scores.base import make_score
from benchmarks.measure import LeftOut, arguments, in_turns, median, parsed, peak_bytes, ratio, shown, table

Function = Callable[[Tensor, Tensor, Tensor], Tensor]  # (q_BHTK, k_BHSK, values_BHSK) -> context_BHTK

FORMS = {"ours": "attncompare", "eager": "eager formula", "compile": "torch.compile", "sdpa": "SDPA"}
MODULES = {"ours": "attncompare", "by_hand": "projections + SDPA by hand", "torch": "nn.MultiheadAttention"}
HEADS = {"ours": "all heads at once", "stacked": "one head after the other"}
_GPT2 = {"gpt2_small_attention": 12, "gpt2_xl_attention": 25}  # heads of width 64, by the experiment of that shape
_SCORES = ("additive", "dot", "scaled")
_MOST_BYTES = 8 * 2**30  # that the eager formula may hold; beyond, it is left out
_NOTES = (
    "÷ ours: how many times as long as attncompare in the same rounds. Memory: peak beyond the inputs, forward and backward, "
    "gradients included, of one call in a fresh process.",
    "Error: RMS against float64 over that of the eager formula, the largest of context and gradients. SDPA: torch's "
    "scaled_dot_product_attention; beside additive, another function.",
)


def work(
    form: str, score: str, causal: bool, training: bool, device: str, dtype: str, **sizes: int
) -> Callable[[], object]:
    """Return one form of attention from queries, keys and values to context, forward alone or with all gradients."""
    q, k, values, gradient = inputs(device=device, dtype=dtype, **sizes)
    scorer = make_score(score, q.shape[1], q.shape[3]).to(q)
    function = function_of(form, scorer, score, causal)
    parameters = [] if form == "sdpa" else list(scorer.parameters())  # torch's function has none
    return _passes(lambda: function(q, k, values), [q, k, values, *parameters], gradient, training)


def inputs(batch: int, heads: int, length: int, head_dim: int, device: str, dtype: str) -> tuple[Tensor, ...]:
    """Return queries, keys and values (B, H, T, K) that ask for gradients, and the gradient of the context."""
    draw = torch.Generator().manual_seed(1)
    shape = (batch, heads, length, head_dim)
    made = [torch.randn(shape, generator=draw).to(device, getattr(torch, dtype)) for _ in range(4)]
    return made[0].requires_grad_(), made[1].requires_grad_(), made[2].requires_grad_(), made[3]


def function_of(form: str, scorer: ScoreFunction, score: str, causal: bool) -> Function:
    """Return one form of the attention with this score."""
    if form == "ours":
        return lambda q, k, values: attend(q, k, values, score=scorer, causal=causal)[0]
    if form == "sdpa":
        scale = getattr(scorer, "scale", None)  # of products; torch's own for other scores
        return lambda q, k, values: F.scaled_dot_product_attention(q, k, values, is_causal=causal, scale=scale)
    formula = _written_out(scorer, score, causal)
    if form == "eager":
        return formula
    torch.compiler.reset()  # else what was compiled for other sizes would count against a limit
    return torch.compile(formula, dynamic=False, fullgraph=True)


def _written_out(scorer: ScoreFunction, score: str, causal: bool) -> Function:
    """Return the attention as its formula stands in the papers, every intermediate result a tensor of its own."""
    v_HK = dict(scorer.named_parameters()).get("v_HK")

    def formula(q_BHTK: Tensor, k_BHSK: Tensor, values_BHSK: Tensor) -> Tensor:
        if score == "additive" and v_HK is not None:  # ours never holds the B*H*T*S*K numbers of the formula
            h_BHTSK = torch.tanh(q_BHTK.unsqueeze(3) + k_BHSK.unsqueeze(2))
            scores_BHTS = (h_BHTSK @ v_HK[:, None, :, None]).squeeze(-1)
        else:
            scores_BHTS = scorer(q_BHTK, k_BHSK)
        mask = causal_mask(q_BHTK.shape[2], k_BHSK.shape[2], q_BHTK.device) if causal else None
        return masked_softmax(scores_BHTS, mask) @ values_BHSK

    return formula


def _passes(
    forward: Callable[[], Tensor], leaves: list[Tensor], gradient: Tensor, training: bool
) -> Callable[[], object]:
    if training:
        return lambda: torch.autograd.grad(forward(), leaves, gradient)

    def alone() -> Tensor:
        with torch.no_grad():
            return forward()

    return alone


class ByHand(nn.Module):
    """Multi-head self-attention as a short script has it: one projection to queries, keys and values, torch's attention."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, width = heads, heads * head_dim
        self.projection, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return the output (B, T, D)."""
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in self.projection(x_BTD).chunk(3, dim=-1))
        return self.output(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def module_of(form: str, heads: int, head_dim: int) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """Return one module, and how it is called; all compute the same function of the same weights."""
    torch.manual_seed(1)
    by_hand = ByHand(heads, head_dim)
    if form == "by_hand":
        return by_hand, by_hand
    names = {"in_proj_weight": "projection.weight", "in_proj_bias": "projection.bias"}
    names |= {"out_proj.weight": "output.weight", "out_proj.bias": "output.bias"}
    weights = by_hand.state_dict()
    if form == "torch":
        theirs = nn.MultiheadAttention(heads * head_dim, heads, batch_first=True)
        theirs.load_state_dict({theirs_name: weights[name] for theirs_name, name in names.items()})
        return theirs, lambda x: theirs(x, x, x, need_weights=False)[0]
    ours = Attention(heads * head_dim, heads, stacked=form == "stacked")
    split = {
        f"{linear}.{kind}": part
        for kind in ("weight", "bias")
        for linear, part in zip(("query", "key", "value"), weights[f"projection.{kind}"].chunk(3), strict=True)
    }
    ours.load_state_dict({**split, "output.weight": weights["output.weight"], "output.bias": weights["output.bias"]})
    return ours, lambda x: ours(x)[0]


def module_work(
    form: str, training: bool, batch: int, heads: int, length: int, head_dim: int, device: str, dtype: str
) -> Callable[[], object]:
    """Return a whole module for self-attention, forward alone or with the gradients of input and weights."""
    module, call = module_of(form, heads, head_dim)
    module.to(device, getattr(torch, dtype)).train(training)
    draw = torch.Generator().manual_seed(1)
    shape = (batch, length, heads * head_dim)
    x, gradient = (torch.randn(shape, generator=draw).to(device, getattr(torch, dtype)) for _ in range(2))
    x.requires_grad_()
    return _passes(lambda: call(x), [x, *module.parameters()], gradient, training)


def error_over_eager(form: str, score: str, causal: bool, device: str, dtype: str, **sizes: int) -> float:
    """Return the error of ``form`` over that of the eager formula, the largest such ratio among context and gradients.

    Each is the root of the mean square against the formula in float64, from the same inputs (in ``dtype``).
    """

    def results(form: str, compute: torch.dtype) -> list[Tensor]:
        *made, gradient = inputs(device=device, dtype=dtype, **sizes)
        scorer = make_score(score, sizes["heads"], sizes["head_dim"]).to(made[0]).to(compute)
        q, k, values = (x.detach().to(compute).requires_grad_() for x in made)
        context = function_of(form, scorer, score, causal)(q, k, values)
        return [
            context.detach(),
            *torch.autograd.grad(context, [q, k, values, *scorer.parameters()], gradient.to(compute)),
        ]

    native = getattr(torch, dtype)
    exact, eager, fast = results("eager", torch.float64), results("eager", native), results(form, native)

    def rms(found: Tensor, right: Tensor) -> float:
        return float((found.double() - right).square().mean().sqrt())

    return max(rms(a, right) / max(rms(b, right), 1e-30) for a, b, right in zip(fast, eager, exact, strict=True))


def bytes_needed(score: str, itemsize: int, *, batch: int, heads: int, length: int, head_dim: int) -> int:
    """Return about how many bytes the eager formula holds at its peak, forward and backward."""
    return 3 * itemsize * batch * heads * length**2 * (head_dim if score == "additive" else 1)


def _rows(score: str, length: int, options: Any) -> list[tuple[str, ...]]:
    """Return a row for each form of a score, or of whole modules, at one length."""
    sizes: dict[str, Any] = {
        "batch": options.batch,
        "heads": options.heads,
        "length": length,
        "head_dim": options.head_dim,
    }
    given: dict[str, Any] = {**sizes, "device": options.device, "dtype": options.dtype}
    of_modules = {"modules": MODULES, "heads": HEADS}
    make, names = (module_work, of_modules[score]) if score in of_modules else (work, FORMS)
    if score not in of_modules:
        given |= {"score": score, "causal": options.causal}
    needed = bytes_needed(score, getattr(torch, options.dtype).itemsize, **sizes)
    compiles = options.device == "cuda" or cpp_compiler() is not None
    left_out = {
        "eager": f"left out, it needs {shown(needed, 'B')}" if needed > _MOST_BYTES and score not in of_modules else "",
        "compile": "" if compiles else "left out, there is no C++ compiler",
    }
    forms = [form for form in names if not left_out.get(form)]
    seconds = [
        in_turns({form: make(form, training=training, **given) for form in forms}, options.rounds)
        for training in (False, True)
    ]
    rows = []
    for form, name in names.items():
        if form not in forms:
            rows.append((str(length), f"{name}: {left_out[form]}", *[""] * 6))
            continue
        cells = []
        for found in seconds:
            over = "" if form == "ours" else shown(ratio(found[form], found["ours"]), "×")
            cells += [shown(median(found[form]), "s"), over]
        whole = {**given, "form": form, "training": True}
        try:
            cells.append(
                shown(peak_bytes(make, whole, None if form == "compile" else {**whole, "length": min(length, 16)}), "B")
            )
        except LeftOut as reason:
            cells.append(str(reason))
        same = form != "eager" and needed < _MOST_BYTES / 4 and (form, score) != ("sdpa", "additive")
        cells.append(shown(error_over_eager(form, **given), "×") if same and score not in of_modules else "")
        rows.append((str(length), name, *cells))
    return rows


def main(words: list[str] | None = None) -> None:
    """Print the tables."""
    parser = arguments(__doc__, rounds=15)
    parser.add_argument(
        "--scores", nargs="+", help="which scores, or `modules` for whole modules, `heads` for a stack of heads"
    )
    parser.add_argument(
        "--lengths", nargs="+", type=int, metavar="N", help="of queries and keys (default: 64 256 1024)"
    )
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--head-dim", type=int, default=32)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--causal", action="store_true")
    options = parsed(parser, words)
    lengths = options.lengths or ([16] if options.quick else [64, 256, 1024])
    where = f"batch {options.batch}, heads {options.heads}, width of a head {options.head_dim}, {options.dtype}"
    where += ", causal" if options.causal else ""
    heads = ("T = S", "what", "forward", "÷ ours", "+ backward", "÷ ours", "memory", "error")
    for score in options.scores or [*_SCORES, "modules"]:
        if score == "heads":
            continue
        rows = [row for length in lengths for row in _rows(score, length, options)]
        title = "multihead module, projections included" if score == "modules" else score
        table(f"{title}: {where}", heads, rows, *_NOTES)
    for name, count in _GPT2.items() if not options.scores or "heads" in options.scores else ():
        options.heads, options.head_dim = (2, 8) if options.quick else (count, 64)
        rows = [row for length in lengths[:2] for row in _rows("heads", length, options)]
        table(
            f"experiment={name}: {options.heads} heads of width {options.head_dim}, batch {options.batch}", heads, rows
        )


if __name__ == "__main__":
    main()
