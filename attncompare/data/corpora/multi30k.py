"""The dataset ``multi30k``: captions of images in four languages (Elliott et al. 2016, task 1)."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from attncompare.data.dataset import DatasetConfig, PathOrNull
from attncompare.data.files import FileData, Sources, listed, two_texts
from attncompare.errors import Refused

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus
    from attncompare.data.reading import Columns

ADDRESS = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1"
Language = Literal["en", "de", "fr", "cs"]


class Multi30k(FileData):
    """``data=multi30k``: from a folder, or fetched once."""

    kind = "parallel"

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
    blank_lines = "refuse"

    def file_names(self) -> dict[str, tuple[str, str]]:
        """Return the names of the source's and the target's file of each split."""
        config, form = self.config, "" if self.config.form == "raw" else f"{self.config.form}."
        splits = {"train": "train", "val": "val", "test": config.test}
        return {one: (f"{name}.{form}{config.source}", f"{name}.{form}{config.target}") for one, name in splits.items()}

    def addresses(self) -> dict[str, tuple[str, str]]:
        """Return where these files are published: the raw ones are packed, the others are not."""
        folder, packed = ("raw", ".gz") if self.config.form == "raw" else ("tok", "")
        return {
            split: (f"{ADDRESS}/{folder}/{source}{packed}", f"{ADDRESS}/{folder}/{target}{packed}")
            for split, (source, target) in self.file_names().items()
        }

    def sources(self) -> Sources:
        """Return the files in ``path``; refused if it lacks one of them."""
        if self.config.path is None:
            return {}
        folder = Path(self.config.path)
        sources: Sources = {split: two_texts(folder, *names) for split, names in self.file_names().items()}
        for path in (source.paths[0] for pair in sources.values() for source in pair):
            if not path.exists():
                raise Refused(f"data.path={folder} lacks {path.name}: {listed(folder)}")
        return sources

    def columns(self) -> "Columns":
        """Return the two columns."""
        return {"source": ("data.source", self.config.source), "target": ("data.target", self.config.target)}

    def load(self) -> "Corpus":
        """Read the six files, fetched once if ``path`` names no folder; see :meth:`Dataset.load`."""
        from datasets import DatasetDict

        from attncompare.data.corpus import Corpus

        rows, origin = self.read(self.addresses(), "lines")
        return Corpus(DatasetDict(rows), origin=origin)
