"""Where the text comes from: one module for each corpus, and :func:`load_corpus`, which chooses."""

from attncompare.config import CorpusConfig, LocaleConfig, PairsConfig, PydocsConfig, RecallConfig, ReverseConfig
from attncompare.data.corpora import locale, pairs, pydocs, recall, reverse
from attncompare.data.corpus import Corpus


def load_corpus(config: CorpusConfig, data_seed: int) -> Corpus:
    """Return the corpus that ``config`` names; the same arguments and library versions give the same corpus.

    Raises:
        Refused: in one line, if the corpus cannot be had.
    """
    match config:
        case LocaleConfig():
            return locale.load(config, data_seed)
        case ReverseConfig():
            return reverse.load(config, data_seed)
        case PydocsConfig():
            return pydocs.load(config, data_seed)
        case RecallConfig():
            return recall.load(config, data_seed)
        case PairsConfig():
            return pairs.load(config)
    raise TypeError(f"no corpus for {type(config).__name__}")
