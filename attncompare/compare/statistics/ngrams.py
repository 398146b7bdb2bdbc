"""The n-grams of many sentences, counted at once: all that BLEU and chrF need to know of a sentence."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ngram_counts(hypotheses: Sequence[ArrayLike], references: Sequence[ArrayLike], longest: int) -> NDArray[np.float64]:
    """Count the n-grams of N sentence pairs, each side a sequence of token numbers.

    Returns:
        (N, longest, 3): for n = 1 to ``longest`` the n-grams of the hypothesis, of the reference, and in both (each as
        often as in the side that has fewer).
    """
    pairs, sequences = len(hypotheses), [np.asarray(side, dtype=np.int64) for side in (*hypotheses, *references)]
    lengths = np.array([len(sequence) for sequence in sequences])
    tokens = np.concatenate(sequences)
    counts = np.zeros((pairs, longest, 3))
    if not len(tokens):
        return counts
    tokens = np.unique(tokens, return_inverse=True)[1]
    kinds = int(tokens.max()) + 1
    pair = np.repeat(np.tile(np.arange(pairs), 2), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))  # tokens from here to the sentence's end
    start, code = np.arange(len(tokens)), pair
    for n in range(longest):
        fits = left[start] > n
        start, code = start[fits], code[fits]
        # A number for each n-gram of each pair, made of the number of its first n - 1 tokens and its last token.
        distinct, code = np.unique(code * kinds + tokens[start + n], return_inverse=True)
        in_reference = start >= lengths[:pairs].sum()
        hypothesis = np.bincount(code[~in_reference], minlength=len(distinct))
        reference = np.bincount(code[in_reference], minlength=len(distinct))
        owner = np.empty(len(distinct), dtype=np.int64)
        owner[code] = pair[start]
        for column, count in enumerate((hypothesis, reference, np.minimum(hypothesis, reference))):
            counts[:, n, column] = np.bincount(owner, count, minlength=pairs)
    return counts
