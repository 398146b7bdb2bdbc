"""From a trained model to sequences, one token at a time, with a cache of projected keys and values.

stepping.py     a translator one token further: rows that share a source, rows that are chosen, rows that leave
greedy.py       the likeliest token at each step
beam.py         beam search: the hypotheses with the best scores
hypotheses.py   ended translations, their scores and the length penalty
translating.py  a batch, or any number of sentences, by either
sampling.py     continuations of a text by chance
"""

from attncompare.decoding.beam import beam_search, require_possible
from attncompare.decoding.greedy import greedy
from attncompare.decoding.hypotheses import Hypothesis, length_penalty_of
from attncompare.decoding.sampling import sample, sample_rows
from attncompare.decoding.translating import translate_all, translate_batch

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
