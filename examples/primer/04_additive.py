# %% [markdown]
# # 4. Additive against dot product
#
# > **The question:** are there other ways to score a key, and what can they say that a dot product cannot?
#
# Attention began with the **additive** score (Bahdanau et al. 2014): a small network with one hidden layer looks at query and key.
# Luong et al. (2015) took the **dot product**, which Vaswani et al. (2017) scaled.
#
# $$\text{additive}(q, k) = v \cdot \tanh(q + k) \qquad \text{scaled}(q, k) = \frac{q \cdot k}{\sqrt{d}}$$
#
# with $q$, $k$ and a learned vector $v$ (not the values of chapter 2), all of width $d$. Bahdanau's matrices in front of $q$ and $k$
# are the projections that make queries and keys here. For one query, each score is a surface over all keys. With keys of two numbers
# we can draw it:

# %%
import torch

from attncompare.attention.scores.additive import Additive
from attncompare.attention.scores.scaled import Scaled

x = torch.linspace(-3, 3, 61)
keys_11SK = torch.cartesian_prod(x, x)[None, None]  # 61 · 61 keys of width 2
query_11TK = torch.tensor([[[[1.0, -0.5]]]])
additive = Additive(1, 2)
additive.v_HK.data = torch.tensor([[1.0, 1.0]])
surfaces = {"scaled": Scaled(1, 2)(query_11TK, keys_11SK), "additive": additive(query_11TK, keys_11SK).detach()}
for name, scores in surfaces.items():
    print(f"{name:9} from {scores.min():.2f} to {scores.max():.2f}")

# %%
from matplotlib import pyplot as plt

figure, panels = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for axes, (name, scores) in zip(panels, surfaces.items(), strict=True):
    lines = axes.contourf(x, x, scores.reshape(61, 61).T, levels=16, cmap="magma_r")
    axes.plot(*query_11TK.flatten().tolist(), "o", color="#0090c8", label="the query")
    axes.set(title=f"{name} score of each key", xlabel="key, first number", ylabel="key, second number")
    axes.legend(loc="upper left")
    figure.colorbar(lines, ax=axes)

# %% [markdown]
# The dot product is a **plane**: it grows without end in the direction of the query, so of keys in one direction the longest wins. The
# additive score is a sum of **steps**, which the query moves: here they are at $k_1 = -q_1 = -1$ and $k_2 = -q_2 = 0.5$. It is
# bounded by $\sum |v|$, so that no key can shout. Enough such steps, turned by a matrix, come as near as one likes to any
# continuous shape on a bounded region (Cybenko 1989).
#
# ## What it costs
#
# A dot product is one multiplication and one addition for each of the $d$ numbers, and all of them are one product of matrices. The
# additive score needs an addition, a tanh, a multiplication and another addition for each number of each pair of query and key. The
# times tell more than the counts: a tanh takes longer than a multiplication, and products of matrices are what processors do best.

# %%
from time import perf_counter

from attncompare import attend


def milliseconds(score, length):
    q_BHTK, k_BHSK, v_BHSK = torch.randn(3, 1, 1, length, 64)
    begin = perf_counter()
    attend(q_BHTK, k_BHSK, v_BHSK, score)
    return 1000 * (perf_counter() - begin)


print("operations for one score of width 64:", {s.__name__: s(1, 64).flops_per_score() for s in (Scaled, Additive)})
for length in (64, 256, 512):
    times = {score: min(milliseconds(score, length) for _ in range(5)) for score in ("scaled", "additive")}
    print(f"{length} queries and keys:", ", ".join(f"{score} {time:.2f} ms" for score, time in times.items()))

# %% [markdown]
# ## Where trained maps differ
#
# The same translator with either score, on one phrase that it was not trained on. Outlined is the true alignment, which English token a
# German one was made from: thick where it is sure, thin where it is possible, as for pieces of a number. The alignment error rate
# (AER, Och and Ney 2003) compares the largest weight of each row with it; 0 is perfect. Entropy says how spread a row is: 0 nats
# where all weight is on one token.

# %%
from attncompare.maps import head_numbers, maps_of
from attncompare.primer import lessons, pictures

phrases = "data=locale data.train_size=6000 data.val_size=100 data.test_size=100 task.val_decodes=40"
course = "trainer.max_steps=500 trainer.validate_every=250"
panels = []
for trained in lessons.train(f"attention=additive {phrases} {course}", f"attention=scaled {phrases} {course}"):
    name, probe = trained.run.config.attention.name, maps_of(trained.run)[-1][1][3]
    cross = next(site for site in probe.sites if site.site == "cross")
    panels += pictures.heads(cross, name)
    last = head_numbers(cross)[-1]
    print(f"{name:9} entropy {last.entropy:.2f} nats  largest weight {last.largest:.2f}  AER {last.aer:.2f}")

# %%
difference_TS = panels[0].matrix_TS - panels[1].matrix_TS
panels.append(panels[0]._replace(title="additive − scaled", matrix_TS=difference_TS))
pictures.draw(*panels, title="cross-attention, last layer: rows are written, columns are read", columns=3, size=3.6)

# %% [markdown]
# Both scores find the alignment, and differ in how much weight they leave beside it: orange cells of the difference have more weight by
# the additive score, blue cells by the scaled one. One phrase and one seed do not say which is better.
#
# ## Try it
#
# Three seeds each, and the comparison says which differences are real and what each variant costs:
#
# ```sh
# attncompare train -m attention=additive,scaled seed=1,2,3 trainer.max_steps=200
# attncompare compare SWEEP
# ```
