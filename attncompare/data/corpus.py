"""A corpus: three splits of text, how they are drawn, their fingerprint, and what val and test share with train."""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from attncompare.data.cache import cached_rows
from attncompare.data.dataset import SPLITS
from attncompare.errors import Refused
from attncompare.text import counted

TEXT_COLUMNS = ("source", "target", "text")
_BATCH_BYTES = 8 * 2**20  # that a batch of rows should not exceed by much, however long the rows are
_TRIES = 20  # draws for each generated pair that is needed, before giving up
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that nothing is lost; 2**64 divided by the golden ratio


@dataclass(frozen=True)
class Corpus:
    """The data of a run before tokens.

    Translation columns are ``source`` and ``target`` (str) and, where gold alignments are known, ``source_spans`` and
    ``target_spans``: lists of [start, end, field], half-open in characters; what lies in the same field is aligned. Text
    columns are ``text`` (str) and, where only spans count, ``scored``: lists of [start, end].

    Attributes:
        splits: train, val and test.
        stream: True: rows are pieces of one long text; False: each row is a sequence of its own.
        test_is_val: the test split holds the rows of val, because the corpus has no test data of its own.
        origin: where the data come from, as plain JSON, for the record: names, addresses, revisions.
    """

    splits: datasets.DatasetDict
    stream: bool = False
    test_is_val: bool = False
    origin: dict[str, Any] = field(default_factory=dict)

    def column(self, split: str, name: str) -> list[Any]:
        """Return a whole column of a split as a list: read at once, many times faster than row by row."""
        return self.splits[split].with_format("arrow")[:][name].to_pylist()

    def batches(self, split: str, columns: Sequence[str], size: int = 10_000) -> Iterator[dict[str, list[Any]]]:
        """Yield these columns of a split in order, in batches of at most ``size`` rows, fewer where rows are long."""
        for table in tables(self.splits[split].select_columns(list(columns)), size):
            yield {name: table[name].to_pylist() for name in columns}

    def text_bytes(self, split: str) -> int:
        """Return about how many bytes a split takes."""
        return int(self.splits[split].data.nbytes)


def tables(rows: datasets.Dataset, size: int = 10_000) -> Iterator[pa.Table]:
    """Yield all rows in order as Arrow tables of at most ``size`` rows, fewer where rows are long."""
    # All of the data behind a selection of rows counts, so that this is a mean over what may be many more rows.
    mean = rows.data.nbytes / max(len(rows.data), 1)
    size = max(1, min(size, int(_BATCH_BYTES / max(mean, 1))))
    arrow = rows.with_format("arrow")
    for start in range(0, len(rows), size):
        yield arrow[start : start + size]


def corpus(columns: dict[str, dict[str, list[Any]]], stream: bool = False) -> Corpus:
    """Make a corpus in memory from ``{split: {column: values}}``."""
    splits = {split: datasets.Dataset.from_dict(columns[split]) for split in SPLITS if split in columns}
    return Corpus(datasets.DatasetDict(splits), stream)


class Pair(NamedTuple):
    """A source and a target sentence with the spans, [start, end, field], that align them."""

    source: str
    target: str
    source_spans: list[list[int]]
    target_spans: list[list[int]]


def generated_pairs(draw: Callable[[], Pair], sizes: tuple[int, int, int], rng: random.Random, what: str) -> Corpus:
    """Return a corpus of which no two pairs share a source or a target.

    Args:
        draw: gives a pair.
        sizes: the rows of train, val and test.
        rng: shuffles before the splits are cut: the first pairs to be drawn are the commonest.
        what: the dataset, for the message.

    Raises:
        Refused: if ``draw`` keeps repeating itself.
    """
    pairs = _distinct(draw, sum(sizes), what)
    rng.shuffle(pairs)
    columns, start = {}, 0
    for split, size in zip(SPLITS, sizes, strict=True):
        rows = pairs[start : start + size]
        columns[split] = {name: [getattr(pair, name) for pair in rows] for name in Pair._fields}
        start += size
    return corpus(columns)


def _distinct(draw: Callable[[], Pair], count: int, what: str) -> list[Pair]:
    pairs: list[Pair] = []
    sources: set[str] = set()
    targets: set[str] = set()
    for _ in range(_TRIES * count + 1000):
        pair = draw()
        if pair.source not in sources and pair.target not in targets:
            sources.add(pair.source)
            targets.add(pair.target)
            pairs.append(pair)
            if len(pairs) == count:
                return pairs
    raise Refused(
        f"{what} cannot give {count} different pairs; train_size + val_size + test_size must be below {len(pairs)}"
    )


def with_fractions(
    given: Mapping[str, datasets.Dataset], fractions: Mapping[str, float | None], data_seed: int
) -> datasets.DatasetDict:
    """Return all three splits: those of ``given``, and those that are missing there, taken from its train.

    Of many rows each is assigned to a split by a hash of its content and ``data_seed``: equal rows stay together, so that
    no row stands in two splits, and the order of rows stays. Of one row, a long text, the beginning is train, then comes
    val, then test.

    Args:
        given: train and maybe others; columns ``source`` and ``target``, or ``text``.
        fractions: for a missing split its share of train.
        data_seed: the seed of the data.

    Returns:
        The splits; val stands for test where test has neither data nor a share.

    Raises:
        Refused: if there is too little to take from.
    """
    shares = {split: share for split in SPLITS if split not in given and (share := fractions[split]) is not None}
    train = given["train"]
    if not shares:
        taken = {}
    elif len(train) == 1 and train.column_names == ["text"]:
        taken = _cut(train[0]["text"], shares)
    else:
        taken = _assigned(train, shares, data_seed)
    splits = {**given, **taken}
    splits.setdefault("test", splits["val"])
    return datasets.DatasetDict({split: splits[split] for split in SPLITS})


def _cut(text: str, shares: dict[str, float]) -> dict[str, datasets.Dataset]:
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
            raise Refused(
                f"data.{split}_fraction: a text of {counted(len(text), 'character')} is too short for a split"
            )
    return {split: datasets.Dataset.from_dict({"text": [piece]}) for split, piece in pieces.items()}


def _assigned(rows: datasets.Dataset, shares: Mapping[str, float], data_seed: int) -> dict[str, datasets.Dataset]:
    columns, salt = sorted(rows.column_names), f"split {data_seed}"
    hashes = np.concatenate(
        [row_hashes([text_hashes(table[name].to_pylist(), salt) for name in columns]) for table in tables(rows)]
    )
    owners = _owners(hashes, list(shares.values()))
    content = hashlib.sha256(hashes.data).hexdigest()  # of all rows in their order
    splits = {}
    for number, split in enumerate(["train", *shares]):
        mine = owners == number
        if not mine.any():
            raise Refused(
                f"data.splits: {counted(len(rows), 'row')} are too few to take {', '.join(shares)} from: nothing would be "
                f"left for {split}"
            )
        key = ["split", content, hashlib.sha256(mine.data).hexdigest()]
        splits[split] = cached_rows(key, rows.features.arrow_schema, partial(_chosen, rows, mine))
    return splits


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


def _chosen(rows: datasets.Dataset, mine: np.ndarray) -> Iterator[pa.Table]:
    begin = 0
    for table in tables(rows):
        yield table.filter(pa.array(mine[begin : begin + len(table)]))
        begin += len(table)


def fingerprint(corpus: Corpus) -> str:
    """Return a SHA-256 over the column names and the content of every split.

    It reads values and never bytes in memory, so that chunking, caching, row selection and machine leave it as it is; and
    it reads them in batches, several times over, so that it needs little memory however large the corpus is.
    """
    digest = hashlib.sha256()
    for split in sorted(corpus.splits):
        rows = corpus.splits[split]
        for column in sorted(rows.column_names):
            name = f"{split}/{column}/{rows.num_rows}".encode()
            digest.update(len(name).to_bytes(8, "little") + name)
            _feed_column(digest, rows.select_columns(column))
    return digest.hexdigest()


def _feed_column(digest: Any, rows: datasets.Dataset) -> None:
    """Feed lists level by level, outermost first: the lengths of all lists of a level, then what stands inside.

    Before each level stands its size in bytes, so that neighbours cannot run together.
    """
    count, depth = len(rows), 0
    while True:
        kind, inner = pa.null(), 0
        digest.update((8 * count).to_bytes(8, "little"))
        for values in _level(rows, depth):
            kind = values.type
            numbers = _lengths(values)
            digest.update(numbers.tobytes())
            inner += int(numbers.sum()) if _is_list(kind) or _is_text(kind) else 0
        if not _is_list(kind):
            break
        count, depth = inner, depth + 1
    if _is_text(kind):
        digest.update(inner.to_bytes(8, "little"))
        for values in _level(rows, depth):
            digest.update("".join(values.to_pylist()).encode())


def _level(rows: datasets.Dataset, depth: int) -> Iterator[pa.ChunkedArray]:
    """Yield the values of the only column, or what its lists hold at a depth, in batches."""
    for table in tables(rows):
        values = table[0]
        for _ in range(depth):
            values = pc.list_flatten(values)
        if values.null_count and not pa.types.is_null(values.type):
            raise Refused(f"the column {rows.column_names[0]} has rows without a value")
        yield values


def _lengths(values: pa.ChunkedArray) -> np.ndarray:
    """Return what a level feeds: the lengths of lists and texts (in bytes), or the numbers themselves."""
    if pa.types.is_null(values.type):  # the inside of lists that are all empty
        return np.zeros(0, dtype="<i8")
    if _is_list(values.type):
        values = pc.list_value_length(values)
    elif _is_text(values.type):
        values = pc.binary_length(values)
    return values.to_numpy().astype("<i8")


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def overlap(corpus: Corpus) -> dict[str, dict[str, int]]:
    """Return for val and test how many of their rows train holds too, in memory that does not grow with train.

    Rows are told apart by hashes of 64 bits, so that a count is one too high with a chance of about 1 in a million for a
    million rows that meet ten million.

    Returns:
        ``in_train``: rows of which train holds an equal one; for pairs also ``source_in_train`` and
        ``target_in_train``: rows whose source, or target, stands in train with whatever partner.
    """
    columns = [name for name in TEXT_COLUMNS if name in corpus.splits["train"].column_names]

    def hashes(split: str) -> Iterator[dict[str, np.ndarray]]:
        for table in tables(corpus.splits[split].select_columns(columns)):
            sides = {f"{name}_in_train": text_hashes(table[name].to_pylist()) for name in columns}
            yield {"in_train": row_hashes(list(sides.values())), **(sides if len(columns) > 1 else {})}

    found = {split: list(hashes(split)) for split in ("val", "test")}
    asked = {
        split: {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for split, parts in found.items()
    }
    known = {key: np.unique(np.concatenate([values[key] for values in asked.values()])) for key in asked["val"]}
    seen = {key: np.zeros(len(values), dtype=bool) for key, values in known.items()}
    for part in hashes("train"):
        for key, values in part.items():
            seen[key] |= np.isin(known[key], values)
    return {
        split: {key: int(seen[key][np.searchsorted(known[key], one)].sum()) for key, one in values.items()}
        for split, values in asked.items()
    }


def text_hashes(texts: Iterable[str], key: str = "") -> np.ndarray:
    """Return a hash for each text, uint64; of n different texts two share one with a chance of about n * n / 2**65."""
    salt = hashlib.blake2b(key.encode()).digest()[:16]
    digests = (hashlib.blake2b(text.encode(), digest_size=8, key=salt).digest() for text in texts)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def row_hashes(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return a hash for each row from the hashes of its columns, in their order."""
    total = np.zeros_like(columns[0])
    for column in columns:
        total = total * _FACTOR + column  # modulo 2**64
    return total
