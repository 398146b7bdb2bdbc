"""The corpus ``locale``: phrases that mean the same in two languages, from CLDR (library ``babel``) and ``num2words``.

A meaning (a moment, an amount, a list of such) is drawn once and said in both languages, field by field, so that it is
known which words of one side say what on the other: gold alignments. Word order, inflection and number words differ as
they do between the languages.
"""

import random

from attncompare.config import LocaleConfig
from attncompare.data.corpora.generated import Pair, distinct, in_splits
from attncompare.data.corpora.locale.compose import phrase
from attncompare.data.corpora.locale.language import Language
from attncompare.data.corpora.locale.segments import Said, render, spans
from attncompare.data.corpus import Corpus


def load(config: LocaleConfig, data_seed: int) -> Corpus:
    """Generate the corpus, a pure function of its arguments and the versions of babel and num2words.

    Raises:
        Refused: if a locale is unknown, or if it cannot give so many different phrases.
    """
    both = (Language(config.source, "data.source"), Language(config.target, "data.target"))
    rng = random.Random(f"locale {data_seed}")
    sizes = (config.train_size, config.val_size, config.test_size)
    return in_splits(distinct(lambda: _pair(phrase(rng, both)), sum(sizes), "data=locale"), sizes, rng)


def _pair(said: Said) -> Pair:
    source, target = said
    common = {field for _, field in target if field}
    numbers: dict[str, int] = {}
    for _, field in source:
        if field in common:
            numbers.setdefault(field, len(numbers))
    return Pair(render(source), render(target), spans(source, numbers), spans(target, numbers))
