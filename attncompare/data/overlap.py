"""How much of val and test stands in train too, counted in memory that does not grow with train."""

from collections.abc import Sequence

import numpy as np

from attncompare.data.corpus import Corpus, tables
from attncompare.data.row_hashes import row_hashes, text_hashes

TEXT_COLUMNS = ("source", "target", "text")


def overlap(corpus: Corpus) -> dict[str, dict[str, int]]:
    """Return for val and test how many of their rows train holds too.

    Rows are told apart by hashes of 64 bits, so that a count is one too high with a chance of about 1 in a million for a
    million rows that meet ten million.

    Returns:
        ``in_train``: rows of which train holds an equal one; for pairs also ``source_in_train`` and
        ``target_in_train``: rows whose source, or target, stands in train with whatever partner.
    """
    columns = [name for name in TEXT_COLUMNS if name in corpus.splits["train"].column_names]
    asked = {split: _hashes(corpus, split, columns) for split in ("val", "test")}
    known = {key: np.unique(np.concatenate([found[key] for found in asked.values()])) for key in asked["val"]}
    seen = {key: np.zeros(len(values), dtype=bool) for key, values in known.items()}
    for table in tables(corpus.splits["train"].select_columns(columns)):
        for key, values in _keyed([text_hashes(table[name].to_pylist()) for name in columns], columns).items():
            seen[key] |= np.isin(known[key], values)
    return {
        split: {key: int(seen[key][np.searchsorted(known[key], values)].sum()) for key, values in found.items()}
        for split, found in asked.items()
    }


def _hashes(corpus: Corpus, split: str, columns: Sequence[str]) -> dict[str, np.ndarray]:
    rows = corpus.splits[split].select_columns(list(columns))
    parts = [[text_hashes(table[name].to_pylist()) for table in tables(rows)] for name in columns]
    return _keyed([np.concatenate([np.zeros(0, np.uint64), *one]) for one in parts], columns)


def _keyed(hashes: Sequence[np.ndarray], columns: Sequence[str]) -> dict[str, np.ndarray]:
    sides = {f"{name}_in_train": one for name, one in zip(columns, hashes, strict=True)} if len(columns) > 1 else {}
    return {"in_train": row_hashes(hashes), **sides}
