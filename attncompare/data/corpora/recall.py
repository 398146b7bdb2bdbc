"""The corpus ``recall``: multi-query associative recall (Arora et al. 2023, section 3), in next-token form.

A sequence begins with pairs of key and value; later each key comes once more, at a random place among fillers, followed
by its value. Only those second values count: nothing but looking the key up can tell them.
"""

import random
from typing import Any

from attncompare.config import RecallConfig
from attncompare.data.corpus import Corpus, corpus
from attncompare.data.splits import SPLITS

FILLER = "."


def load(config: RecallConfig, data_seed: int) -> Corpus:
    """Generate the corpus, a pure function of its arguments; columns ``text`` and ``scored``."""
    rng = random.Random(f"recall {data_seed}")
    columns: dict[str, dict[str, list[Any]]] = {}
    for split, size in zip(SPLITS, (config.train_size, config.val_size, config.test_size), strict=True):
        rows = [_row(config, rng) for _ in range(size)]
        columns[split] = {"text": [text for text, _ in rows], "scored": [scored for _, scored in rows]}
    return corpus(columns)


def _row(config: RecallConfig, rng: random.Random) -> tuple[str, list[list[int]]]:
    half = config.symbols // 2
    width = len(str(half - 1))
    keys = [f"k{i:0{width}}" for i in rng.sample(range(half), config.pairs)]
    values = [f"v{i:0{width}}" for i in rng.choices(range(half), k=config.pairs)]
    answers = dict(zip(keys, values, strict=True))
    # A query and its answer take one place of this shorter row, so that every layout is as likely as any other.
    places = config.length - 3 * config.pairs
    queries = dict(zip(sorted(rng.sample(range(places), config.pairs)), rng.sample(keys, config.pairs), strict=True))
    symbols, answered = [symbol for pair in answers.items() for symbol in pair], set()
    for place in range(places):
        if place in queries:
            answered.add(len(symbols) + 1)
            symbols += [queries[place], answers[queries[place]]]
        else:
            symbols.append(FILLER)
    return _text(symbols, answered)


def _text(symbols: list[str], answered: set[int]) -> tuple[str, list[list[int]]]:
    """Join ``symbols``, a space before each, so that a word is the same token wherever it stands."""
    text, scored = "", []
    for i, symbol in enumerate(symbols):
        text += " "
        if i in answered:
            scored.append([len(text), len(text) + len(symbol)])
        text += symbol
    return text, scored
