"""The dataset ``multi30k``: captions of images in four languages (Elliott et al. 2016, task 1)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from attncompare.data.dataset import Dataset, DatasetConfig, PathOrNull
from attncompare.data.files import Source, listed, origin_of, paths_of, two_texts
from attncompare.errors import Refused

if TYPE_CHECKING:
    from datasets import DatasetDict

    from attncompare.data.corpus import Corpus

ADDRESS = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1"
Language = Literal["en", "de", "fr", "cs"]


class Multi30k(Dataset):
    """``data=multi30k``: from a folder, or fetched once."""

    kind = "pairs"

    class Config(DatasetConfig):
        """Which languages, in which form, and which test set."""

        path: PathOrNull
        source: Language
        target: Language
        form: Literal["raw", "lc.norm.tok"]
        test: Literal["test_2016_flickr", "test_2017_flickr", "test_2017_mscoco", "test_2018_flickr"]

        @model_validator(mode="after")
        def _translated(self) -> "Multi30k.Config":
            if self.source == self.target:
                raise ValueError(f"source and target are both '{self.source}'; translation needs two languages")
            if self.test.startswith("test_2017") and "cs" in (self.source, self.target):
                raise ValueError(f"data.test={self.test} has no Czech; valid: test_2016_flickr, test_2018_flickr")
            return self

    config: Config

    def file_names(self) -> dict[str, tuple[str, str]]:
        """Return the names of the source's and the target's file of each split."""
        config = self.config
        form = "" if config.form == "raw" else f"{config.form}."
        splits = {"train": "train", "val": "val", "test": config.test}
        return {
            name: (f"{file}.{form}{config.source}", f"{file}.{form}{config.target}") for name, file in splits.items()
        }

    def addresses(self) -> dict[str, tuple[str, str]]:
        """Return where these files are published: the raw ones are packed, the others are not."""
        folder, packed = ("raw", ".gz") if self.config.form == "raw" else ("tok", "")
        return {
            split: (f"{ADDRESS}/{folder}/{source}{packed}", f"{ADDRESS}/{folder}/{target}{packed}")
            for split, (source, target) in self.file_names().items()
        }

    def files(self) -> list[Path]:
        """Return the files in ``path``; see :meth:`Dataset.files`."""
        if self.config.path is None:
            return []
        sources = self._in_folder(Path(self.config.path))
        self._read(sources)
        return paths_of(sources.values())

    def load(self) -> "Corpus":
        """Read the six files, fetched once if ``path`` names no folder; see :meth:`Dataset.load`."""
        from attncompare.data.corpus import Corpus
        from attncompare.data.hub import fetched

        if self.config.path is None:
            addresses = self.addresses()
            sources = {
                split: tuple(Source("lines", (fetched(address, "data=multi30k"),)) for address in pair)
                for split, pair in addresses.items()
            }
            origin: dict[str, Any] = {"addresses": [address for pair in addresses.values() for address in pair]}
        else:
            sources = self._in_folder(Path(self.config.path))
            origin = origin_of(sources)
        return Corpus(self._read(sources), origin=origin)

    def _in_folder(self, folder: Path) -> dict[str, tuple[Source, ...]]:
        if not folder.is_dir():
            raise Refused(f"data.path={folder} is no folder")
        sources: dict[str, tuple[Source, ...]] = {
            split: two_texts(folder, *names) for split, names in self.file_names().items()
        }
        for path in paths_of(sources.values()):
            if not path.exists():
                raise Refused(f"data.path={folder} lacks {path.name}: {listed(folder)}")
        return sources

    def _read(self, sources: dict[str, tuple[Source, ...]]) -> "DatasetDict":
        from datasets import DatasetDict

        from attncompare.data.reading import read

        columns = {"source": ("data.source", self.config.source), "target": ("data.target", self.config.target)}
        return DatasetDict({split: read(found, columns, blank=False) for split, found in sources.items()})
