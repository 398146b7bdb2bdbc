# %% [markdown]
# # 1. A class of friends
#
# > **The question:** how can numbers say who is close to whom, and what do friends make of each other?
#
# Each of the eleven chapters takes about five minutes; code that only draws may be skipped, and the commands under *Try it*, of
# one to three minutes each, are for later.
#
# Six students, seven interests. Each row of $Q$ says how much one student cares for each interest, 0 for not at all. What two
# students have in common is the sum of the products of their interests: the **dot product** of their rows.
#
# $$R = Q\,Q^{\top} \qquad Q:\ 6 \times 7 \qquad R:\ 6 \times 6$$

# %%
import numpy as np

students = ["Monika", "Chandler", "Joey", "Rachel", "Ross", "Phoebe"]
interests = ["MBA", "trekking", "cooking", "acting", "fashion", "fossils", "music"]
Q = np.array(
    [
        [1, 1, 1, 0, 0, 0, 0],  # Monika
        [3, 0, 0, 1, 0, 0, 0],  # Chandler
        [0, 3, 0, 2, 0, 0, 0],  # Joey
        [0, 0, 0, 1, 2, 0, 0],  # Rachel
        [0, 0, 0, 0, 0, 2, 1],  # Ross
        [0, 0, 0, 0, 1, 0, 2],  # Phoebe
    ]
)
R = Q @ Q.T
print("Monika's products with Chandler:", Q[0] * Q[1], "sum", R[0, 1])
print("Monika's products with Joey:    ", Q[0] * Q[2], "sum", R[0, 2])
for student, score in zip(students, R[0], strict=True):
    print(f"R[Monika, {student}] = {score}")

# %% [markdown]
# Among her classmates Monika is closest to Chandler, because of the MBA, and to Joey, because of trekking. Both numbers can be
# checked by hand: only one of the seven products is not zero.
#
# ## From scores to shares
#
# The rows of $R$ are scores of any size. The **softmax** makes shares of them, positive numbers that add up to 1 in each row:
#
# $$W_{ij} = \frac{e^{R_{ij}}}{\sum_k e^{R_{ik}}} \qquad T = W\,Q \qquad T:\ 6 \times 7$$
#
# Then each student's new characteristics $T$ are a mixture of everybody's old ones, with these shares.

# %%
W = np.exp(R) / np.exp(R).sum(axis=1, keepdims=True)
T = W @ Q
print("Monika's shares:", W[0].round(3))
for interest, before, after in zip(interests, Q[0], T[0], strict=True):
    print(f"Monika and {interest:9} before {before}  afterwards {after:.2f}")

# %%
from attncompare.primer import pictures

pictures.draw(
    ("Q: characteristics", Q, students, interests),
    ("R = QQᵀ: what two have in common", R, students, students),
    ("W = softmax(R): shares", W, students, students),
    ("T = WQ: revised characteristics", T, students, interests),
    columns=2,
    size=3.8,
)
# %% [markdown]
# Monika keeps a third of herself and takes a third from each of her two friends: she now likes the MBA and trekking more than
# before. Acting, which she never cared for, has come along from both; of cooking a third is left, as neither of them cooks.
# Chandler hardly changes: he has so much in common with himself that the softmax leaves almost nothing for others. Large scores
# make the softmax decide; chapter 3 comes back to that.
#
# That was **self-attention** already. The package computes the same from three tensors, the *queries*, *keys* and *values* of
# chapter 2, which here are all $Q$. Names of tensors end in their shape, one letter for a dimension: B for the batch, H for heads,
# T for positions that ask (no longer the matrix above), S for positions that answer, D for the width of the model, K for the width
# of a head ($d$ in formulas); later also L for layers and N for examples.

# %%
import torch

from attncompare import attend

q_BHTK = torch.tensor(Q, dtype=torch.float64)[None, None]  # one batch, one head, six students, seven interests
context_BHTK, weights_BHTS = attend(q_BHTK, q_BHTK, q_BHTK, score="dot", need_weights=True)
print("the same shares: ", np.allclose(weights_BHTS[0, 0], W))
print("the same mixture:", np.allclose(context_BHTK[0, 0], T))

# %% [markdown]
# ## Try it
#
# On the offline page, which `attncompare primer` writes to `runs/primer/primer.html`, change a number of this table and watch
# everything else change. Which interest makes Phoebe the best friend of Ross? How large must a number be for a student to stop
# listening to anybody else?

# %%
from attncompare.primer.table import SelfAttentionTable

SelfAttentionTable(students, interests, Q)

# %% [markdown]
# Three scores are compared with one command; `dot` is that of this chapter:
#
# ```sh
# attncompare train -m attention=dot,scaled,additive trainer.max_steps=200
# ```
