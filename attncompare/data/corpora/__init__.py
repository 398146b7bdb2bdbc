"""Where the text comes from: one module for each corpus, and :func:`load_corpus`, which chooses."""

from collections.abc import Callable
from typing import Any

from attncompare.config import (
    CorpusConfig,
    LocaleConfig,
    Multi30kConfig,
    PairsConfig,
    PydocsConfig,
    RecallConfig,
    ReverseConfig,
    TextConfig,
    TinyshakespeareConfig,
)
from attncompare.data.corpora import locale, multi30k, pairs, pydocs, recall, reverse, text, tinyshakespeare
from attncompare.data.corpus import Corpus

_LOADERS: dict[type[CorpusConfig], Callable[[Any, int], Corpus]] = {
    LocaleConfig: locale.load,
    ReverseConfig: reverse.load,
    PairsConfig: pairs.load,
    Multi30kConfig: lambda config, _: multi30k.load(config),
    PydocsConfig: pydocs.load,
    RecallConfig: recall.load,
    TextConfig: text.load,
    TinyshakespeareConfig: lambda config, _: tinyshakespeare.load(config),
}


def load_corpus(config: CorpusConfig, data_seed: int) -> Corpus:
    """Return the corpus that ``config`` names; the same arguments and library versions give the same corpus.

    Raises:
        Refused: in one line, if the corpus cannot be had.
    """
    return _LOADERS[type(config)](config, data_seed)
