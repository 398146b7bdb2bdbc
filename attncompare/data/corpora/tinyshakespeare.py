"""The dataset ``tinyshakespeare``: 1,115,394 characters of Shakespeare's plays (Karpathy 2015), as one text."""

from pathlib import Path
from typing import TYPE_CHECKING

from attncompare.config.values import SplitFraction, SplitFractionOrZero
from attncompare.data.dataset import Dataset, DatasetConfig, PathOrNull
from attncompare.data.files import Source

if TYPE_CHECKING:
    from datasets import Dataset as Rows

    from attncompare.data.corpus import Corpus

ADDRESS = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"


class Tinyshakespeare(Dataset):
    """``data=tinyshakespeare``: cut in order into train, val and test."""

    kind = "text"

    class Config(DatasetConfig):
        """Where the file is, and the shares of its characters."""

        path: PathOrNull
        val_fraction: SplitFraction
        test_fraction: SplitFractionOrZero

    config: Config

    def files(self) -> list[Path]:
        """Return the one file, which is ``path`` or stands in it; see :meth:`Dataset.files`."""
        if self.config.path is None:
            return []
        path = Path(self.config.path)
        file = path / "input.txt" if path.is_dir() else path
        _read(file)
        return [file]

    def load(self) -> "Corpus":
        """Read the text, fetched once if ``path`` names no file; see :meth:`Dataset.load`.

        With ``test_fraction=0`` there is no text for test, and val is read again in its place.
        """
        from attncompare.data.corpus import Corpus, with_fractions
        from attncompare.data.hub import fetched

        local = self.files()
        (file,) = local or [fetched(ADDRESS, "data=tinyshakespeare")]
        origin = {"files": {"train": [file.name]}} if local else {"addresses": [ADDRESS]}
        fractions = {"val": self.config.val_fraction, "test": self.config.test_fraction or None}
        splits = with_fractions({"train": _read(file)}, fractions, self.data_seed)  # one text is cut, and nothing drawn
        return Corpus(splits, stream=True, test_is_val=not self.config.test_fraction, origin=origin)


def _read(file: Path) -> "Rows":
    from attncompare.data.reading import read

    return read([Source("document", (file,))], {"text": ("data.column", "text")}, blank=True)
