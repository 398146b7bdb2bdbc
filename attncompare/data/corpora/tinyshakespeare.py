"""The dataset ``tinyshakespeare``: 1,115,394 characters of Shakespeare's plays (Karpathy 2015), as one text."""

from pathlib import Path
from typing import TYPE_CHECKING

from attncompare.config.values import SplitFraction, SplitFractionOrZero
from attncompare.data.dataset import DatasetConfig, PathOrNull
from attncompare.data.files import FileData, Source, Sources

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus
    from attncompare.data.reading import Columns

ADDRESS = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"


class Tinyshakespeare(FileData):
    """``data=tinyshakespeare``: cut in order into train, val and test."""

    kind = "text"

    class Config(DatasetConfig):
        """Where the file is, and the shares of its characters."""

        path: PathOrNull
        val_fraction: SplitFraction
        test_fraction: SplitFractionOrZero

    config: Config

    def sources(self) -> Sources:
        """Return the one file, which is ``path`` or stands in it."""
        if self.config.path is None:
            return {}
        path = Path(self.config.path)
        return {"train": (Source("document", (path / "input.txt" if path.is_dir() else path,)),)}

    def columns(self) -> "Columns":
        """Return the one column."""
        return {"text": ("data.column", "text")}

    def load(self) -> "Corpus":
        """Read the text, fetched once if ``path`` names no file; see :meth:`Dataset.load`.

        With ``test_fraction=0`` there is no text for test, and val is read again in its place.
        """
        from attncompare.data.corpus import Corpus, with_fractions

        rows, origin = self.read({"train": (ADDRESS,)}, "document")
        fractions = {"val": self.config.val_fraction, "test": self.config.test_fraction or None}
        splits = with_fractions(rows, fractions, self.data_seed)  # one text is cut, and nothing drawn
        return Corpus(splits, stream=True, test_is_val=not self.config.test_fraction, origin=origin)
