"""The corpus ``reverse``: a random string and the same string read backwards, letter aligned to letter."""

import random
from string import ascii_lowercase

from attncompare.config import ReverseConfig
from attncompare.data.corpora.generated import Pair, distinct, in_splits
from attncompare.data.corpus import Corpus


def load(config: ReverseConfig, data_seed: int) -> Corpus:
    """Generate the corpus, a pure function of its arguments.

    Raises:
        Refused: if there are not so many different strings.
    """
    rng = random.Random(f"reverse {data_seed}")
    letters = ascii_lowercase[: config.symbols]

    def draw() -> Pair:
        length = rng.randint(config.min_symbols, config.max_symbols)
        text = "".join(rng.choices(letters, k=length))
        forward = [[i, i + 1, i] for i in range(length)]
        backward = [[i, i + 1, length - 1 - i] for i in range(length)]
        return Pair(text, text[::-1], forward, backward)

    sizes = (config.train_size, config.val_size, config.test_size)
    return in_splits(distinct(draw, sum(sizes), "data=reverse"), sizes, rng)
