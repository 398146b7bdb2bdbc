# %% [markdown]
# # 5. Masking the future
#
# > **The question:** how do we keep a model that predicts the next word from looking at it?
#
# A language model learns from whole texts at once: every position predicts the word after it. If it could attend to that word, it
# would copy instead of predict. So position $t$ may attend to positions $s \leq t$ only. With the mask
# $M_{ts}=0$ where that holds and $-\infty$ elsewhere:
#
# $$\text{weights} = \text{softmax}(\text{scores} + M) \qquad \text{scores},\ M,\ \text{weights}:\ T \times T$$
#
# $e^{-\infty} = 0$, so hidden words get exactly nothing and the others share what there is.

# %%
import torch

words = "she opened the old door".split()
torch.manual_seed(3)
scores_TS = 1.5 * torch.randn(5, 5)
may_attend_TS = torch.ones(5, 5, dtype=torch.bool).tril()  # True: may attend
hidden_first_TS = scores_TS.masked_fill(~may_attend_TS, -torch.inf).softmax(-1)

# %% [markdown]
# ## Hide first or afterwards
#
# There is another way: take the softmax over all words, set the weights of the future to zero, and divide by what is left. Both
# give the same numbers, because the denominator of the softmax cancels:
#
# $$\left(\frac{e^{a_s}}{\sum_{\text{all}} e^{a}}\right) / \left(\frac{\sum_{\text{seen}} e^{a}}{\sum_{\text{all}} e^{a}}\right) = \frac{e^{a_s}}{\sum_{\text{seen}} e^{a}}$$

# %%
zeroed_TS = scores_TS.softmax(-1) * may_attend_TS
renormalized_TS = zeroed_TS / zeroed_TS.sum(-1, keepdim=True)
print("the same weights:", torch.allclose(hidden_first_TS, renormalized_TS))
print("rows after zeroing add up to ", [round(one, 2) for one in zeroed_TS.sum(-1).tolist()])
print("rows after dividing add up to", [round(one, 2) for one in renormalized_TS.sum(-1).tolist()])

# %%
from attncompare.primer import pictures

nan = float("nan")
pictures.draw(
    ("scores", scores_TS, words, words),
    ("softmax of all, future set to zero", zeroed_TS, words, words),
    ("−∞ before softmax = renormalized", hidden_first_TS.masked_fill(~may_attend_TS, nan), words, words),
    size=3.4,
)
# %% [markdown]
# The triangle is what you see in the maps of every model that predicts the next word. The first word can only attend to itself, so its weight is 1.
#
# ## A trap: multiplying
#
# A mask of ones and $-\infty$ that is *multiplied* looks alike and is wrong: a negative score times $-\infty$ becomes $+\infty$, whose
# softmax is not a number (NaN), and a score of exactly 0 becomes NaN by itself.

# %%
multiplied_TS = scores_TS * torch.where(may_attend_TS, 1.0, -torch.inf)
print("first row, multiplied:", [round(one, 2) for one in multiplied_TS[0].tolist()])
print("its softmax:          ", multiplied_TS[0].softmax(-1).tolist())
print("rows that are NaN:    ", int(multiplied_TS.softmax(-1).isnan().any(-1).sum()), "of", len(words))
print("zero times infinity:  ", (torch.tensor(0.0) * -torch.inf).item())

# %% [markdown]
# ## Padding
#
# Sentences of a batch have different lengths; short ones are filled up. The filling is hidden the same way, from everybody. Both
# masks are boolean, `True` where attention is allowed, and are combined by *and*. A row that may attend to nothing gets zeros
# instead of NaN. Padding still asks, as the last two rows of the picture show; its outputs are thrown away.

# %%
from attncompare.attention import attend, causal_mask, combine, padding_mask

is_word_BS = torch.tensor([[True, True, True, True, True], [True, True, True, False, False]])
mask_BHTS = combine(causal_mask(5, 5), padding_mask(is_word_BS))
q_BHTK, k_BHSK, v_BHSK = torch.randn(3, 2, 1, 5, 8)
_, weights_BHTS = attend(q_BHTK, k_BHSK, v_BHSK, may_attend=mask_BHTS, need_weights=True)
_, nothing_BHTS = attend(q_BHTK, k_BHSK, v_BHSK, may_attend=torch.zeros(5, 5, dtype=torch.bool), need_weights=True)
print(
    "weights on the future:", weights_BHTS.triu(1).sum().item(), " on padding:", weights_BHTS[1, 0, :, 3:].sum().item()
)
print("weights of who may see nothing:", nothing_BHTS.abs().sum().item())

# %%
short = [*words[:3], "(pad)", "(pad)"]
seen_BTS = weights_BHTS[:, 0].masked_fill(~mask_BHTS.expand(2, 1, 5, 5)[:, 0], nan)
pictures.draw(
    ("five words", seen_BTS[0], words, words),
    ("three words and padding", seen_BTS[1], short, short),
    columns=2,
    size=3.4,
)

# %% [markdown]
# ## Try it
#
# Train a language model whose mask hides first, and one that renormalizes. The two are the same model, up to rounding; the comparison
# says so.
#
# ```sh
# attncompare train -m task=language_model attention=scaled,renormalize trainer.max_steps=200
# attncompare compare SWEEP
# attncompare train task=language_model task.causal=false
# ```
#
# The last command is refused: a language model that sees the future cannot be configured.
