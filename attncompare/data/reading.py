"""From files, the hub of Hugging Face and fixed addresses to rows of text, in which every string stands as it was written.

Text, csv, tsv and JSON lines are read by Python itself: other readers take ``NA`` for nothing, ``007`` for 7, a date in
JSON for another text, a quotation mark in tsv for the beginning of a longer field, a carriage return for the end of a
line, and fill up a row that is too short; and they cannot name the line of an error. Parquet, folders of Arrow files and
the hub's datasets are typed, and read by ``datasets``.
"""

import codecs
import csv
import glob
import gzip
import hashlib
import json
import logging
import re
import shutil
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import datasets
import huggingface_hub
import numpy as np
import pyarrow as pa
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from attncompare.data.cache import Arrays, cache_folder, cached_rows, cached_texts, portions, unfinished
from attncompare.data.files import SEPARATORS, BlankLines, Layout, Source
from attncompare.errors import AttnCompareError, Refused, RunFailed
from attncompare.text import counted, shortly

Columns = Mapping[str, tuple[str, str]]
"""By the name that a column gets: the config key that asks for it, and its name; a dot leads into a column of columns."""
Rows = Iterator[tuple[int, Sequence[Any]]]
"""The number of a row's line, and its cells."""
Asked = Sequence[tuple[str, str]]  # the values of Columns

_FORM = 1  # of what is cached
_AT_ONCE = 2**20  # bytes of a document
_MOST_COLUMNS = 20  # in a message
_ANSWER = 10  # seconds to wait for an answer of the network
_SENTENCE = re.compile(r"""[.!?…。！？।؟۔։\u037e]["'»”’)]*$|(\S+\s+){3}\S""")  # what names of columns rarely are
_DROP = "data.blank_lines=drop leaves such rows out"
_KEEP = ", data.keep_empty=true keeps such pairs"


class Format(NamedTuple):
    """How the rows of a file are written."""

    kind: str
    """That of its :class:`Source`; ``json`` for one value, which is a list of rows or holds one."""
    separator: str | None = None
    header: bool | None = None
    field: str | None = None
    blank_rows: bool = False
    """Whether a blank line of a table is a row of blank texts, which somebody drops later; else it is refused."""

    def told(self) -> dict[str, Any]:
        """Return what was found out, for the record; empty where the kind says all."""
        if self.separator is None:
            return {}
        name = next((name for name, sign in SEPARATORS.items() if sign == self.separator), self.separator)
        return {"separator": name, "header": self.header}


def read(
    sources: Sequence[Source], columns: Columns, blank: BlankLines, first: int | None, layout: Layout
) -> datasets.Dataset:
    """Return the rows of one split, mapped into memory.

    ``sources`` are one, or two texts of lines that translate each other line by line; ``blank``: what happens to rows of
    which a text is blank, which here are kept where they will be dropped; ``first``: at most so many rows, of which no
    more are read (None: all). Refused in one line, with the number of the file's line, if a file is missing, empty or
    damaged, has no such column, or holds something else than text there.
    """
    paths = [path for source in sources for path in source.paths]
    states = []
    for path in paths:
        if not path.is_file():  # a pipe would never end
            raise Refused(f"{path}: {'no plain file' if path.exists() else 'no such file'}")
        states.append([str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns])
    form = format_of(sources[0], columns, layout)._replace(blank_rows=blank == "drop")
    if form.kind == "document":
        if blank == "drop":
            why = "plain text is a document with its blank lines"
            raise Refused(f"data.blank_lines=drop: {paths[0]}: {why}; valid: keep, or a table with a row for each text")
        return _documents(paths[:first], columns, states[:first])

    def cells() -> Iterator[Sequence[str]]:
        if len(sources) == 2:
            return _parallel(paths[0], paths[1], columns, blank)
        if form.kind in _READERS:
            (read_file, unit), asked = _READERS[form.kind], list(columns.values())
            return chain.from_iterable(
                _checked(read_file(path, asked, form), f"{path}, {unit}", columns, blank) for path in paths
            )
        return _typed(lambda: _opened(sources[0]), str(paths[0]), columns, blank)

    return _cached([form, states], columns, blank, first, cells)


def format_of(source: Source, columns: Columns, layout: Layout) -> Format:
    """Return how the files of a source are written, as ``layout`` and the first line of the first of them say.

    Refused if that line fits several separators, or if ``layout`` says what files of this kind do not have.
    """
    path, asked = source.paths[0], list(columns.values())
    require_layout_of(source.kind, layout, str(path))
    if source.kind == "jsonl":
        content = next((line.strip() for _, line in _lines(path) if line.strip()), "")
        one = layout.field is not None or content.startswith("[") or content == "{"
        return Format("json", field=layout.field) if one else Format("jsonl")
    if source.kind not in _SEPARATORS:
        return Format(source.kind)
    numbers = all(name.isascii() and name.isdecimal() for _, name in asked)
    header = not numbers if layout.header is None else layout.header
    if not (header or numbers):
        raise Refused(f"data.header=no: columns without names are numbers from 0: {_numbered(asked)}")
    separators = [layout.separator] if layout.separator else _SEPARATORS[source.kind]
    if len(separators) == 1:
        return Format(source.kind, separators[0], header)
    first = {one: _first_cells(path, Format(source.kind, one, header)) for one in separators}
    fits = [
        one
        for one, cells in first.items()
        if all(name in cells if header else int(name) < len(cells) for _, name in asked)
    ]
    several = [one for one in fits if len(first[one]) > 1]
    if "\t" in several:  # which stands in no text
        several = ["\t"]
    if len(several) > 1:
        names = " or ".join(name for name, sign in SEPARATORS.items() if sign in several)
        raise Refused(f"{path}: the first line could be cut at each of {' '.join(several)}; set data.separator={names}")
    most = max(separators, key=lambda one: len(first[one]))
    return Format(source.kind, (several or fits or [most])[0], header)


def require_layout_of(kind: str, layout: Layout, where: str) -> None:
    """Refuse settings that data of this kind do not have."""
    tables = ("tables as text have", _SEPARATORS)
    for key, (what, kinds) in {"separator": tables, "header": tables, "field": ("JSON files have", ("jsonl",))}.items():
        if getattr(layout, key) is not None and kind not in kinds:
            raise Refused(f"data.{key}: only {what} one, and {where} is none; leave it out")


def _first_cells(path: Path, form: Format) -> Sequence[str]:
    try:
        return next(_records(path, form), (0, []))[1]
    except Refused:  # so it is when it is read, with its line
        return []


def _numbered(asked: Asked) -> str:
    """Return the settings that name the columns by numbers."""
    return " ".join(f"{key}={number}" for number, (key, _) in enumerate(asked))


class HubData:
    """A dataset of the Hugging Face hub, at the revision that it has now, or the cache's where HF_HUB_OFFLINE=1 is set.

    ``origin`` is plain JSON for the record. Refused if the hub cannot be reached, or has no such dataset or subset.
    """

    def __init__(self, name: str, subset: str | None) -> None:
        self._where = f"data.hub={name}"
        revision = None if huggingface_hub.constants.HF_HUB_OFFLINE else _revision(name, self._where)
        with _told_in_one_line(self._where):
            # The prefix keeps a folder of this name, here or among the library's own, from being taken for it.
            self._builder = datasets.load_dataset_builder(f"hf://datasets/{name}", subset, revision=revision)
        self.origin = {"hub": name, "subset": self._builder.config.name, "revision": revision}

    def read(self, split: str, columns: Columns, blank: BlankLines, first: int | None) -> datasets.Dataset:
        """Return the rows of one split; other arguments and errors as of :func:`read`. ``first`` fetches no more."""
        where, state = f"{self._where}, split {split}", [self.origin, split]
        with _told_in_one_line(self._where):
            if first is not None:
                # By default a lost connection is tried for minutes.
                datasets.config.STREAMING_OPEN_MAX_RETRIES = datasets.config.STREAMING_READ_MAX_RETRIES = 3
                rows = self._of(split, self._builder.as_streaming_dataset())
            else:
                if self._builder.info.splits:
                    self._of(split, self._builder.info.splits)
                self._builder.download_and_prepare()
                self._of(split, self._builder.info.splits)
                rows = self._builder.as_dataset(split)
                state.append(rows._fingerprint)
        return _cached(state, columns, blank, first, lambda: _typed(lambda: rows, where, columns, blank))

    def has(self, split: str) -> bool:
        """Return whether the dataset calls one of its splits so."""
        return split in self._splits

    @cached_property
    def _splits(self) -> list[str]:
        with _told_in_one_line(self._where):
            return list(map(str, self._builder.info.splits or self._builder.as_streaming_dataset()))

    def _of(self, split: str, valid: Any) -> Any:
        if split not in valid:
            raise Refused(f"{self._where} has no split '{split}'; valid: {', '.join(map(str, valid))}")
        return valid[split]


def _revision(name: str, where: str) -> str | None:
    """Return the commit at which the dataset stands."""
    try:
        return huggingface_hub.HfApi().dataset_info(name, timeout=_ANSWER).sha
    except RepositoryNotFoundError:
        raise Refused(f"{where}: the hub has no such dataset, or it is private; valid: owner/name") from None
    except Exception as error:  # of whatever library carries the question
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = f"HTTP {status}" if isinstance(error, HfHubHTTPError) else _first_line(error)
        raise Refused(
            f"{where}: the Hugging Face hub cannot be reached ({reason}); use local files with data.path=..., or, if it "
            "was fetched before, set HF_HUB_OFFLINE=1"
        ) from None


def fetched(address: str, what: str) -> Path:
    """Return the local copy of the file at an address; what was fetched before needs no network.

    Refused if it cannot be fetched; the message begins with ``what`` and names the local alternative.
    """
    name = f"{hashlib.sha256(address.encode()).hexdigest()[:16]}-{address.rpartition('/')[2]}"
    copy = cache_folder() / "fetched" / name
    if not copy.exists():
        try:
            answer = urllib.request.urlopen(address, timeout=_ANSWER)
            with answer, unfinished(copy) as part, part.open("wb") as file:
                shutil.copyfileobj(answer, file)
        except (OSError, ValueError) as error:
            raise Refused(
                f"{what}: {address} cannot be fetched ({error}); check the network, or use local files with data.path=..."
            ) from None
    return copy


@contextmanager
def _told_in_one_line(where: str) -> Iterator[None]:
    """Turn what libraries raise into one line that names ``where``, and keep them from writing anything else.

    Bad data are refused; where the disk or the network fails, the run does.
    """
    shown = not datasets.are_progress_bars_disabled()
    levels = {name: logging.getLogger(name).level for name in ("datasets", "huggingface_hub")}
    datasets.disable_progress_bars()
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    except AttnCompareError:
        raise
    except Exception as error:  # libraries for files, tables and networks, each with exceptions of its own
        cause = error.__cause__ or error
        failed = isinstance(cause, OSError) and cause.errno is not None and not isinstance(cause, FileNotFoundError)
        raise (RunFailed if failed else Refused)(f"{where}: cannot be read: {_first_line(cause)}") from None
    finally:
        if shown:
            datasets.enable_progress_bars()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _cached(
    state: Any, columns: Columns, blank: BlankLines, first: int | None, cells: Callable[[], Iterator[Sequence[str]]]
) -> datasets.Dataset:
    schema = pa.schema([(name, pa.string()) for name in columns])

    def made() -> Iterator[pa.Table]:
        for portion in portions(islice(cells(), first), size=lambda row: sum(map(len, row))):
            yield pa.table([pa.array(column, pa.string()) for column in zip(*portion, strict=True)], schema)

    return cached_rows([_FORM, state, dict(columns), blank != "refuse", first], schema, made)


def _checked(rows: Rows, place: str, columns: Columns, blank: BlankLines) -> Iterator[Sequence[str]]:
    """Yield the cells of rows that hold nothing but text, and whole numbers as labels.

    ``place`` is the file and what its numbers count.
    """
    empty = True
    for number, cells in rows:
        empty = False
        for cell, (column, (key, name)) in zip(cells, columns.items(), strict=True):
            if column == "label" and isinstance(cell, int):
                continue
            if not isinstance(cell, str):
                what = "no text" if cell is None else f"{type(cell).__name__}, not text,"
            elif "\0" in cell:
                what = "a NUL"
            elif blank == "refuse" and not cell.strip():
                what = f"blank ({_DROP}{'' if 'label' in columns else _KEEP})"
            else:
                continue
            raise Refused(f"{place} {number}: {what} in {column} ({key}={name})")
        yield [str(cell) for cell in cells]
    if empty:
        raise Refused(f"{place.rpartition(',')[0]} is empty")


def _require_columns(asked: Asked, names: Sequence[str], where: str) -> None:
    for key, name in asked:
        if name not in names:
            more = f" and {len(names) - _MOST_COLUMNS} more" if len(names) > _MOST_COLUMNS else ""
            valid = ", ".join(repr(one)[1:-1][:100] for one in names[:_MOST_COLUMNS])
            raise Refused(f"{key}={name}: {where} has no such column; valid: {valid}{more}")


def _typed(opened: Callable[[], Any], where: str, columns: Columns, blank: BlankLines) -> Iterator[Sequence[str]]:
    """Yield the wanted cells of a dataset of the library, which may be streamed; of its classes, the names."""

    def rows() -> Rows:
        table, asked = opened(), list(columns.values())
        names = table.column_names or []
        wanted = {name if name in names else name.split(".")[0] for _, name in asked}
        if wanted <= set(names):  # the others may be pictures
            table = table.select_columns(sorted(wanted))
        kinds = (table.features or {}).items()
        labels = {name: dict(enumerate(kind.names)) for name, kind in kinds if isinstance(kind, datasets.ClassLabel)}
        values = (
            {
                name: labels[name].get(cell, cell) if name in labels else cell
                for name, cell in zip(batch, row, strict=True)
            }
            for batch in table.iter(1000)
            for row in zip(*batch.values(), strict=True)
        )
        for number, row in enumerate(values, start=1):
            yield number, _picked(row, asked, where, number == 1)

    with _told_in_one_line(where):
        yield from _checked(rows(), f"{where}, row", columns, blank)


def _opened(source: Source) -> Any:
    """Return Parquet files, or a folder of ``save_to_disk``."""
    if source.kind == "arrow":
        return datasets.load_from_disk(str(source.paths[0].parent))
    return datasets.Dataset.from_parquet([glob.escape(str(path)) for path in source.paths], streaming=True)


def _picked(values: dict[str, Any], asked: Asked, where: str, required: bool) -> list[Any]:
    """Return the wanted cells of a row; None for what is missing, unless all are ``required``."""
    flat = values if all(name in values for _, name in asked) else dict(_flat(values))
    if required:
        _require_columns(asked, list(flat), where)
    return [flat.get(name) for _, name in asked]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _parallel(source: Path, target: Path, columns: Columns, blank: BlankLines) -> Iterator[Sequence[str]]:
    """Yield the pairs of two files of lines."""
    sides = [
        _checked(((number, (line,)) for number, line in _lines(path)), f"{path}, line", {name: columns[name]}, blank)
        for name, path in (("source", source), ("target", target))
    ]
    for count, (left, right) in enumerate(zip_longest(*sides)):
        if left is None or right is None:
            rest = sum(1 for _ in sides[left is None])
            longer, shorter = (source, target) if right is None else (target, source)
            raise Refused(
                f"{longer} has {count + 1 + rest} lines but {shorter} has {count}; line by line they must translate"
            )
        yield left[0], right[0]


def opened(path: Path) -> IO[bytes]:
    """Open a file of text for reading, packed by gzip or not, as its name says; raises OSError."""
    return cast(IO[bytes], gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def text_lines(stream: IO[bytes], where: str, longest: int = -1) -> Iterator[tuple[int, str]]:
    """Yield the lines of a stream as they come, with their numbers; they end in LF or CRLF alone, and are given without.

    Refused, with ``where`` and the line, what is no UTF-8, holds a NUL or a carriage return, or more than ``longest`` bytes
    (-1: of any length).
    """
    with _readable(where):
        for number, line in enumerate(iter(lambda: stream.readline(longest + 1 if longest > 0 else -1), b""), start=1):
            if len(line) > longest > 0:
                raise Refused(f"{where}, line {number}: longer than {longest} bytes")
            content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            yield number, _decoded(content, where, number)[0].removesuffix("\n")


@contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(f"{where}: not a whole gzip file: {error}") from None
    except OSError as error:
        raise Refused(f"{where}: cannot be read: {error.strerror}") from None


def _decoded(content: bytes, where: str, line: int, before: int = 0, final: bool = True) -> tuple[str, int]:
    """Return text whose lines end in LF, and how many bytes it stands for: all, or without a half character or line end.

    ``content`` begins in a line of this number, ``before`` so many bytes of it.
    """
    used = len(content) - (content.endswith(b"\r") and not final)
    try:
        text, used = codecs.utf_8_decode(content[:used], "strict", final)
    except UnicodeDecodeError as error:
        begin = content.rfind(b"\n", 0, error.start) + 1
        byte, place = content[error.start], error.start - begin + (0 if begin else before) + 1
        number = line + content.count(b"\n", 0, error.start)
        raise Refused(f"{where}, line {number}: not UTF-8 (byte {place} of the line is 0x{byte:02x})") from None
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        if (at := text.find("\r")) >= 0:
            raise Refused(
                f"{where}, line {line + text.count(chr(10), 0, at)}: a carriage return inside; lines must end in LF or "
                "CRLF (where they end in CR alone: tr '\\r' '\\n' < FILE > NEW)"
            )
    if (at := text.find("\0")) >= 0:
        raise Refused(f"{where}, line {line + text.count(chr(10), 0, at)}: a NUL; this is no text")
    return text, used


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with their numbers (:func:`text_lines`)."""
    with _readable(str(path)), opened(path) as stream:
        yield from text_lines(stream, str(path))


def _documents(paths: Sequence[Path], columns: Columns, states: Sequence[Any]) -> datasets.Dataset:
    """Return each file as one row; of a text of any size, a part is in memory at a time."""
    ((column, asked),) = columns.items()

    def parts() -> Iterator[Arrays]:
        end = 0
        for path in paths:
            _require_columns([asked], ["text"], f"{path} is plain text, which")
            blank = True
            for text in _text(path):
                content = np.frombuffer(text.encode(), np.uint8)
                blank, end = blank and not text.strip(), end + len(content)
                yield {"text": content, "ends": np.zeros(0, np.int64)}
            if blank:
                raise Refused(f"{path} is empty")
            yield {"text": np.zeros(0, np.uint8), "ends": np.array([end])}

    return cached_texts([_FORM, "document", states, dict(columns)], column, parts)


def _text(path: Path) -> Iterator[str]:
    """Yield what a file holds, a part at a time; its lines end in LF. Refused as by :func:`text_lines`."""
    line, before, rest = 1, 0, b""
    with _readable(str(path)), opened(path) as stream:
        if (content := stream.read(len(codecs.BOM_UTF8))) != codecs.BOM_UTF8:
            rest = content
        while content or rest:
            content = stream.read(_AT_ONCE)
            rest += content
            text, used = _decoded(rest, str(path), line, before, final=not content)
            yield text
            line, last = line + text.count("\n"), rest.rfind(b"\n", 0, used)
            before = used - last - 1 if last >= 0 else before + used
            rest = rest[used:]


def _records(path: Path, form: Format) -> Rows:
    """Yield the cells of each row of a table; in csv quotation marks quote, line ends too, elsewhere they are text."""
    assert form.separator is not None
    if form.kind != "csv":
        yield from ((number, line.split(form.separator)) for number, line in _lines(path))
        return
    csv.field_size_limit(2**31 - 1)  # a cell may be a document
    reader, begin = csv.reader((f"{line}\n" for _, line in _lines(path)), delimiter=form.separator, strict=True), 1
    try:
        for row in reader:
            yield reader.line_num, row
            begin = reader.line_num + 1
    except csv.Error as error:  # of a quotation without an end, the row's first line says more than the file's last
        raise Refused(f"{path}, line {begin}: no CSV: {error}") from None


def _table(path: Path, asked: Asked, form: Format) -> Rows:
    """Yield the wanted cells of a table."""
    rows = _records(path, form)
    number, names = next(rows, (0, []))
    if not any(names):
        what = "is empty" if number == 0 else "begins with a blank line"
        raise Refused(f"{path} {what}" + ("; its first line must name the columns" if form.header else ""))
    if form.header:
        names = [name.strip() for name in names]
        of_rows = any(map(_SENTENCE.search, names)) and len(names) >= len(asked)
        if of_rows and not any(name in names for _, name in asked):
            raise Refused(
                f"{' '.join(f'{key}={name}' for key, name in asked)}: {path} has no such columns, and its first line reads "
                f"like text and not like names: {shortly(' | '.join(names))}. If it has no header: {_numbered(asked)} "
                "data.header=no"
            )
        _require_columns(asked, names, str(path))
        if twice := [name for _, name in asked if names.count(name) > 1]:
            raise Refused(f"{path}: two columns have the name {twice[0]}; the first line must tell them apart")
        places = [names.index(name) for _, name in asked]
    else:
        places = [int(name) for _, name in asked]
        for (key, name), place in zip(asked, places, strict=True):
            if place >= len(names):
                raise Refused(f"{key}={name}: {path} has {counted(len(names), 'column')}, from 0 to {len(names) - 1}")
        rows = chain([(number, names)], rows)
    for number, row in rows:
        if not any(row) and len(row) < min(2, len(names)):
            if not form.blank_rows:
                raise Refused(f"{path}, line {number}: blank; data.blank_lines=drop leaves such lines out")
            yield number, [""] * len(places)
            continue
        if len(row) != len(names):
            raise Refused(f"{path}, line {number}: {counted(len(row), 'column')}, but the first line has {len(names)}")
        yield number, [row[place] for place in places]


def _json_lines(path: Path, asked: Asked, _: Format) -> Rows:
    """Yield the wanted values of objects, one a line; blank lines are none."""
    begun = False
    for number, line in _lines(path):
        if not line.strip():
            continue
        values = _json(line, f"{path}, line {number}", "write one JSON object a line, or a list of them")
        if not isinstance(values, dict):
            raise Refused(f"{path}, line {number}: no JSON object; write one a line, with the columns' names as keys")
        if not begun and not {name for _, name in asked} <= dict(_flat(values)).keys():
            _require_field(values, path)
        yield number, _picked(values, asked, str(path), not begun)
        begun = True


def _json_list(path: Path, asked: Asked, form: Format) -> Rows:
    """Yield the wanted values of the objects in one list, which is the file's value or stands there under a key."""
    values, where = _json("".join(_text(path)), str(path), "the file must hold one JSON value"), str(path)
    if form.field is not None:
        where = f"data.field={form.field}: {path}"
        if isinstance(values, list):
            raise Refused(f"{where} holds a list and no object with lists; leave data.field out")
        if not isinstance(values, dict) or form.field not in values:
            raise Refused(
                f"{where} has no such key; valid: {', '.join(values)[:200] if isinstance(values, dict) else 'none'}"
            )
        values = values[form.field]
    elif isinstance(values, dict):
        _require_field(values, path)
    if not isinstance(values, list):
        raise Refused(f"{where} holds no list of rows there")
    for number, row in enumerate(values, start=1):
        if not isinstance(row, dict):
            raise Refused(f"{path}, row {number}: no JSON object with the columns' names as keys")
        yield number, _picked(row, asked, str(path), number == 1)


def _require_field(values: dict[str, Any], path: Path) -> None:
    """Refuse an object that holds lists of rows: which of them is for the config to say."""
    of_rows = (
        key for key, value in values.items() if isinstance(value, list) and isinstance(next(iter(value), 0), dict)
    )
    if lists := list(of_rows):
        raise Refused(
            f"{path}: one object with lists; say which of them holds the rows: data.field={' or '.join(lists)}"
        )


def _json(text: str, where: str, instead: str) -> Any:
    try:
        values = json.loads(text)
        if "\\u" in text:
            json.dumps(values, ensure_ascii=False).encode()  # fails where an escape is half a character
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if error.lineno > 1 else ""
        raise Refused(f"{where}{line}: no JSON ({error.msg}); {instead}") from None
    except (ValueError, RecursionError):
        raise Refused(f"{where}: no JSON; {instead}") from None
    return values


_SEPARATORS: dict[str, Sequence[str]] = {"csv": ",;|\t", "txt": "\t,;|", "tsv": "\t"}
"""By kind of table: what may stand between cells, the usual one first."""
_READERS: dict[str, tuple[Callable[[Path, Asked, Format], Rows], str]] = {
    "txt": (_table, "line"),
    "tsv": (_table, "line"),
    "csv": (_table, "line"),
    "jsonl": (_json_lines, "line"),
    "json": (_json_list, "row"),
}
"""By kind of file: what reads it, and what its numbers count."""
