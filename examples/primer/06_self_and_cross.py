# %% [markdown]
# # 6. Self-attention and cross-attention
#
# > **The question:** when a model translates, who looks at whom?
#
# A translator is made of two stacks of layers: the **encoder** reads the source, and the **decoder** writes the target, token by token.
# Self-attention looks into its own sequence. **Cross-attention** looks from one sequence into another: queries come from the target that is
# being written, keys and values from the source that was read.
#
# $$\text{context} = \text{softmax}\!\left(\frac{Q_{\text{target}} K_{\text{source}}^{\top}}{\sqrt{d}}\right) V_{\text{source}} \qquad \text{weights}:\ T \times S$$
#
# The same module does both; for cross-attention it gets the sequence to look into, the *memory*, as second argument:

# %%
import torch

from attncompare import Attention

attention = Attention(d_model=16, heads=2)
target_BTD, source_BSD = torch.randn(1, 4, 16), torch.randn(1, 7, 16)
_, self_BHTT = attention(target_BTD, need_weights=True)
_, cross_BHTS = attention(target_BTD, source_BSD, need_weights=True)
print("self-attention weights", tuple(self_BHTT.shape), " cross-attention weights", tuple(cross_BHTS.shape))

# %% [markdown]
# The corpus `locale` is made of dates, times, numbers and prices in two languages. It was generated, so the true alignment of
# each phrase is known. Here is a translator of English into German, and a phrase that it never saw:

# %%
from attncompare.maps import head_numbers, maps_of
from attncompare.primer import lessons, pictures

phrases = "data=locale data.train_size=6000 data.val_size=100 data.test_size=100 task.val_decodes=40"
(trained,) = lessons.train(f"attention=scaled {phrases} trainer.max_steps=500 trainer.validate_every=250")
probe = maps_of(trained.run)[-1][1][3]
print(probe.text)
sites = {site.site: site for site in probe.sites}
for site in sites.values():
    print(f"{site.title:25} {site.layers} layers, weights {site.weights_LHTS.shape[2:]}")

# %%
pictures.draw(
    *pictures.heads(sites["encoder_self"], "encoder: source looks at source"),
    *pictures.heads(sites["decoder_self"], "decoder: target looks at its past"),
    *pictures.heads(sites["cross"], "cross: target looks at source"),
    columns=3,
    size=3.8,
)

# %% [markdown]
# The encoder may look everywhere, the decoder only back (gray: hidden), and cross-attention at the whole source. Outlined cells
# are the true alignment (thick: sure, thin: possible).
#
# ## Read one step earlier than written
#
# At each step the decoder **reads** the token that it wrote last, and looks for the one that it **writes next**. The rows of its
# self-attention above are labelled by the token that is read, those of cross-attention by the token that is written. With the
# other label, all would seem to be one row too high. How much weight lies on the sure
# alignment of the one, and of the other (a mean over the rows that have one)?

# %%
cross = sites["cross"]
weights_TS = torch.tensor(cross.weights_LHTS[-1, 0].astype("float32"))
gold_TS = torch.tensor(cross.sure_TS)
rows = gold_TS.any(-1)
as_written = (weights_TS * gold_TS).sum(-1)[rows].mean()
as_read = (weights_TS[1:] * gold_TS[:-1]).sum(-1)[rows[:-1]].mean()
print(f"weight on the alignment of the token that is written next: {as_written:.2f}")
print(f"weight on the alignment of the token that is read:         {as_read:.2f}")
print(f"alignment error rate of the last layer: {head_numbers(cross)[-1].aer:.2f}")

# %%
pictures.draw(
    ("rows: the token that is read", weights_TS, cross.queries, cross.keys, gold_TS, cross.possible_TS),
    ("rows: the token that is written", weights_TS, cross.written, cross.keys, gold_TS, cross.possible_TS),
    columns=2,
    size=4.2,
    title="the same weights, labelled in two ways",
)

# %% [markdown]
# The right one reads much like a dictionary. These are the weights of a small model after a short training, and nobody told it to
# align: attention is a means that it found useful.
#
# ## Try it
#
# Translate a sentence of your own and look at all three sites, in all layers:
#
# ```sh
# attncompare train attention=scaled trainer.max_steps=200
# attncompare attend RUN "April 5, 2031"
# attncompare attend RUN "April 5, 2031" --layer 1
# ```
