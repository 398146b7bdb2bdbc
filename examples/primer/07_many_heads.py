# %% [markdown]
# # 7. Many heads
#
# > **The question:** why does attention have several heads, and what does each look at?
#
# One softmax gives each word one set of shares, so one mixture. A word may need several at once: to write the year of a date, say, its
# digits *and* how the date was written so far. So the width $D$ is cut into $H$ **heads** of width $d = D / H$, each with queries, keys,
# values and weights of its own; their contexts are put side by side and mixed by one more matrix.
#
# $$\text{output} = \text{concat}(\text{context}_1, \dots, \text{context}_H)\, W_o \qquad \text{weights}:\ H \times T \times S \qquad W_o:\ Hd \times D$$
#
# Two heads before training, and afterwards:

# %%
from attncompare.maps import head_numbers, maps_of
from attncompare.primer import lessons, pictures

phrases = "data=locale data.train_size=6000 data.val_size=100 data.test_size=100 task.val_decodes=40"
course = "trainer.max_steps=500 trainer.validate_every=250"
(trained,) = lessons.train(f"attention=multihead attention.heads=2 {phrases} {course}")
steps = maps_of(trained.run)
panels = []
for step, probes in (steps[0], steps[-1]):
    decoder = next(site for site in probes[3].sites if site.site == "decoder_self")
    panels += pictures.heads(decoder, f"step {step},", layer=0)
pictures.draw(*panels, columns=2, size=4.0, title="decoder self-attention, first layer: rows ask, columns answer")

# %% [markdown]
# At step 0 weights are spread by chance. At step 500 the two heads look at different things: head 1 mostly at where the part being
# written began (`<bos>`, then `_oder`), head 2 mostly at the last word or the one before it. Some numbers say it for all heads, as
# means over the rows:

# %%
print("site           layer head  entropy  distance  largest weight  AER")
for site in steps[-1][1][3].sites:
    for one in head_numbers(site):
        end = "" if one.aer is None else f"{one.aer:.2f}"
        numbers = f"{one.entropy:8.2f} {one.distance:9.2f} {one.largest:15.2f}"
        print(f"{site.site:14} {one.layer:5} {one.head:4} {numbers}  {end}".rstrip())

# %% [markdown]
# **Entropy** says how spread a head is (0: one token), **distance** how far it looks, in tokens. The two heads of the decoder's first
# layer differ; those of cross-attention follow the same alignment (chapter 4 says what AER is). Whether the model needs a head is
# another question: `attncompare ablate` turns them off one by one.
#
# ## Naively stacked, and reshaped
#
# Written as in a textbook, each head is a small attention, one after the other. Written for speed, one product makes the queries of all
# heads, which are then reshaped: $B \times T \times HK \to B \times H \times T \times K$. The numbers are the same.

# %%
from time import perf_counter

import torch

from attncompare import Attention


@torch.no_grad()
def milliseconds(module, x_BTD):
    times = []
    for _ in range(5):
        begin = perf_counter()
        module(x_BTD)
        times.append(1000 * (perf_counter() - begin))
    return min(times)


# %% [markdown]
# The heads of GPT-2 (Radford et al. 2019): the smallest has 12 of a width of 768 together, the largest 25 of 1600.

# %%
for d_model, heads in ((768, 12), (1600, 25)):
    x_BTD = torch.randn(1, 64, d_model)
    reshaped = Attention(d_model, heads, causal=True)
    stacked = Attention(d_model, heads, causal=True, stacked=True)
    stacked.load_state_dict(reshaped.state_dict())
    same = torch.allclose(stacked(x_BTD)[0], reshaped(x_BTD)[0], atol=1e-5)
    size, of_one = (sum(p.numel() for p in one.parameters()) for one in (reshaped, Attention(d_model, heads=1)))
    print(
        f"{heads} heads of width {reshaped.head_dim}: {size:,} parameters, one head: {of_one:,}; stacked is the same: {same}"
    )
    print(f"    stacked {milliseconds(stacked, x_BTD):.1f} ms, reshaped {milliseconds(reshaped, x_BTD):.1f} ms")

# %% [markdown]
# The number of heads changes neither the parameters nor the products of matrices: $H$ heads of width $D/H$ cost what one of width $D$
# does, but for the softmax, which is computed $H$ times.
#
# ## Try it
#
# Compare numbers of heads; ask what kind each head of a run is, and what the run loses without it.
#
# ```sh
# attncompare train -m attention=multihead attention.heads=1,2,4,8 trainer.max_steps=200
# attncompare compare SWEEP
# attncompare train attention=multihead trainer.max_steps=200
# attncompare heads RUN
# attncompare ablate RUN
# attncompare train experiment=gpt2_small_attention data=pydocs trainer=smoke
# ```
