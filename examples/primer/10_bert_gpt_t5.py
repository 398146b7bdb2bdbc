# %% [markdown]
# # 10. BERT, GPT, T5
#
# > **The question:** three famous families are made of the same attention; what is different?
#
# Mostly, who may see whom. With $M_{ts} = 0$ where position $t$ may attend to position $s$, and $-\infty$ elsewhere, all three compute
#
# $$\text{softmax}\!\left(\frac{Q K^{\top}}{\sqrt{K}} + M\right) V \qquad M:\ T \times S$$
#
# - **BERT** (Devlin et al. 2018) is an *encoder*: every word sees every word. It learns to fill in words that were masked, and gives vectors
#   to whoever wants to classify.
# - **GPT** (Radford et al. 2018, 2019) is a *decoder*: every word sees itself and what stands before it. It learns to say the next word, and
#   continues texts.
# - **T5** (Raffel et al. 2020) has both: an encoder reads the source in both directions, a decoder writes the target, sees its own
#   past, and the whole source by cross-attention.

# %%
import torch

from attncompare.attention import attend, causal_mask

source, target = "translate : good morning".split(), "guten Morgen !".split()
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
pictures.draw(*panels, size=3.5, title="who (row) may see whom (column)")

# %% [markdown]
# The same queries, keys and values under the three masks:

# %%
torch.manual_seed(1)
q_BHTK, k_BHSK, v_BHSK = torch.randn(3, 1, 1, S + T, 8)
panels = []
for name, mask in masks.items():
    weights_TS = attend(q_BHTK, k_BHSK, v_BHSK, may_attend=mask, need_weights=True)[1][0, 0]
    panels.append((name.partition(":")[0], weights_TS.masked_fill(~mask, float("nan")), words, words))
pictures.draw(*panels, size=3.5, title="weights of the same random words")

# %% [markdown]
# ## The smallest of each
#
# Three configs of this package have the forms of the three, in a size that trains in minutes:

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
# Their tasks follow from what they may see. A model that sees the next word cannot learn to predict it; one that does not see
# what comes after cannot use it.
#
# ## Try it
#
# ```sh
# attncompare train experiment=bert trainer.max_steps=200
# attncompare train experiment=gpt2 trainer.max_steps=200
# attncompare train experiment=t5 trainer.max_steps=200
# ```
