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
# written in small letters, so that no capital tells a company. A model of one layer and one head learns the labels; it reads the
# answer from a position of its own, `[CLS]`, at the end. Test has sentences of forms that training never showed.

# %%
from attncompare.primer import lessons

lesson = "task=classification data=homographs attention=scaled backbone.layers=1"
(trained,) = lessons.train(f"{lesson} trainer.max_steps=250 trainer.validate_every=125")
test = trained.run.summary["test"]
print(f"right in test: {100 * test['accuracy']:.1f} % of {trained.run.config.data.test_size} sentences")

# %% [markdown]
# Three sentences, which nobody generated:

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
# (`<unk>` stands before words that training never showed; to the model they are all the same.)

# %%
from attncompare.primer import pictures

panels = []
for text in sentences:
    site = trained.attention(text).sites[0]
    panels.append(pictures.Panel(trained.classify(text)[0][0], site.weights_LHTS[-1, 0, -1:], ["[CLS]"], site.keys))
pictures.draw(*panels, columns=1, size=7.5)

# %% [markdown]
# ## Check it: take words away
#
# A weight says where the model *looked*, not what would change without it. The direct test is **ablation**: leave one word out and see
# how much less likely the answer becomes, in nats: $\log p - \log p_{\text{without}}$.

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
    print(f"{answer}: most is lost without '{max(zip(lost, words, strict=True))[1]}', {max(lost):.2f} nats")
    print(
        f"    most weight is on '{words[weights.argmax()]}'; rank correlation {spearmanr(weights, lost).statistic:.2f}"
    )

# %%
from matplotlib import pyplot as plt

figure, panels = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for axes, (answer, words, lost, weights) in zip(panels, studies, strict=True):
    axes.plot(weights, lost, "o", color="#0072b2")
    for word, x, y in zip(words, weights, lost, strict=True):
        if x > 0.08 or y > 0.3 * max(lost):
            axes.annotate(word, (x, y), (4, 3), textcoords="offset points", fontsize=8)
    axes.margins(x=0.3, y=0.12)
    axes.set(title=answer, xlabel="weight of [CLS]", ylabel="nats lost without the word")

# %% [markdown]
# ## What weights explain, and what not
#
# Sometimes the word with the largest weight is also the one that is missed most; sometimes none is missed, because another one tells the
# same; and sometimes the two disagree. Jain and Wallace (2019, *Attention is not Explanation*) found models whose weights can be
# changed a lot without a change of the answer, and weights that hardly go with what ablation says. Wiegreffe and Pinter (2019, *Attention
# is not not Explanation*) answered that it depends on what you call an explanation, and that a model cannot always be given other
# weights at will. For a careful reader:
#
# - The weights of this model are a *plausible* account of one layer. Its values decide what is made of what was looked at, and the
#   residual path carries each word past attention.
# - Words stand in for each other: leaving out either of two costs little, though both together matter.
# - With more layers, a position holds a mixture of all words already; its weight is no longer that of *its* word.
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
