"""The datasets: one module for each, named like it."""

from typing import TYPE_CHECKING

from attncompare.data.dataset import DatasetConfig
from attncompare.registry import load

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus


def load_corpus(config: DatasetConfig, data_seed: int) -> "Corpus":
    """Return the corpus that a section ``data`` names (:meth:`attncompare.data.dataset.Dataset.load`)."""
    corpus: Corpus = load("datasets", config.name)(config, data_seed).load()
    return corpus
