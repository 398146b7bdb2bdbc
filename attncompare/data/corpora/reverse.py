"""The dataset ``reverse``: a random string and the same string read backwards, letter aligned to letter."""

import random
from string import ascii_lowercase
from typing import TYPE_CHECKING

from pydantic import model_validator

from attncompare.config.values import LetterCount, Positive
from attncompare.data.dataset import Dataset, GeneratedConfig

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus


class Reverse(Dataset):
    """``data=reverse``: the gold alignment is the other diagonal."""

    kind = "parallel"
    aligned = True
    leading = "exact_match"  # short strings have no 4-grams in common, so that their BLEU is 0

    class Config(GeneratedConfig):
        """How many letters are in use, and how long the strings are."""

        symbols: LetterCount
        min_symbols: Positive
        max_symbols: Positive

        @model_validator(mode="after")
        def _lengths(self) -> "Reverse.Config":
            if self.min_symbols > self.max_symbols:
                raise ValueError(f"min_symbols={self.min_symbols} is above max_symbols={self.max_symbols}")
            return self

    config: Config

    def load(self) -> "Corpus":
        """Generate the corpus, a pure function of config and seed; see :meth:`Dataset.load`."""
        from attncompare.data.corpus import Pair, generated_pairs

        rng = random.Random(f"reverse {self.data_seed}")
        letters = ascii_lowercase[: self.config.symbols]

        def draw() -> Pair:
            length = rng.randint(self.config.min_symbols, self.config.max_symbols)
            text = "".join(rng.choices(letters, k=length))
            forward = [[i, i + 1, i] for i in range(length)]
            backward = [[i, i + 1, length - 1 - i] for i in range(length)]
            return Pair(text, text[::-1], forward, backward)

        return generated_pairs(draw, self.config.sizes, rng, "data=reverse")
