# %% [markdown]
# # 2. Query, key, value
#
# > **The question:** how does a word look for other words, and what does it take from them?
#
# In chapter 1 each row did three jobs. A model gives every word three vectors instead, each made from the word's own vector $x$ by
# a matrix that it learns:
#
# - the **query** $q = x W_q$: what the word is looking for,
# - the **key** $k = x W_k$: how it wants to be found,
# - the **value** $v = x W_v$: what it hands over when it was found.
#
# $$\text{scores} = \frac{Q K^{\top}}{\sqrt{d}} \qquad \text{weights} = \text{softmax}(\text{scores}) \qquad \text{context} = \text{weights} \cdot V$$
#
# For $T$ words with vectors of width $D$ and a head of width $d$: $x$ is $T \times D$; queries, keys, values and context are
# $T \times d$; scores and weights are $T \times T$.

# %%
import torch

words = "the cat sat because it was tired".split()
torch.manual_seed(4)
x_TD = torch.randn(len(words), 6)  # in a model these are learned
w_q_DK, w_k_DK, w_v_DK = torch.randn(3, 6, 4)
q_TK, k_TK, v_TK = x_TD @ w_q_DK, x_TD @ w_k_DK, x_TD @ w_v_DK
print(
    "words", tuple(x_TD.shape), "→ queries", tuple(q_TK.shape), "keys", tuple(k_TK.shape), "values", tuple(v_TK.shape)
)

# %%
from attncompare.primer import pictures

pictures.draw(
    ("x: the words", x_TD, words),
    ("queries", q_TK, words),
    ("keys", k_TK, words),
    ("values", v_TK, words),
    columns=4,
    size=2.4,
)
# %% [markdown]
# (Orange is above 0, blue below; each panel has a scale of its own.) Each query meets each key. Row *it* of the scores says how
# well every word answers what *it* is looking for.

# %%
scores_TS = q_TK @ k_TK.T / 4**0.5
weights_TS = scores_TS.softmax(dim=-1)
context_TK = weights_TS @ v_TK
it = words.index("it")
for word, score, weight in zip(words, scores_TS[it].tolist(), weights_TS[it].tolist(), strict=True):
    print(f"it → {word:8} score {score:6.2f}   weight {weight:.2f}")
print("the weights of a row add up to", round(weights_TS[it].sum().item(), 6))

# %%
pictures.draw(
    ("scores: row asks, column answers", scores_TS, words, words),
    ("weights: softmax of each row", weights_TS, words, words),
    ("context = weights · values", context_TK, words),
    size=3.6,
)
# %% [markdown]
# The context of *it* is one vector, a mixture of values in which the words with large weights are heard most. These matrices were
# drawn at random, so the weights mean nothing yet; training changes $W_q$, $W_k$ and $W_v$ until the mixture is useful.
#
# In the package this is one call. The tensors have two more dimensions in front, the batch $B$ and the heads $H$ (a head is one
# such set of matrices; chapter 7 has several):

# %%
from attncompare import attend

context_BHTK, weights_BHTS = attend(
    q_TK[None, None], k_TK[None, None], v_TK[None, None], score="scaled", need_weights=True
)
print("context", tuple(context_BHTK.shape), "weights", tuple(weights_BHTS.shape))
print("the same numbers:", torch.allclose(context_BHTK[0, 0], context_TK, atol=1e-6))

# %% [markdown]
# Attention does not see the order of the words: shuffle them, and the contexts are shuffled, nothing else. A model that needs the
# order adds a vector to each $x$ that tells its position.

# %%
order = torch.randperm(len(words))
shuffled = (x_TD[order] @ w for w in (w_q_DK, w_k_DK, w_v_DK))
shuffled_context_BHTK, _ = attend(*(one[None, None] for one in shuffled), score="scaled")
print("only shuffled:", torch.allclose(shuffled_context_BHTK[0, 0], context_TK[order], atol=1e-6))

# %% [markdown]
# ## Try it
#
# Train a small translator and look at the weights of a sentence of your own, in the terminal and as a page. `RUN` is the folder that
# the first command prints.
#
# ```sh
# attncompare train attention=scaled trainer.max_steps=200
# attncompare attend RUN "the fifth of May"
# ```
