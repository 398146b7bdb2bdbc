"""Where the text comes from: one module for each corpus, and :func:`load_corpus`, which chooses."""

import importlib

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
from attncompare.data.corpus import Corpus

# Modules beside this one; only that of the wished corpus is imported, as some bring much with them.
_MODULES: dict[type[CorpusConfig], str] = {
    LocaleConfig: "locale",
    ReverseConfig: "reverse",
    PairsConfig: "pairs",
    Multi30kConfig: "multi30k",
    PydocsConfig: "pydocs",
    RecallConfig: "recall",
    TextConfig: "text",
    TinyshakespeareConfig: "tinyshakespeare",
}
_FIXED = (Multi30kConfig, TinyshakespeareConfig)  # no seed changes what they hold


def load_corpus(config: CorpusConfig, data_seed: int) -> Corpus:
    """Return the corpus that ``config`` names; the same arguments and library versions give the same corpus.

    Raises:
        Refused: in one line, if the corpus cannot be had.
    """
    load = importlib.import_module(f"{__name__}.{_MODULES[type(config)]}").load
    corpus: Corpus = load(config) if isinstance(config, _FIXED) else load(config, data_seed)
    return corpus
