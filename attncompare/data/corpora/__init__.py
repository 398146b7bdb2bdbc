"""The datasets: one module for each, named like it."""

from typing import TYPE_CHECKING

from attncompare.data.dataset import COLUMNS, SPLITS, DatasetConfig
from attncompare.errors import Refused
from attncompare.registry import load

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus


def load_corpus(config: DatasetConfig, data_seed: int) -> "Corpus":
    """Return the corpus that a section ``data`` names (:meth:`attncompare.data.dataset.Dataset.load`).

    Raises:
        Refused: if it cannot be had, or lacks a split or a column.
    """
    dataset = load("datasets", config.name)
    corpus: Corpus = dataset(config, data_seed).load()
    for split in SPLITS:
        rows = corpus.splits.get(split)
        if rows is None:
            raise Refused(f"data={config.name}: load gave no split {split}; it needs {', '.join(SPLITS)}")
        for column in COLUMNS[dataset.kind]:
            there = rows.features.get(column)
            if getattr(there, "dtype", None) not in ("string", "large_string"):
                found = "has no text in it" if there is not None else f"is not there; there are: {', '.join(rows.column_names)}"
                raise Refused(f"data={config.name}: rows of {dataset.kind} need the column {column}, which {found} ({split})")
    return corpus
