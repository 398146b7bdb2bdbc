"""Splits that are taken from train: by chance among rows, and by place in one long text."""

from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import blake2b

import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetDict

from attncompare.data.corpora.kept_rows import kept_rows
from attncompare.data.corpus import tables
from attncompare.data.row_hashes import row_hashes, text_hashes
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused
from attncompare.text import counted


def with_fractions(parts: Mapping[str, Dataset], fractions: Mapping[str, float | None], data_seed: int) -> DatasetDict:
    """Return all three splits: those of ``parts``, and those that are missing there, taken from its train.

    Of many rows each is given to a split by a hash of its content and ``data_seed``: equal rows stay together, so that no
    row stands in two splits, and the order of rows is kept. Of one row, a long text, the beginning is train, then comes
    val, then test.

    Args:
        parts: train and maybe others; columns ``source`` and ``target``, or ``text``.
        fractions: for a missing split its share of train.
        data_seed: the seed of the data.

    Returns:
        The splits; val stands for test where test has neither data nor a share.

    Raises:
        Refused: if there is too little to take from.
    """
    missing = {split: fraction for split in SPLITS if split not in parts and (fraction := fractions[split]) is not None}
    train = parts["train"]
    if not missing:
        taken = {}
    elif len(train) == 1 and train.column_names == ["text"]:
        taken = _cut(train[0]["text"], missing)
    else:
        taken = _dealt(train, missing, data_seed)
    whole = {**parts, **taken}
    whole.setdefault("test", whole["val"])
    return DatasetDict({split: whole[split] for split in SPLITS})


def _cut(text: str, shares: dict[str, float]) -> dict[str, Dataset]:
    end, left = len(text), 1.0
    pieces: dict[str, str] = {}
    for split in reversed(shares):
        left -= shares[split]
        start = int(len(text) * left)
        pieces[split] = text[start:end]
        end = start
    pieces["train"] = text[:end]
    for split, piece in pieces.items():
        if not piece:
            raise Refused(f"data.{split}_fraction: a text of {counted(len(text), 'character')} is too short for a part")
    return {split: Dataset.from_dict({"text": [piece]}) for split, piece in pieces.items()}


def _dealt(rows: Dataset, shares: Mapping[str, float], data_seed: int) -> dict[str, Dataset]:
    hashes = np.concatenate(
        [
            row_hashes(
                [text_hashes(table[name].to_pylist(), f"split {data_seed}") for name in sorted(rows.column_names)]
            )
            for table in tables(rows)
        ]
    )
    owners = _owners(hashes, list(shares.values()))
    content = blake2b(hashes.data).digest()  # of all rows in their order
    dealt = {}
    for number, split in enumerate(["train", *shares]):
        mine = owners == number
        if not mine.any():
            what = f"{counted(len(rows), 'row')} are too few to take {', '.join(shares)} from"
            raise Refused(f"data.splits: {what}: nothing would be left for {split}")
        what = content + mine.tobytes()
        dealt[split] = kept_rows(what, rows.features.arrow_schema, partial(_chosen, rows, mine))
    return dealt


def _owners(hashes: np.ndarray, shares: list[float]) -> np.ndarray:
    """Return for each row 0, or the number of the share, from 1, to which its hash falls: the smallest go to the first."""
    ordered = np.sort(hashes)
    owners, begin = np.zeros(len(hashes), dtype=np.int8), 0
    for number, share in enumerate(shares, start=1):
        last = begin + max(1, round(share * len(hashes))) - 1
        if last >= len(hashes):
            break
        owners[(hashes >= ordered[begin]) & (hashes <= ordered[last])] = number
        begin = int(np.searchsorted(ordered, ordered[last], side="right"))  # of equal rows all are taken or none
    return owners


def _chosen(rows: Dataset, mine: np.ndarray) -> Iterator[pa.Table]:
    begin = 0
    for table in tables(rows):
        yield table.filter(pa.array(mine[begin : begin + len(table)]))
        begin += len(table)
