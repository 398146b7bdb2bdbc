"""The dataset ``pydocs``: the docstrings of the Python standard library that runs the program."""

from pathlib import Path
from typing import TYPE_CHECKING

from attncompare.config.values import SplitFraction
from attncompare.data.dataset import Dataset, DatasetConfig
from attncompare.data.standard_library import documented, source_files, source_folder, split_by_module

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus


class Pydocs(Dataset):
    """``data=pydocs``: whole modules go to one split, so that val and test are new."""

    kind = "text"

    class Config(DatasetConfig):
        """The shares of the text that become val and test."""

        val_fraction: SplitFraction
        test_fraction: SplitFraction

    config: Config

    def load(self) -> "Corpus":
        """Read the docstrings; refused if this Python comes without the source of its library."""
        from attncompare.data.corpus import corpus

        modules, config = docstrings(source_folder("pydocs")), self.config
        sizes = {name: sum(len(docstring.encode()) for docstring in found) for name, found in modules.items()}
        splits = split_by_module(sizes, config.val_fraction, config.test_fraction, "pydocs", self.data_seed)
        texts = {split: {"text": [text for name in names for text in modules[name]]} for split, names in splits.items()}
        return corpus(texts, stream=True)


def docstrings(folder: Path) -> dict[str, list[str]]:
    """Return the cleaned docstrings below ``folder`` by top-level module; equal ones once, at the first module."""
    seen: set[str] = set()
    modules: dict[str, list[str]] = {}
    for name, files in source_files(folder).items():
        for docstring in (found for file in files for _, found in documented(file)):
            if docstring not in seen:
                seen.add(docstring)
                modules.setdefault(name, []).append(docstring)
    return modules
