# %% [markdown]
# # 10. BERT, GPT, T5
#
# > **The question:** three famous families are made of the same attention; what is different?
#
# Mostly, who may see whom. With $M_{ts} = 0$ where position $t$ may attend to position $s$, and $-\infty$ elsewhere, every attention of
# all three computes
#
# $$\text{softmax}\!\left(\frac{Q K^{\top}}{\sqrt{d}} + M\right) V \qquad M:\ T \times S$$
#
# up to details: T5 leaves $\sqrt{d}$ out and adds a learned number for each distance to the scores.
#
# - **BERT** (Devlin et al. 2018) is an *encoder*: every word sees every word. It learns to fill in words that were masked, and gives vectors
#   to whoever wants to classify.
# - **GPT** (Radford et al. 2018, 2019) is a *decoder*: every word sees itself and what stands before it. It learns to say the next word, and
#   continues texts.
# - **T5** (Raffel et al. 2020) has both: an encoder reads the source in both directions, a decoder writes the target, sees its own
#   past, and the whole source by cross-attention. These are three attentions, each with a softmax of its own, drawn below as one
#   table.

# %%
import torch

from attncompare.attention import attend, causal_mask

source, target = "translate good morning".split(), "guten Morgen".split()
words, S, T = [*source, *target], len(source), len(target)
sees_all = torch.ones(S + T, S + T, dtype=torch.bool)
sees_past = causal_mask(S + T, S + T)
two_stacks = sees_past.clone()
two_stacks[:S, :S] = True  # the encoder reads its source in both directions
masks = {"BERT: all": sees_all, "GPT: the past": sees_past, "T5: source both ways, target its past": two_stacks}
for name, mask in masks.items():
    print(f"{name:40} {int(mask.sum())} of {mask.numel()} pairs may meet")

# %%
from attncompare.primer import pictures

panels = [(name, mask, words, words) for name, mask in masks.items()]
pictures.draw(*panels, size=3.5, title="who (row) may see whom (column); gray: hidden")

# %% [markdown]
# The same queries, keys and values under the three masks. In T5, rows of the source are the encoder's self-attention; rows of the
# target are cross-attention on the left and the decoder's self-attention on the right, and each of the two adds up to 1:

# %%
torch.manual_seed(1)
q_BHTK, k_BHSK, v_BHSK = torch.randn(3, 1, 1, S + T, 8)


def weights(mask, asking=slice(None), answering=slice(None)):
    part = mask[asking, answering]
    q, k, v = q_BHTK[:, :, asking], k_BHSK[:, :, answering], v_BHSK[:, :, answering]
    return attend(q, k, v, may_attend=part, need_weights=True)[1][0, 0].masked_fill(~part, float("nan"))


reads, writes = slice(0, S), slice(S, S + T)
t5_TS = torch.full((S + T, S + T), float("nan"))
for asking, answering in ((reads, reads), (writes, reads), (writes, writes)):
    t5_TS[asking, answering] = weights(two_stacks, asking, answering)
panels = [("BERT", weights(sees_all), words, words), ("GPT", weights(sees_past), words, words)]
panels.append(("T5: three attentions", t5_TS, words, words))
pictures.draw(*panels, size=3.5, title="weights of the same random words")

# %% [markdown]
# ## The smallest of each
#
# Three configs of this package have the forms of the three, in a size that trains in minutes. (Norms keep numbers of one size, before
# each part of a layer, *pre*, or after it, *post*; the activation is the bend between the two matrices of a feed-forward part.)

# %%
from attncompare.primer import lessons

for name in ("bert", "gpt2", "t5"):
    config = lessons.config(f"experiment={name}")
    backbone, attention = config.backbone, config.attention
    print(
        f"{name:5} task {config.task.name:15} {backbone.layers} layers, width {backbone.d_model}, "
        f"{attention.heads} heads, {backbone.norm} norm {backbone.norm_order}, activation {backbone.activation}"
    )

# %% [markdown]
# Their tasks follow from what they may see. A model that sees the next word cannot learn to predict it; one that does not see later
# words cannot use them to fill a gap.
#
# ## Try it
#
# ```sh
# attncompare train experiment=bert trainer.max_steps=200
# attncompare train experiment=gpt2 trainer.max_steps=200
# attncompare train experiment=t5 trainer.max_steps=200
# ```
