"""From a trained model to sequences, one token at a time, with a cache of projected keys and values.

search.py    greedy search, beam search, and translating any number of sentences by either
sampling.py  continuations of a text by chance
"""

from attncompare.decoding.sampling import sample, sample_rows
from attncompare.decoding.search import (
    Hypothesis,
    beam_search,
    greedy,
    length_penalty_of,
    require_possible,
    translate_all,
    translate_batch,
)

__all__ = [
    "Hypothesis",
    "beam_search",
    "greedy",
    "length_penalty_of",
    "require_possible",
    "sample",
    "sample_rows",
    "translate_all",
    "translate_batch",
]
