"""The subject of the comparisons: attention, composed of exchangeable parts. It knows no task and no data.

module.py     projections, heads, cache and output: the one attention module
mixing.py     from queries, keys and values to a mix of values, by a kernel or explicitly
scores/       one file for each score function: (q_BHTK, k_BHSK) -> scores_BHTS
normalizers/  one file for each normalizer: (scores_BHTS, may_attend) -> weights_BHTS
masks/        who may attend to whom, and one file for each pattern
positions/    one file for each scheme of positions inside attention
cache.py      projected keys and values of earlier calls
places.py     where queries and keys stand
parts.py      parts made from their names and settings
laws.py       what each part of a kind has to keep, checked on random numbers
kernels/      faster forms of attention and of what a training step or a search spends its time on
"""

from attncompare.attention.cache import KeyValueCache
from attncompare.attention.laws import check_laws
from attncompare.attention.masks import Mask, causal_mask, combine, padding_mask
from attncompare.attention.mixing import attend
from attncompare.attention.module import Attention
from attncompare.attention.normalizers.base import Normalizer
from attncompare.attention.places import Places
from attncompare.attention.positions.base import Positions
from attncompare.attention.scores.base import ScoreFunction

__all__ = [
    "Attention",
    "KeyValueCache",
    "Mask",
    "Normalizer",
    "Places",
    "Positions",
    "ScoreFunction",
    "attend",
    "causal_mask",
    "check_laws",
    "combine",
    "padding_mask",
]
