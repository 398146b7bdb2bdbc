"""The subject of the comparisons: attention, and its one exchangeable part (C3). torch only; knows no task and no config.

module.py           projections, heads, mask, softmax, dropout, mixing and merging, shared by all variants
cache.py            projected keys and values of earlier calls
scores/             one file for each score function: (q_BHTK, k_BHSK) -> scores_BHTS
masks.py            who may attend to whom (C2)
additive_kernel.py  additive scores in bounded memory
tracing.py          what torch.compile leaves as it is
"""

from attncompare.attention.cache import KeyValueCache
from attncompare.attention.masks import causal_mask, combine, padding_mask
from attncompare.attention.module import Attention, attend
from attncompare.attention.scores.base import ScoreFunction

__all__ = ["Attention", "KeyValueCache", "ScoreFunction", "attend", "causal_mask", "combine", "padding_mask"]
