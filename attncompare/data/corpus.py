"""A corpus: three splits of text, how they are drawn, their fingerprint, and what val and test share with train."""

import codecs
import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, pairwise
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from attncompare.data.cache import cached_rows, in_memory, in_slices, release
from attncompare.data.dataset import SPLITS
from attncompare.errors import Refused
from attncompare.text import counted

_BATCH_BYTES = 8 * 2**20  # that a batch of rows should not exceed by much, however long the rows are
_PIECE = 2**15  # characters of a piece of a long text
_LONGEST_PIECE = 2**16
# Every kind of tokenizer cuts between a character and the space or line end after it, and between a letter and such
# punctuation (tokenizer.py).
_CUT = re.compile(r"(?<=\S)(?=[ \n])|(?<=[^\W\d_])(?=[.,;:!?、。，；：！？।])")
_TRIES = 20  # draws for each generated pair that is needed, before giving up
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that nothing is lost; 2**64 divided by the golden ratio


@dataclass(frozen=True)
class Corpus:
    """The data of a run before tokens.

    Translation columns are ``source`` and ``target`` (str) and, where gold alignments are known, ``source_spans`` and
    ``target_spans``: lists of [start, end, field], half-open in characters; what lies in the same field is aligned. Text
    columns are ``text`` (str) and, where only spans count, ``scored``: lists of [start, end]. Labelled columns are ``label``
    (str), and ``text`` (str) or ``image``: rows of gray levels from 0 to 255, all images of one size.

    ``stream``: rows are pieces of one long text, and not each a sequence of its own. ``test_is_val``: the test split holds
    the rows of val, because the corpus has no test data. ``origin``: where the data come from, as plain JSON, for the record.
    ``notes``: what people should know of how they were read. ``dropped``: how many rows of each split of the data were left out,
    as a text in them was blank.

    Columns of speech are ``wave`` (lists of int16), ``name`` and ``target`` (str); spans are then in samples of the wave and
    characters of the target.
    """

    splits: datasets.DatasetDict
    stream: bool = False
    test_is_val: bool = False
    origin: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)

    def rows(self, split: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the values of these columns row by row, of which few are in memory at a time."""
        for table in tables(self.splits[split].select_columns(list(columns))):
            yield from zip(*(table[name].to_pylist() for name in columns), strict=True)

    def pieces(self, split: str, column: str) -> Iterator[tuple[str, bool]]:
        """Yield the texts of a column in pieces, and whether a piece is the last of its row; a short row is one piece.

        A long text is cut where every tokenizer cuts anyway, so that no piece is large and the tokens are the same. Where
        65,536 characters hold no such place, they are a piece.
        """
        for table in tables(self.splits[split].select_columns([column])):
            for text in _utf8(table[column]):
                if len(text) <= _PIECE:
                    yield str(text, "utf-8"), True
                else:
                    yield from _pieces(text)

    def text_bytes(self, split: str) -> int:
        """Return about how many bytes a split takes."""
        return int(self.splits[split].data.nbytes)


def tables(rows: datasets.Dataset) -> Iterator[pa.Table]:
    """Yield all rows in order as Arrow tables of at most 10,000 rows, fewer where rows are long."""
    # All of the data behind a selection of rows counts, so that this is a mean over what may be many more rows.
    mean = rows.data.nbytes / max(len(rows.data), 1)
    size = max(1, min(10_000, int(_BATCH_BYTES / max(mean, 1))))
    arrow = rows.with_format("arrow")
    for start in range(0, len(rows), size):
        yield arrow[start : start + size]
        release()


def _utf8(values: pa.ChunkedArray) -> Iterator[memoryview]:
    """Yield the bytes of each text, none of them copied."""
    for chunk in values.chunks:
        ends, data = _bytes_of(chunk)
        yield from (data[start:end] for start, end in pairwise(ends.tolist()))


def _bytes_of(chunk: pa.Array) -> tuple[np.ndarray, memoryview]:
    """Return where each text of a chunk begins and at last where they end, and the bytes that this counts in."""
    _, ends, data = chunk.buffers()
    if not len(chunk):
        return np.zeros(1, dtype=np.int64), memoryview(b"")
    kind = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
    return np.frombuffer(ends, kind)[chunk.offset : chunk.offset + len(chunk) + 1], memoryview(data or b"")


def _pieces(text: memoryview) -> Iterator[tuple[str, bool]]:
    decoder, rest = codecs.getincrementaldecoder("utf-8")(), ""
    for part in in_slices(text, _BATCH_BYTES):
        rest, start = rest + decoder.decode(part), 0
        while len(rest) - start > _LONGEST_PIECE:
            cut = _CUT.search(rest, start + _PIECE, start + _LONGEST_PIECE)
            end = cut.start() if cut else start + _LONGEST_PIECE
            yield rest[start:end], False
            start = end
        rest = rest[start:]
    while len(rest) > _PIECE and (cut := _CUT.search(rest, _PIECE)):
        yield rest[: cut.start()], False
        rest = rest[cut.start() :]
    yield rest, True


def text_columns(corpus: Corpus) -> list[str]:
    """Return the names of its columns of text."""
    return [name for name in ("source", "target", "text") if name in corpus.splits["train"].column_names]


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
    """Return a corpus of what ``draw`` gives, in which no two pairs share a source or a target.

    Refused if ``draw`` keeps repeating itself; ``what`` is the dataset's name for the message.
    """
    pairs: list[Pair] = []
    known: tuple[set[str], set[str]] = set(), set()
    for _ in range(_TRIES * sum(sizes) + 1000):
        pair = draw()
        if pair.source not in known[0] and pair.target not in known[1]:
            known[0].add(pair.source)
            known[1].add(pair.target)
            pairs.append(pair)
            if len(pairs) == sum(sizes):
                break
    else:
        raise Refused(
            f"{what} cannot give {sum(sizes)} different pairs; train_size + val_size + test_size must be below {len(pairs)}"
        )
    rng.shuffle(pairs)  # the first pairs to be drawn are the commonest
    rest = iter(pairs)
    parts = {split: zip(*islice(rest, size), strict=True) for split, size in zip(SPLITS, sizes, strict=True)}
    return corpus({split: dict(zip(Pair._fields, map(list, columns), strict=True)) for split, columns in parts.items()})


def without_blank(rows: Mapping[str, datasets.Dataset]) -> tuple[dict[str, datasets.Dataset], dict[str, int]]:
    """Return the rows of each split of which no text is blank, and how many others there were; refused if none is left."""
    found, dropped = {}, {}
    for split, own in rows.items():
        kept = partial(_filled, own)
        found[split] = cached_rows(["not blank", own._fingerprint], own.features.arrow_schema, kept)
        dropped[split] = len(own) - len(found[split])
        if not len(found[split]):
            raise Refused(f"data.blank_lines=drop: {split} holds nothing but blank rows")
    return found, {split: count for split, count in dropped.items() if count}


def _filled(rows: datasets.Dataset) -> Iterator[pa.Table]:
    for table in tables(rows):
        texts = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
        yield table.filter(pa.array([all(map(str.strip, row)) for row in texts], pa.bool_()))


def with_fractions(
    given: Mapping[str, datasets.Dataset], fractions: Mapping[str, float | None], data_seed: int
) -> datasets.DatasetDict:
    """Return all three splits: those of ``given``, and those missing there, each its share of the given train.

    Of many rows each is assigned to a split by a hash and ``data_seed``, and the order of rows stays. Pairs go by their
    source: all of one source are in one split, and rows that are added move no other. Texts go by their content, those of
    the smallest hashes to val: of few a share is met as nearly as can be. Of one row, a long text, the beginning is train,
    then comes val, then test. Val stands for test where test has neither data nor a share. Refused if there is too little
    to take from.
    """
    shares = {split: share for split in SPLITS if split not in given and (share := fractions[split]) is not None}
    train = given["train"]
    if not shares:
        splits = dict(given)
    elif len(train) == 1 and train.column_names == ["text"]:
        splits = {**given, **_cut(train, shares)}
    else:
        splits = {**given, **_assigned(train, shares, data_seed)}
    splits.setdefault("test", splits["val"])
    return datasets.DatasetDict({split: splits[split] for split in SPLITS})


def _cut(row: datasets.Dataset, shares: Mapping[str, float]) -> dict[str, datasets.Dataset]:
    """Return the splits of one text, cut between characters; its bytes are not copied."""
    (text,) = _utf8(row.with_format("arrow")[:]["text"])
    size = sum(int(_begins(part).sum()) for part in in_slices(text, _BATCH_BYTES))
    left, cuts = 1.0, [size]
    for split in reversed(list(shares)):
        left -= shares[split]
        cuts.append(int(size * left))
    cuts = [0, *reversed(cuts)]
    splits = {}
    for split, (first, last), (start, end) in zip(
        ["train", *shares], pairwise(cuts), pairwise(_places(text, cuts)), strict=True
    ):
        if first == last:
            raise Refused(f"data.{split}_fraction: a text of {counted(size, 'character')} is too short for a split")
        ends = np.array([0, end - start])
        piece = pa.LargeStringArray.from_buffers(1, pa.py_buffer(ends), pa.py_buffer(text[start:end]))
        splits[split] = datasets.Dataset(pa.table({"text": piece}), fingerprint=f"{row._fingerprint}-{start}-{end}")
    return splits


def _begins(text: memoryview) -> np.ndarray:
    """Return for each byte whether a character begins there."""
    return np.frombuffer(text, np.uint8) & 0xC0 != 0x80


def _places(text: memoryview, numbers: Sequence[int]) -> list[int]:
    """Return where in the bytes of ``text`` the characters of these numbers, ascending, begin; the last is its end."""
    places: list[int] = []
    before = seen = 0
    for part in in_slices(text, _BATCH_BYTES):
        begins = np.flatnonzero(_begins(part))
        while len(places) < len(numbers) and numbers[len(places)] < seen + len(begins):
            places.append(before + int(begins[numbers[len(places)] - seen]))
        before, seen = before + len(part), seen + len(begins)
    return places + [len(text)] * (len(numbers) - len(places))


def _assigned(rows: datasets.Dataset, shares: Mapping[str, float], data_seed: int) -> dict[str, datasets.Dataset]:
    of_pairs, salt, digest, found = "source" in rows.column_names, f"split {data_seed}", hashlib.sha256(), []
    for table in tables(rows):
        columns = {name: text_hashes(_utf8(table[name]), salt) for name in sorted(rows.column_names)}
        found.append(columns["source" if of_pairs else "text"])
        digest.update(b"".join(column.tobytes() for column in columns.values()))
    hashes = np.concatenate(found)
    owners = _by_source(hashes, shares) if of_pairs else _by_rank(hashes, list(shares.values()))
    splits = ["train", *shares]
    if empty := [split for number, split in enumerate(splits) if number not in owners]:
        raise Refused(_too_few(rows, hashes, shares, empty[0]))
    digest.update(owners.tobytes())

    def chosen(number: int) -> Iterator[pa.Table]:
        begin = 0
        for table in tables(rows):
            yield table.filter(pa.array(owners[begin : begin + len(table)] == number))
            begin += len(table)

    schema = rows.features.arrow_schema
    return {
        split: cached_rows(["split", digest.hexdigest(), number], schema, partial(chosen, number))
        for number, split in enumerate(splits)
    }


def _by_source(hashes: np.ndarray, shares: Mapping[str, float]) -> np.ndarray:
    """Return for each row 0, or the number of the share, from 1, to which the hash of its source belongs.

    Val has the lowest range of all possible hashes, test the highest, so that neither share moves what the other takes.
    """
    places, owners = hashes / 2.0**64, np.zeros(len(hashes), dtype=np.int8)
    for number, (split, share) in enumerate(shares.items(), start=1):
        owners[places < share if split == "val" else places >= 1 - share] = number
    return owners


def _too_few(rows: datasets.Dataset, hashes: np.ndarray, shares: Mapping[str, float], empty: str) -> str:
    """Return what is said where a split would be empty, with fractions that leave none so, if there are."""
    of_pairs = "source" in rows.column_names
    many = counted(len(np.unique(hashes)), "source" if of_pairs else "row")
    lowest, highest = float(hashes.min() / 2.0**64), float(1 - hashes.max() / 2.0**64)
    # For each split of its own: the share that takes the first source in its range and little more, in whole thousandths.
    enough = {split: (int(1000 * {"val": lowest, "test": highest}[split]) + 1) / 1000 for split in shares}
    for tried in ({split: max(share, enough[split]) for split, share in shares.items()}, enough):
        fits = of_pairs and max(tried.values()) < 0.5  # the most that a share can be
        if fits and len(set(_by_source(hashes, tried).tolist())) == len(shares) + 1:
            works = " ".join(
                f"data.{split}_fraction={share:g}" for split, share in tried.items() if share != shares[split]
            )
            asked = " ".join(f"data.{split}_fraction={share:g}" for split, share in shares.items())
            return f"{asked}: of {many} none would be in {empty}; {works} leaves no split empty"
    return (
        f"data.splits: too few to take {', '.join(shares)} from: of {many} nothing would be left for {empty}; give more "
        "rows, or splits of their own"
    )


def _by_rank(hashes: np.ndarray, shares: list[float]) -> np.ndarray:
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


def fingerprint(corpus: Corpus) -> str:
    """Return a SHA-256 over the column names and the content of every split.

    It reads values and never bytes in memory, so that chunking, caching, row selection and machine leave it as it is. Of
    a column of lists come the lengths of all lists, then what stands inside, level by level; of texts their lengths in
    bytes, then all their bytes. Before each level stands its size in bytes, so that neighbours cannot run together.
    """
    digest = hashlib.sha256()
    for split in sorted(corpus.splits):
        rows = corpus.splits[split]
        for column in sorted(rows.column_names):
            name = f"{split}/{column}/{rows.num_rows}".encode()
            digest.update(len(name).to_bytes(8, "little") + name)
            values = rows.select_columns(column).with_format("arrow")[:][column]
            while pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
                _feed(digest, values, pc.list_value_length)
                values = pc.list_flatten(values)
            if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
                size = _feed(digest, values, pc.binary_length)
                digest.update(size.to_bytes(8, "little"))
                for chunk in _short_chunks(values):
                    ends, data = _bytes_of(chunk)
                    for part in in_slices(data[ends[0] : ends[-1]], _BATCH_BYTES):
                        digest.update(part)
            else:
                _feed(digest, values, lambda chunk: chunk)
    return digest.hexdigest()


def _feed(digest: Any, values: pa.ChunkedArray, numbers_of: Callable[[pa.Array], pa.Array]) -> int:
    """Feed the numbers of a level and return their sum."""
    digest.update((8 * len(values)).to_bytes(8, "little"))
    total = 0
    for chunk in _short_chunks(values):
        if chunk.null_count:
            raise Refused("a column of the data has rows without a value")
        numbers = numbers_of(chunk).to_numpy(zero_copy_only=False).astype("<i8")
        digest.update(numbers.tobytes())
        total += int(numbers.sum())
    return total


def _short_chunks(values: pa.ChunkedArray) -> Iterator[pa.Array]:
    for chunk in values.chunks:
        step = max(1, min(10_000, _BATCH_BYTES * len(chunk) // max(1, chunk.nbytes)))
        yield from (chunk[start : start + step] for start in range(0, len(chunk), step))


def overlap(corpus: Corpus) -> dict[str, dict[str, int]]:
    """Return for val and test how many of their rows train holds too, in memory that does not grow with train.

    Rows are told apart by hashes of 64 bits, so that a count is one too high with a chance of about 1 in a million for a
    million rows that meet ten million.

    Returns:
        ``in_train``: rows of which train holds an equal one; for pairs also ``source_in_train`` and
        ``target_in_train``: rows whose source, or target, stands in train with whatever partner. Nothing for images.
    """
    columns = text_columns(corpus)
    if not columns:
        return {}

    def hashes(split: str) -> Iterator[dict[str, np.ndarray]]:
        for table in tables(corpus.splits[split].select_columns(columns)):
            sides = {f"{name}_in_train": text_hashes(_utf8(table[name])) for name in columns}
            yield {"in_train": row_hashes(list(sides.values())), **(sides if len(columns) > 1 else {})}

    asked = {(split, key): rows for split in ("val", "test") for key, rows in in_memory(hashes(split)).items()}
    seen = {place: np.zeros(len(rows), dtype=bool) for place, rows in asked.items()}
    for part in hashes("train"):
        for place, rows in asked.items():
            seen[place] |= np.isin(rows, part[place[1]])
    found: dict[str, dict[str, int]] = {"val": {}, "test": {}}
    for (split, key), rows in seen.items():
        found[split][key] = int(rows.sum())
    return found


def text_hashes(texts: Iterable[memoryview], key: str = "") -> np.ndarray:
    """Return a hash for each text, uint64; of n different texts two share one with a chance of about n * n / 2**65."""
    salt = hashlib.blake2b(key.encode()).digest()[:16]

    def hashed(text: memoryview) -> bytes:
        digest = hashlib.blake2b(digest_size=8, key=salt)
        for part in in_slices(text, _BATCH_BYTES) if len(text) > _BATCH_BYTES else [text]:
            digest.update(part)
        return digest.digest()

    return np.frombuffer(b"".join(map(hashed, texts)), dtype="<u8").astype(np.uint64)


def row_hashes(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return a hash for each row from the hashes of its columns, in their order."""
    total = np.zeros_like(columns[0])
    for column in columns:
        total = total * _FACTOR + column  # modulo 2**64
    return total
