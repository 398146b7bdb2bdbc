"""What generated translation corpora share: different pairs only, and splits that share no sentence."""

import random
from collections.abc import Callable
from typing import NamedTuple

from attncompare.data.corpus import Corpus, corpus
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused

_TRIES = 20  # draws for each pair that is needed, before giving up


class Pair(NamedTuple):
    """A source and a target sentence with the spans, [start, end, field], that align them."""

    source: str
    target: str
    source_spans: list[list[int]]
    target_spans: list[list[int]]


def distinct(draw: Callable[[], Pair], count: int, what: str) -> list[Pair]:
    """Draw until there are ``count`` pairs of which no two share a source or a target.

    Raises:
        Refused: if ``draw`` keeps repeating itself.
    """
    pairs: list[Pair] = []
    sources: set[str] = set()
    targets: set[str] = set()
    for _ in range(_TRIES * count + 1000):
        pair = draw()
        if pair.source not in sources and pair.target not in targets:
            sources.add(pair.source)
            targets.add(pair.target)
            pairs.append(pair)
            if len(pairs) == count:
                return pairs
    raise Refused(
        f"{what} cannot give {count} different pairs; train_size + val_size + test_size must be below {len(pairs)}"
    )


def in_splits(pairs: list[Pair], sizes: tuple[int, int, int], rng: random.Random) -> Corpus:
    """Deal ``pairs`` out at random: the first to be drawn are the commonest, so their order would not be fair."""
    rng.shuffle(pairs)
    columns, start = {}, 0
    for split, size in zip(SPLITS, sizes, strict=True):
        part = pairs[start : start + size]
        columns[split] = {name: [getattr(pair, name) for pair in part] for name in Pair._fields}
        start += size
    return corpus(columns)
