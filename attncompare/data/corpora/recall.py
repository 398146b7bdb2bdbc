"""The dataset ``recall``: multi-query associative recall (Arora et al. 2023, section 3), in next-token form.

A sequence begins with pairs of key and value; later each key comes once more, at a random place among fillers, followed
by its value. Only those second values count: nothing but looking the key up can tell them.
"""

import random
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from attncompare.config.values import AtLeastFour, Positive
from attncompare.data.dataset import SPLITS, Dataset, GeneratedConfig

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus

FILLER = "."


class Recall(Dataset):
    """``data=recall``: rows of symbols, of which the answers are scored."""

    kind = "text"
    leading = "token_accuracy"  # of the answers, which alone are scored

    class Config(GeneratedConfig):
        """How many symbols there are, pairs in a sequence, and symbols in a sequence."""

        symbols: AtLeastFour
        pairs: Positive
        length: AtLeastFour

        @model_validator(mode="after")
        def _fits(self) -> "Recall.Config":
            if 4 * self.pairs > self.length:
                raise ValueError(
                    f"pairs={self.pairs} with their queries need length >= {4 * self.pairs}, not {self.length}"
                )
            if 2 * self.pairs > self.symbols:
                raise ValueError(f"pairs={self.pairs} need symbols >= {2 * self.pairs}, not {self.symbols}")
            return self

    config: Config

    def load(self) -> "Corpus":
        """Generate the corpus, a pure function of config and seed; columns ``text`` and ``scored``."""
        from attncompare.data.corpus import corpus

        rng = random.Random(f"recall {self.data_seed}")
        columns: dict[str, dict[str, list[Any]]] = {}
        for split, size in zip(SPLITS, self.config.sizes, strict=True):
            rows = [self._row(rng) for _ in range(size)]
            columns[split] = {"text": [text for text, _ in rows], "scored": [scored for _, scored in rows]}
        return corpus(columns)

    def _row(self, rng: random.Random) -> tuple[str, list[list[int]]]:
        config, half = self.config, self.config.symbols // 2
        width = len(str(half - 1))
        keys = [f"k{i:0{width}}" for i in rng.sample(range(half), config.pairs)]
        values = [f"v{i:0{width}}" for i in rng.choices(range(half), k=config.pairs)]
        answers = dict(zip(keys, values, strict=True))
        # A query and its answer take one place of this shorter row, so that every layout is as likely as any other.
        places = config.length - 3 * config.pairs
        queries = dict(
            zip(sorted(rng.sample(range(places), config.pairs)), rng.sample(keys, config.pairs), strict=True)
        )
        symbols, answered = [symbol for pair in answers.items() for symbol in pair], set()
        for place in range(places):
            if place in queries:
                answered.add(len(symbols) + 1)
                symbols += [queries[place], answers[queries[place]]]
            else:
                symbols.append(FILLER)
        text, scored = "", []
        for number, symbol in enumerate(symbols):
            text += " "  # before each, so that a word is the same token wherever it stands
            if number in answered:
                scored.append([len(text), len(text) + len(symbol)])
            text += symbol
        return text, scored
