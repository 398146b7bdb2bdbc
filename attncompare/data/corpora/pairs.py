"""The corpus ``pairs``: parallel text of the user's own, from files or from the hub."""

from typing import Any

import datasets
from datasets import Dataset

from attncompare.config import PairsConfig
from attncompare.data.corpora.columns import text_columns
from attncompare.data.corpora.fractions import with_fractions
from attncompare.data.corpora.hub import hub_builder
from attncompare.data.corpora.reading import file_builder, read
from attncompare.data.corpus import Corpus
from attncompare.data.files import checked_sources
from attncompare.data.files.source import Source
from attncompare.data.splits import SPLITS


def load(config: PairsConfig, data_seed: int) -> Corpus:
    """Check all there is, then read it.

    Raises:
        Refused: if the data cannot be had, or are not what the config says.
    """
    if config.hub is None:
        sources = checked_sources(config)
        parts = {
            split: pairs_of(found, config.source, config.target, config.keep_empty) for split, found in sources.items()
        }
        origin: dict[str, Any] = origin_of(sources)
    else:
        parts, origin = _from_hub(config, config.hub)
    fractions = {"val": config.val_fraction, "test": config.test_fraction}
    return Corpus(with_fractions(parts, fractions, data_seed), origin=origin)


def pairs_of(sources: tuple[Source, ...], source: str, target: str, keep_empty: bool = False) -> Dataset:
    """Return the pairs of one split from checked files: one source with two columns, or two of lines.

    Raises:
        Refused: if a table holds something else than text in these columns.
    """
    wanted = _wanted(source, target)
    where = " and ".join(str(one.paths[0]) for one in sources)
    if len(sources) == 1:
        rows = read(file_builder(sources[0], [source, target]), "train", where)
    else:
        sides = [read(file_builder(one, ["text"]), "train", where) for one in sources]
        renamed = [side.rename_column("text", name) for side, name in zip(sides, (source, target), strict=True)]
        rows = datasets.concatenate_datasets(renamed, axis=1)
    return text_columns(rows, wanted, where, keep_empty)


def origin_of(sources: dict[str, tuple[Source, ...]]) -> dict[str, Any]:
    """Return the names of local files by split, for the record."""
    return {"files": {split: [p.name for one in found for p in one.paths] for split, found in sources.items()}}


def _from_hub(config: PairsConfig, hub: str) -> tuple[dict[str, Dataset], dict[str, Any]]:
    builder, origin = hub_builder(hub, config.subset)
    given = {split: getattr(config.splits, split) for split in SPLITS}
    parts = {}
    for split, name in given.items():
        if name is not None or split == "train":
            rows = read(builder, name or "train", f"data.hub={hub}")
            where = f"data.hub={hub}, split {name or 'train'}"
            parts[split] = text_columns(rows, _wanted(config.source, config.target), where, config.keep_empty)
    return parts, origin


def _wanted(source: str, target: str) -> dict[str, tuple[str, str]]:
    return {"source": ("data.source", source), "target": ("data.target", target)}
