# %% [markdown]
# # 9. Before the transformer
#
# > **The question:** what was attention invented for?
#
# A recurrent translator reads a sentence word by word into one vector and writes the translation from it (Sutskever et al. 2014). Whatever
# the sentence's length, all of it must fit into that vector, the **bottleneck**. Bahdanau et al. (2014) let the decoder look back at all
# states $h_1, \dots, h_S$ of the encoder at each step $t$, from its own state $s_t$, with the additive score of chapter 4:
#
# $$c_t = \sum_{j=1}^{S} w_{tj}\, h_j \qquad w_t = \text{softmax}_j\left(v \cdot \tanh(W s_t + U h_j)\right) \qquad h_j,\ s_t,\ c_t:\ D$$
#
# with learned $v$, $W$ and $U$. (In their paper the state is the one before the step, $s_{t-1}$: `backbone.attend=before`. Luong et al.
# 2015 take the state after it, as the models here do.)
#
# The task is the simplest that needs memory: write a string of letters backwards. Two recurrent models, one without attention and one
# with it; all else is the same, but for the parameters of the attention.

# %%
from attncompare.primer import lessons

strings = (
    "data=reverse data.max_symbols=10 data.train_size=5000 data.val_size=100 data.test_size=100 data.batch_size=64"
)
course = "trainer.max_steps=700 trainer.validate_every=700 optimizer.lr=3e-3 task.val_decodes=20"
lesson = f"task=translation backbone=recurrent {strings} {course}"
without, bahdanau = lessons.train(f"{lesson} attention=none", f"{lesson} attention=additive")
for name, trained in (("no attention", without), ("additive", bahdanau)):
    parameters, test = trained.run.summary["cost"]["parameters"], trained.run.summary["test"]
    print(
        f"{name:13} {parameters:,} parameters, test: {100 * test['exact_match']:.0f} % of the strings without an error"
    )

# %% [markdown]
# ## Length
#
# In training, strings had 4 to 10 letters. Here are new ones, shorter and longer:

# %%
import random

draw, letters = random.Random(1), "abcdefghijklmnopqrstuvwxyz"
lengths = list(range(4, 15, 2))
right = {"no attention": [], "additive": []}
for length in lengths:
    texts = ["".join(draw.choices(letters, k=length)) for _ in range(30)]
    for name, trained in zip(right, (without, bahdanau), strict=True):
        pairs = zip(texts, trained.translate(texts, beam=1), strict=True)
        hits = sum(a == b for text, one in pairs for a, b in zip(text[::-1], one.text, strict=False))
        right[name].append(hits / (30 * length))
for name, shares in right.items():
    found = (f"{n} letters {100 * share:.0f} %" for n, share in zip(lengths, shares, strict=True))
    print(f"{name:13} in their right place, of", ", of ".join(found))

# %%
from matplotlib import pyplot as plt

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (name, shares), color in zip(right.items(), ("#d55e00", "#0072b2"), strict=True):
    axes.plot(lengths, shares, "o-", color=color, label=name)
axes.axvspan(10.5, 14, color="#ccd1d9", alpha=0.5, label="longer than in training")
axes.set(title="letters in their right place", xlabel="length of the string", ylabel="share", ylim=(0, 1.03))
axes.legend(frameon=False)

# %% [markdown]
# After this short training the model without attention loses letters of short strings already, and more with each further letter. The
# one with attention hardly errs until strings are longer than any in training. What does it look at when it writes a string
# backwards? The map should be the other diagonal:

# %%
from attncompare.primer import pictures

cross = next(site for site in bahdanau.attention("abcdefgh").sites if site.site == "cross")
pictures.draw(*pictures.heads(cross, "rows are written, columns are read"), size=4)

# %% [markdown]
# The transformer went one step further and left the recurrence out: "attention is all you need" (Vaswani et al. 2017). Every
# word then sees every other at once instead of step by step, which computers like; the price is that order must be told by
# positions, and that $T$ words make $T \times T$ scores.
#
# ## Try it
#
# ```sh
# attncompare train -m backbone=recurrent attention=none,additive,dot data=reverse trainer.max_steps=200
# attncompare compare SWEEP
# attncompare train backbone=recurrent backbone.attend=before attention=additive trainer.max_steps=200
# ```
