"""The subject of the comparisons: attention, and its one exchangeable part. It knows no task and no data.

module.py  projections, heads, mask, softmax, dropout, mixing and merging, shared by all variants
cache.py   projected keys and values of earlier calls
masks.py   who may attend to whom
scores/    one file for each score function: (q_BHTK, k_BHSK) -> scores_BHTS
kernels/   faster forms of attention and of what a training step or a search spends its time on
"""

from attncompare.attention.cache import KeyValueCache
from attncompare.attention.masks import causal_mask, combine, padding_mask
from attncompare.attention.module import Attention, attend
from attncompare.attention.scores.base import ScoreFunction

__all__ = ["Attention", "KeyValueCache", "ScoreFunction", "attend", "causal_mask", "combine", "padding_mask"]
