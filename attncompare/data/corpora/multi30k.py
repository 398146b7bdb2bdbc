"""The corpus ``multi30k``: captions of images in four languages (Elliott et al. 2016, task 1)."""

from typing import Any

from datasets import DatasetDict

from attncompare.config import Multi30kConfig
from attncompare.data.corpora.addresses import fetched
from attncompare.data.corpora.pairs import origin_of, pairs_of
from attncompare.data.corpus import Corpus
from attncompare.data.files import checked_sources
from attncompare.data.files.known import multi30k_names
from attncompare.data.files.pairs import check_pairs
from attncompare.data.files.source import Source

ADDRESS = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1"


def load(config: Multi30kConfig) -> Corpus:
    """Read the files of one pair of languages, fetched once if ``config.path`` names no folder.

    Raises:
        Refused: if they cannot be had, or are damaged.
    """
    if config.path is None:
        addresses = file_addresses(config)
        sources = _fetched(addresses)
        origin: dict[str, Any] = {"addresses": [address for pair in addresses.values() for address in pair]}
    else:
        sources = checked_sources(config)
        origin = origin_of(sources)
    splits = {split: pairs_of(found, config.source, config.target) for split, found in sources.items()}
    return Corpus(DatasetDict(splits), origin=origin)


def file_addresses(config: Multi30kConfig) -> dict[str, tuple[str, str]]:
    """Return where the source's and the target's file of each split stand: the raw ones are packed, the others are not."""
    folder, packed = ("raw", ".gz") if config.form == "raw" else ("tok", "")
    return {
        split: (f"{ADDRESS}/{folder}/{source}{packed}", f"{ADDRESS}/{folder}/{target}{packed}")
        for split, (source, target) in multi30k_names(config).items()
    }


def _fetched(addresses: dict[str, tuple[str, str]]) -> dict[str, tuple[Source, ...]]:
    copies = fetched({address: address for pair in addresses.values() for address in pair}, "data=multi30k")
    sources = {split: tuple(Source("lines", (copies[one],)) for one in pair) for split, pair in addresses.items()}
    return check_pairs(sources, "source", "target")
