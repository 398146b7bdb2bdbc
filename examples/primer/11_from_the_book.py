# %% [markdown]
# # 11. From the book's classes to ours
#
# > **The question:** I have written attention step by step along a book; which argument does what here?
#
# Raschka's *Build a Large Language Model (From Scratch)* (2024, chapter 3) grows five classes, one from the other. Here there is one
# class, `Attention`, and each step of the book, from its second class on, is an argument of it:
#
# | in the book | here |
# |---|---|
# | `SelfAttention_v2(d_in, d_out, qkv_bias)` | `Attention(d_model, bias=…)` |
# | `CausalAttention(…, dropout)`: the triangle, dropout on the weights | `causal=True, dropout=…` |
# | `MultiHeadAttentionWrapper(…, num_heads)`: a list of heads, one after the other | `heads=…, stacked=True` |
# | `MultiHeadAttention(…, num_heads)`: one product, reshaped | `heads=…` |
#
# $$\text{MultiHead}(X) = \text{concat}(\text{head}_1, \dots, \text{head}_H)\, W_o \qquad \text{head}_h = \text{softmax}\!\left(\frac{X W_q^h (X W_k^h)^{\top}}{\sqrt{d}} + M\right) X W_v^h$$
#
# with $X$: $T \times D$, each $W^h$: $D \times d$, $W_o$: $Hd \times D$, and biases left out. Let us write it by hand and compare.

# %%
import torch

from attncompare import Attention

torch.manual_seed(0)
x_BTD = torch.randn(1, 6, 8)  # six words of width 8


def by_hand(module, x_BTD, causal):
    contexts = []
    linear = torch.nn.functional.linear
    for h in range(module.heads):
        part = slice(h * module.head_dim, (h + 1) * module.head_dim)
        maps = (module.query, module.key, module.value)
        q, k, v = (linear(x_BTD, one.weight[part], one.bias[part]) for one in maps)
        scores = q @ k.transpose(1, 2) / module.head_dim**0.5
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
        contexts.append(scores.softmax(-1) @ v)
    return module.output(torch.cat(contexts, dim=-1))


# %% [markdown]
# One head sees everything, then not the future, then there are several. Nothing but arguments changes:

# %%
steps = {
    "self-attention": {},
    "causal attention": {"causal": True},
    "wrapper of heads": {"causal": True, "heads": 2, "stacked": True},
    "multi-head attention": {"causal": True, "heads": 2},
}
modules = {}
for name, arguments in steps.items():
    modules[name] = Attention(8, **arguments)
    output_BTD, weights_BHTS = modules[name](x_BTD, need_weights=True)
    same = torch.allclose(output_BTD, by_hand(modules[name], x_BTD, "causal" in arguments), atol=1e-6)
    print(f"{name:22}{arguments!s:56}weights {tuple(weights_BHTS.shape)}  as by hand: {same}")

# %%
from attncompare.primer import pictures

panels = []
for name in ("self-attention", "causal attention", "multi-head attention"):
    weights_HTS = modules[name](x_BTD, need_weights=True)[1][0].detach()
    if modules[name].causal:
        weights_HTS = weights_HTS.masked_fill(torch.ones(6, 6).triu(1).bool(), float("nan"))
    panels += [(f"{name}, head {h + 1}", one, range(1, 7), range(1, 7)) for h, one in enumerate(weights_HTS)]
pictures.draw(*panels, columns=4, size=2.9, title="row: the word that asks, column: the word that answers")
# %% [markdown]
# The wrapper and the reshaped module are the same function: given the same parameters they return the same numbers.

# %%
wrapper, reshaped = modules["wrapper of heads"], modules["multi-head attention"]
reshaped.load_state_dict(wrapper.state_dict())
print("the same numbers:", torch.allclose(wrapper(x_BTD)[0], reshaped(x_BTD)[0], atol=1e-6))
print("parameters by name:", {name: tuple(one.shape) for name, one in reshaped.named_parameters() if "weight" in name})

# %% [markdown]
# Differences to know when you carry the book's code over:
#
# - Each head of the book's wrapper is `d_out` wide, so that its output is `num_heads * d_out`. Those of its `MultiHeadAttention` are
#   `d_out // num_heads` wide, and so are all of ours unless `head_dim` says otherwise.
# - The book's `qkv_bias` is `False` unless it is given, our `bias` is `True`.
# - `need_weights=True` returns the weights *before* dropout, so that maps show what was attended to and not what was dropped.
# - The book's first classes have no output projection. Ours always has one; set it to the identity and it is gone.
#
# ## Try it
#
# A whole run for each step; all of them see the same data in the same order, from the same initial values.
#
# ```sh
# attncompare train -m attention=scaled,causal,stacked,multihead trainer.max_steps=200
# attncompare compare SWEEP
# ```
