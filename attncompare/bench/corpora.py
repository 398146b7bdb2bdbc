"""Generated corpora of the sizes that benchmarks train on: speed follows from lengths and vocabulary, not from meaning."""

import string
from pathlib import Path

import numpy as np

CHARACTERS = f"{string.ascii_letters} \n!$&',-.3:;?"
"""65 of them, as many as Tiny Shakespeare has."""
_PAIRS = {"train": 29_000, "val": 1_014, "test": 1_000}  # as Multi30k
_WORDS = 8_000
# Words of a sentence of Multi30k (test_2016_flickr.lc.norm.tok.en), which are about normal in their logarithm.
_LOG_MEAN, _LOG_DEVIATION, _SHORTEST, _LONGEST = 2.5, 0.3, 4, 40


def write_text_corpus(folder: Path, characters: int) -> None:
    """Write ``train.txt``, ``val.txt`` and ``test.txt`` of random letters, for ``data=text``; the last two are short."""
    rng = np.random.default_rng(1)
    for split, size in {"train": characters, "val": 2_000, "test": 2_000}.items():
        drawn = rng.integers(len(CHARACTERS), size=size)
        drawn[: len(CHARACTERS)] = np.arange(len(CHARACTERS))  # each at least once
        (folder / f"{split}.txt").write_text("".join(CHARACTERS[place] for place in drawn))


def write_pair_corpus(folder: Path, pairs: int | None = None) -> None:
    """Write ``train.en``, ``train.de`` and so on, for ``data=pairs``, with sentences as long as those of Multi30k.

    Args:
        folder: where to.
        pairs: of each split; None: as many as Multi30k has.
    """
    rng = np.random.default_rng(1)
    for split, size in _PAIRS.items():
        rows = size if pairs is None else pairs
        source = np.clip(np.exp(rng.normal(_LOG_MEAN, _LOG_DEVIATION, rows)).round(), _SHORTEST, _LONGEST)
        target = np.clip((source * rng.normal(0.95, 0.15, rows)).round(), _SHORTEST, _LONGEST)
        for ending, lengths in (("en", source), ("de", target)):
            lines = (" ".join(f"w{word}" for word in rng.integers(_WORDS, size=int(size))) for size in lengths)
            (folder / f"{split}.{ending}").write_text("\n".join(lines) + "\n")
