# %% [markdown]
# # 3. Why divide by √d?
#
# > **The question:** why is the dot product divided by the root of the width?
#
# A dot product of two vectors of width $d$ is a sum of $d$ products. If the numbers in $q$ and $k$ are independent with mean 0 and
# variance 1, each product has variance 1 and the sum has
#
# $$\text{Var}(q \cdot k) = d \qquad \text{so that} \qquad \text{Var}\left(\frac{q \cdot k}{\sqrt{d}}\right) = 1$$
#
# Wider heads have larger scores, only because they are wider. Let us measure it:

# %%
import torch

torch.manual_seed(0)
widths = [4, 16, 64, 256, 1024]
measured, largest = [], {"q·k": [], "q·k / √d": []}
for d in widths:
    q_NK, k_NSK = torch.randn(500, d), torch.randn(500, 10, d)  # 500 queries with 10 keys each
    scores_NS = torch.einsum("nk,nsk->ns", q_NK, k_NSK)
    measured.append(scores_NS.var().item())
    largest["q·k"].append(scores_NS.softmax(-1).max(-1).values.mean().item())
    largest["q·k / √d"].append((scores_NS / d**0.5).softmax(-1).max(-1).values.mean().item())
    print(f"d={d:5}  variance predicted {d:5}  measured {measured[-1]:7.1f}  largest weight {largest['q·k'][-1]:.2f}")

# %% [markdown]
# ## What large scores do to the softmax
#
# With large scores the softmax gives nearly everything to one key: it **saturates**. Then it hardly reacts to a change of the
# scores, and its gradient vanishes: for the weights $w$,
#
# $$\frac{\partial w_i}{\partial \text{score}_j} = w_i\,(\delta_{ij} - w_j)$$
#
# (where $\delta_{ij}$ is 1 for $i = j$ and 0 else) is near 0 everywhere when one weight is near 1 and the others near 0. What
# does not react cannot be trained. Its size below is the sum of its absolute values over all $i$ and $j$, as a mean of 500 queries.


# %%
def gradient(d, scale):
    scores_NS = (torch.randn(500, 1, d) @ torch.randn(500, d, 10)).squeeze(1) * scale
    w_NS = scores_NS.softmax(-1)
    jacobian_NSS = torch.diag_embed(w_NS) - w_NS[:, :, None] * w_NS[:, None, :]
    return jacobian_NSS.abs().sum((-1, -2)).mean().item()


gradients = {
    "q·k": [gradient(d, 1) for d in widths],
    "q·k / √d": [gradient(d, d**-0.5) for d in widths],
}
for name, values in gradients.items():
    print(f"{name:9} size of the softmax's gradient by width:", "  ".join(f"{value:.3f}" for value in values))

# %%
from matplotlib import pyplot as plt

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.5, 3), layout="constrained")
left.loglog(widths, measured, "o", color="#d55e00", label="measured")
left.loglog(widths, widths, "--", color="#0072b2", label="predicted: d")
left.set_title("variance of q·k")
for name, color in (("q·k", "#d55e00"), ("q·k / √d", "#0072b2")):
    middle.semilogx(widths, largest[name], "o-", color=color, label=name)
    right.loglog(widths, gradients[name], "o-", color=color, label=name)
middle.set_title("largest of 10 weights, mean")
right.set_title("sum of |∂w / ∂score|, mean")
for axes in (left, middle, right):
    axes.set_xlabel("width d")
    axes.legend(frameon=False)

# %% [markdown]
# ## In training
#
# Two translators that differ in nothing but the division learn the same phrases, English dates, times, numbers and prices with
# their German forms, from the same initial values, in the same order. (Chapter 6 says how a translator is built. Each of its layers
# has an attention with one head of width 64. A *step* is one change of all parameters after one batch of phrases. A *token* is a
# word or a piece of one; the *loss* is $-\log p$ of the right next token, in nats, so 0 is perfect. BLEU counts the groups of one
# to four words that a translation shares with the right one; 100 is perfect.)

# %%
from attncompare.primer import lessons

phrases = "data=locale data.train_size=6000 data.val_size=100 data.test_size=100 task.val_decodes=40"
course = "trainer.max_steps=500 trainer.validate_every=250"
dot, scaled = lessons.train(f"attention=dot {phrases} {course}", f"attention=scaled {phrases} {course}")
for trained in (dot, scaled):
    test = trained.run.summary["test"]
    name = trained.run.config.attention.name
    print(f"{name:7} test: loss {test['loss']:.2f} nats per token, BLEU {test['bleu']:.1f}")

# %%
from attncompare.maps import maps_of
from attncompare.primer import pictures

panels = []
for trained in (dot, scaled):
    steps = maps_of(trained.run)
    for step, probes in (steps[0], steps[-1]):
        site = next(one for one in probes[3].sites if one.site == "encoder_self")
        panels += pictures.heads(site, f"{trained.run.config.attention.name}, step {step}", layer=0)
pictures.draw(*panels, title="encoder self-attention, first layer: rows ask, columns answer", columns=4, size=2.9)

# %% [markdown]
# (Dark cells are weights near 1, white cells near 0. `_` is the blank before a word, `<bos>` and `<eos>` begin and end a
# sequence, and numbers are cut into pieces.) Before training, at step 0, most rows of `dot` are hard choices already, made by
# chance before anything was learned; those of `scaled` are softer, and free to become anything. At step 500 nearly all rows
# of `dot` have chosen the same column, whatever their word: the softmax is saturated, and hardly any gradient leads out. One
# seed proves nothing about the size of the gap; several do (the first command below).
#
# ## Try it
#
# `SWEEP` is the folder that the first command prints.
#
# ```sh
# attncompare train -m attention=dot,scaled seed=1,2,3 trainer.max_steps=200
# attncompare compare SWEEP
# attncompare train attention=dot attention.heads=8 trainer.max_steps=200
# ```
#
# The last command makes the heads narrow, 8 numbers each: the trouble of `dot` should shrink. Why?
