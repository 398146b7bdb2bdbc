"""The datasets: one module for each, named like it."""

from typing import TYPE_CHECKING

from attncompare.data.dataset import COLUMNS, SPLITS, DatasetConfig
from attncompare.errors import Refused
from attncompare.registry import load

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus


def load_corpus(config: DatasetConfig, data_seed: int) -> "Corpus":
    """Return the corpus that a section ``data`` names; refused if it cannot be had, or lacks a split or a column."""
    dataset = load("datasets", config.name)
    corpus: Corpus = dataset(config, data_seed).load()
    for split in SPLITS:
        rows = corpus.splits.get(split)
        if rows is None:
            raise Refused(f"data={config.name}: load gave no split {split}; it needs {', '.join(SPLITS)}")
        for column in COLUMNS[dataset.kind]:
            if getattr(rows.features.get(column), "dtype", None) not in ("string", "large_string"):
                there = ", ".join(rows.column_names)
                needs = f"data={config.name}: {split}: rows of {dataset.kind} need the column {column}"
                raise Refused(f"{needs} of text, and there are: {there}")
    return corpus
