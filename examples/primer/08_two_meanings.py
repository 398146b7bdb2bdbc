# %% [markdown]
# # 8. One word, two meanings
#
# > **The question:** how does a model know that *apple* is a company here and a fruit there?
#
# By its neighbours. The vector of a word does not know its meaning; attention mixes the vectors of the words around it in:
#
# $$\text{context}_t = \sum_s w_{ts}\, v_s \qquad w:\ T \times T$$
#
# The corpus `homographs` has sentences with one of ten words that have two meanings, and the label says which of the 20 it is. All is
# written in small letters but *I*, so that no capital tells a company. A model of one layer and one head learns the labels; it reads the
# answer from a position of its own, `[CLS]`, at the end, whose context is a mixture of the whole sentence. Test has sentences of forms
# that training never showed.

# %%
from attncompare.primer import lessons

lesson = "task=classification data=homographs attention=scaled backbone.layers=1"
(trained,) = lessons.train(f"{lesson} trainer.max_steps=250 trainer.validate_every=125")
test = trained.run.summary["test"]
print(f"right in test: {100 * test['accuracy']:.1f} % of {trained.run.config.data.test_size} sentences")

# %% [markdown]
# Three sentences, written by hand:

# %%
sentences = [
    "apple unveiled a new smartphone model with the old name",
    "please buy an apple and an orange today",
    "I enjoy eating apples , and I also love using apple products",
]
for text in sentences:
    (first, p), (second, q) = trained.classify(text)[:2]
    print(f"{text}\n    {first} {p:.2f}, then {second} {q:.2f}")

# %% [markdown]
# The third has both meanings, and there is one answer. Now look at the row of `[CLS]`: which words does the decision rest on?
# (`<unk>` stands before what training never showed, as *I* in the middle of a sentence; to the model all of these are the same.)

# %%
from attncompare.primer import pictures

panels = []
for number, text in enumerate(sentences, 1):
    site, answer = trained.attention(text).sites[0], trained.classify(text)[0][0]
    panels.append(pictures.Panel(f"{number}. {answer}", site.weights_LHTS[-1, 0, -1:], ["[CLS]"], site.keys))
pictures.draw(*panels, columns=1, size=7.5)

# %% [markdown]
# ## Check it: take words away
#
# A weight says where the model *looked*, not what would change without it. The direct test is **ablation**: leave one word out and see
# how much less likely the answer becomes, in nats: $\log p - \log p_{\text{without}}$, which is negative where the answer becomes
# likelier. Do weights and losses rank the words alike? The rank correlation is 1 for the same order, 0 for no relation, −1 for the
# opposite order.

# %%
from math import log

from scipy.stats import spearmanr

studies = []
for text in sentences:
    (answer, before), *_ = trained.classify(text)
    words = text.split()
    without = [" ".join(words[:place] + words[place + 1 :]) for place in range(len(words))]
    lost = [log(before) - log(dict(trained.classify(one))[answer] + 1e-9) for one in without]
    weights = trained.attention(text).sites[0].weights_LHTS[-1, 0, -1, :-1].astype(float)
    studies.append((answer, words, lost, weights))
    most, second = weights.argsort()[:-3:-1]
    print(f"{answer}: most is lost without '{max(zip(lost, words, strict=True))[1]}', {max(lost):.3f} nats")
    print(f"    most weight, {weights[most]:.2f}, is on '{words[most]}', without which {lost[most]:.3f} nats are lost,")
    print(f"    then {weights[second]:.2f} on '{words[second]}', without which {lost[second]:.3f} are lost")
    print(f"    rank correlation of weights and losses {spearmanr(weights, lost).statistic:.2f}")

# %%
from matplotlib import pyplot as plt

figure, grid = plt.subplots(3, 2, figsize=(8, 9), layout="constrained")
for number, ((left, right), (answer, words, lost, weights)) in enumerate(zip(grid, studies, strict=True), 1):
    for axes, values, color, name in (
        (left, weights, "#0072b2", "weight of [CLS] on the word"),
        (right, lost, "#d55e00", "nats lost without the word (scales differ)"),
    ):
        axes.barh(range(len(words)), values, color=color)
        axes.set_yticks(range(len(words)), words)
        axes.invert_yaxis()
        axes.locator_params(axis="x", nbins=4)
        axes.set(title=f"{number}. {answer}", xlabel=name)

# %% [markdown]
# ## What weights explain, and what not
#
# Sometimes the word with the largest weight is also the one that is missed most; a word with a large weight may be missed not at all; and
# where several words tell the same, no single one is missed. Jain and Wallace (2019, *Attention is not Explanation*) found models whose weights can be
# changed a lot without a change of the answer, and weights that hardly go with what ablation says. Wiegreffe and Pinter (2019, *Attention
# is not not Explanation*) answered that it depends on what you call an explanation, and that a model cannot always be given other
# weights at will. For a careful reader:
#
# - The weights of this model are a *plausible* account of one layer. What a word hands over is decided by its value, and each layer
#   adds its output to its input, so that much passes beside attention.
# - Words stand in for each other: leaving out either of two costs little, though both together matter.
# - With more layers, a position holds a mixture of all words already; the weight on it is not the weight on the word that stands there.
#
# Say "the model attends to", and say "the answer depends on" only after an ablation.
#
# ## Try it
#
# ```sh
# attncompare train task=classification data=homographs backbone.layers=1 trainer.max_steps=250
# attncompare classify RUN "the bank was near the river"
# attncompare attend RUN "the bank was near the river"
# ```
