"""The corpus ``text``: documents of the user's own, from files or from the hub, in one line for a language model."""

from typing import Any

from datasets import Dataset, DatasetBuilder

from attncompare.config import TextConfig
from attncompare.data.corpora.columns import text_columns
from attncompare.data.corpora.first_documents import first_documents
from attncompare.data.corpora.fractions import with_fractions
from attncompare.data.corpora.hub import hub_builder
from attncompare.data.corpora.pairs import origin_of
from attncompare.data.corpora.reading import file_builder, read
from attncompare.data.corpus import Corpus
from attncompare.data.files import checked_sources
from attncompare.data.splits import SPLITS


def load(config: TextConfig, data_seed: int) -> Corpus:
    """Check all there is, then read it, or the first ``config.max_documents`` documents of each split.

    Raises:
        Refused: if the data cannot be had, or are not what the config says.
    """
    if config.hub is None:
        sources = checked_sources(config)
        origin = origin_of(sources)
        parts = {}
        for split, (source,) in sources.items():
            state = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in source.paths]
            builder = file_builder(source, [config.column])
            parts[split] = _documents(config, builder, "train", str(source.paths[0]), state)
    else:
        parts, origin = _from_hub(config, config.hub)
    fractions = {"val": config.val_fraction, "test": config.test_fraction}
    return Corpus(with_fractions(parts, fractions, data_seed), stream=True, origin=origin)


def _from_hub(config: TextConfig, hub: str) -> tuple[dict[str, Dataset], dict[str, Any]]:
    builder, origin = hub_builder(hub, config.subset)
    given = {split: getattr(config.splits, split) for split in SPLITS}
    parts = {}
    for split, name in given.items():
        if name is not None or split == "train":
            parts[split] = _documents(config, builder, name or "train", f"data.hub={hub}", origin)
    return parts, origin


def _documents(config: TextConfig, builder: DatasetBuilder, split: str, where: str, state: Any) -> Dataset:
    if config.max_documents is not None:
        rows = first_documents(builder, split, config.column, config.max_documents, where, state)
    else:
        rows = read(builder, split, where)
    column = "text" if config.max_documents is not None else config.column
    return text_columns(rows, {"text": ("data.column", column)}, where, blank=True)
