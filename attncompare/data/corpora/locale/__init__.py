"""The dataset ``locale``: phrases that mean the same in two languages, from CLDR (library ``babel``) and ``num2words``.

A meaning (a moment, an amount, a list of such) is drawn once and said in both languages, field by field, so that it is
known which words of one side say what on the other: gold alignments. Word order, inflection and number words differ as
they do between the languages.
"""

import random
from typing import TYPE_CHECKING

from pydantic import model_validator

from attncompare.config.values import Label
from attncompare.data.dataset import Dataset, GeneratedConfig

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus


class Locale(Dataset):
    """``data=locale``: dates, times, numbers, units, currencies, names, and lists of them."""

    kind = "parallel"
    aligned = True

    class Config(GeneratedConfig):
        """Which two locales."""

        source: Label
        target: Label

        @model_validator(mode="after")
        def _two_languages(self) -> "Locale.Config":
            if self.source == self.target:
                raise ValueError(f"source and target are both '{self.source}'; translation needs two locales")
            return self

    config: Config

    def load(self) -> "Corpus":
        """Generate the corpus, a pure function of config, seed and the versions of babel and num2words.

        Refused if a locale is unknown, or if it cannot give so many different phrases.
        """
        from attncompare.data.corpora.locale.phrases import Language, phrase, render, spans
        from attncompare.data.corpus import Pair, generated_pairs

        both = (Language(self.config.source, "data.source"), Language(self.config.target, "data.target"))
        rng = random.Random(f"locale {self.data_seed}")

        def draw() -> Pair:
            source, target = phrase(rng, both)
            common = {field for _, field in target if field}
            numbers: dict[str, int] = {}
            for _, field in source:
                if field in common:
                    numbers.setdefault(field, len(numbers))
            return Pair(render(source), render(target), spans(source, numbers), spans(target, numbers))

        return generated_pairs(draw, self.config.sizes, rng, "data=locale")
