"""Splits that are taken from train: by chance among rows, and by place in one long text."""

from collections.abc import Mapping

import numpy as np
from datasets import Dataset, DatasetDict

from attncompare.data.corpus import tables
from attncompare.data.row_hashes import row_hashes, text_hashes
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused
from attncompare.metric_names import counted


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
    ordered = np.sort(hashes)
    owner, begin = np.zeros(len(hashes), dtype=np.int8), 0
    for number, share in enumerate(shares.values(), start=1):
        last = begin + max(1, round(share * len(rows))) - 1
        if last >= len(ordered):
            break
        # Of equal rows all are taken or none.
        owner[(hashes >= ordered[begin]) & (hashes <= ordered[last])] = number
        begin = int(np.searchsorted(ordered, ordered[last], side="right"))
        if begin >= len(ordered):
            break
    dealt = {split: rows.select(np.flatnonzero(owner == number)) for number, split in enumerate(["train", *shares])}
    for split, part in dealt.items():
        if not len(part):
            what = f"{counted(len(rows), 'row')} are too few to take {', '.join(shares)} from"
            raise Refused(f"data.splits: {what}: nothing would be left for {split}")
    return dealt
