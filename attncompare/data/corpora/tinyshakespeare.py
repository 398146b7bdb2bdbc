"""The corpus ``tinyshakespeare``: 1,115,394 characters of Shakespeare's plays (Karpathy 2015), as one text."""

from attncompare.config import TinyshakespeareConfig
from attncompare.data.corpora.addresses import fetched
from attncompare.data.corpora.columns import text_columns
from attncompare.data.corpora.fractions import with_fractions
from attncompare.data.corpora.pairs import origin_of
from attncompare.data.corpora.reading import file_builder, read
from attncompare.data.corpus import Corpus
from attncompare.data.files import checked_sources
from attncompare.data.files.source import Source
from attncompare.data.files.texts import check_texts

ADDRESS = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"


def load(config: TinyshakespeareConfig) -> Corpus:
    """Read the text, fetched once if ``config.path`` names no file, and cut it: train first, then val, then test.

    With ``test_fraction=0`` there is no text for test, and val is read again in its place.

    Raises:
        Refused: if it cannot be had, or is no text.
    """
    if config.path is None:
        copy = fetched({"text": ADDRESS}, "data=tinyshakespeare")["text"]
        sources, origin = check_texts({"train": (Source("document", (copy,)),)}), {"addresses": [ADDRESS]}
    else:
        sources = checked_sources(config)
        origin = origin_of(sources)
    (source,) = sources["train"]
    where = str(source.paths[0])
    text = text_columns(read(file_builder(source, ["text"]), "train", where), {"text": ("", "text")}, where, blank=True)
    fractions = {"val": config.val_fraction, "test": config.test_fraction or None}
    splits = with_fractions({"train": text}, fractions, data_seed=0)  # one text is cut, and nothing drawn
    return Corpus(splits, stream=True, test_is_val=not config.test_fraction, origin=origin)
