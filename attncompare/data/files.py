"""Data of a user's own: which local files hold which split, told by their names; and the dataset that reads them."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, StringConstraints, model_validator

from attncompare.config.values import LabelOrNull, SplitFractionOrNull, Strict, must_be
from attncompare.data.dataset import SPLITS, Dataset, DatasetConfig, PathOrNull
from attncompare.errors import Refused
from attncompare.text import counted

if TYPE_CHECKING:
    from datasets import Dataset as Rows

    from attncompare.data.corpus import Corpus
    from attncompare.data.reading import Columns

Kind = Literal["lines", "document", "txt", "tsv", "csv", "jsonl", "parquet", "arrow"]
_TABLES: dict[str, Kind] = {"tsv": "tsv", "csv": "csv", "jsonl": "jsonl", "json": "jsonl", "parquet": "parquet"}
OF_PAIRS: dict[str, Kind] = {**_TABLES, "txt": "txt"}
OF_TEXT: dict[str, Kind] = {"txt": "document", "md": "document", **_TABLES}
SEPARATORS = {"comma": ",", "semicolon": ";", "pipe": "|", "tab": "\t"}
_SIGNS = [*SEPARATORS.items(), ("tab", r"\t")]
_OTHER_NAMES = {"val": ("validation", "valid", "dev"), "test": ("eval",)}
_PART_NUMBER = r"-(?P<part>\d+)-of-(?P<parts>\d+)(-[0-9a-f]+)?"  # as the hub numbers the files of a split
_PART = re.compile(rf"\w+{_PART_NUMBER}\.parquet")
_MOST_NAMES = 12  # in a message
_MOST_LOOKED_AT = 100_000  # files and folders by a pattern


# Below, no Unicode class is repeated a counted number of times: compiling such a pattern would cost each start 50 ms.
# Where text files hold the data it becomes a part of their names, so it holds no separators.
Column = Annotated[
    str,
    StringConstraints(max_length=100, pattern=r"^[^\s./\\\x00-\x1f][^/\\\x00-\x1f]*$"),
    must_be("1 to 100 characters without / or \\, of which the first is no dot or space"),
    BeforeValidator(lambda value: str(value) if type(value) is int else value),  # a column's number
]
ColumnOrNull = Annotated[Column | None, must_be("null, or the key of a list")]
Separator = Annotated[
    Literal["comma", "semicolon", "pipe", "tab"] | None,
    must_be(f"null, {', '.join(SEPARATORS)}, or the character itself"),
    BeforeValidator(lambda value: next((name for name, sign in _SIGNS if sign == value), value)),
]
BlankLines = Literal["refuse", "drop", "keep"]
"""What happens to a row of which a text is blank."""
HubName = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95})?$")]
    | None,
    must_be("null, or the name of a dataset of the Hugging Face hub, such as owner/name"),
]


def _as_word(value: Any) -> Any:
    """Return yes and no, which yaml takes for true and false, as words."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


class Source(NamedTuple):
    """Files of one kind that hold the rows of one split, in the order of their rows."""

    kind: Kind
    """``lines``: each line is a row; ``document``: each file is a row; ``arrow``: the files of one folder that
    ``save_to_disk`` of ``datasets`` wrote; else tables with columns."""
    paths: tuple[Path, ...]
    split: str | None = None
    """What the data call the split; None where it has no name there."""


class Layout(NamedTuple):
    """How tables are written, as far as the config says."""

    separator: str | None = None
    """One of the values of :data:`SEPARATORS`; None: told by the first line."""
    header: bool | None = None
    """Whether the first line names the columns; None: exactly where columns are asked for by names."""
    field: str | None = None
    """The key of the list of rows in a JSON file that holds one object; None: it holds the rows."""


Sources = dict[str, tuple[Source, ...]]
"""By split: one source, or two texts of lines, source and target. Splits without files of their own are missing."""


class SplitNames(Strict):
    """``data.splits``: what the data call the three splits; null for one that has none of its own."""

    train: LabelOrNull
    val: LabelOrNull
    test: LabelOrNull

    @model_validator(mode="after")
    def _different(self) -> "SplitNames":
        names = [name for name in (self.train, self.val, self.test) if name is not None]
        if len(set(names)) < len(names):
            raise ValueError(f"{','.join(names)}: each split needs data of its own")
        return self


class OwnSplitsConfig(DatasetConfig):
    """What data of a user's own have: the names of their splits, or shares of train, and how tables are written."""

    splits: SplitNames
    val_fraction: SplitFractionOrNull
    test_fraction: SplitFractionOrNull
    header: Annotated[Literal["auto", "yes", "no"], BeforeValidator(_as_word)] = "auto"
    separator: Separator = None

    @model_validator(mode="after")
    def _one_source_of_each_split(self) -> "OwnSplitsConfig":
        for split in ("val", "test"):
            name, fraction = getattr(self.splits, split), getattr(self, f"{split}_fraction")
            if (name is None) == (fraction is None):
                raise ValueError(
                    f"data.splits.{split}={name or 'null'} and data.{split}_fraction={fraction or 'null'}: give one of "
                    f"them, null for the other: the name of what stands for {split}, or the share of train that is taken "
                    "for it"
                )
        return self

    def layout(self, field: str | None = None) -> Layout:
        """Return how tables are written; ``field``: the key of the list of rows in a JSON file."""
        separator = SEPARATORS[self.separator] if self.separator else None
        return Layout(separator, {"auto": None, "yes": True, "no": False}[self.header], field)


class OwnDataConfig(OwnSplitsConfig):
    """What ``data=pairs`` and ``data=text`` have."""

    path: PathOrNull
    hub: HubName
    subset: LabelOrNull
    field: ColumnOrNull = None

    @model_validator(mode="after")
    def _one_place(self) -> "OwnDataConfig":
        if self.path is None and self.hub is None:
            raise ValueError(
                "data.path=null and data.hub=null: say where your data are: data.path=FOLDER, or data.hub=OWNER/NAME"
            )
        if self.path is not None and self.hub is not None:
            raise ValueError(f"data.path={self.path} and data.hub={self.hub}: give one of them, null for the other")
        if self.subset is not None and self.hub is None:
            raise ValueError(f"data.subset={self.subset}: only a dataset of the hub has subsets; set it to null")
        return self


class FileData(Dataset):
    """Rows that are read from files."""

    blank_lines: BlankLines = "keep"
    first: int | None = None  # at most so many rows of each split are read; None: all
    layout = Layout()

    def sources(self) -> Sources:
        """Return the local files of each split that has files of its own; empty: the data are elsewhere."""
        raise NotImplementedError

    def columns(self) -> "Columns":
        """Return the columns that are read (:data:`attncompare.data.reading.Columns`)."""
        raise NotImplementedError

    def rows(self, sources: Sources) -> dict[str, "Rows"]:
        """Return the rows of each split, read into the cache where they are not there."""
        from attncompare.data.reading import read

        columns, layout = self.columns(), self.layout
        return {split: read(found, columns, self.blank_lines, self.first, layout) for split, found in sources.items()}

    def read(self, elsewhere: Mapping[str, tuple[str, ...]], kind: Kind) -> tuple[dict[str, "Rows"], dict[str, Any]]:
        """Return the rows of each split and their origin for the record: local files, or else addresses, fetched once."""
        from attncompare.data.reading import fetched, format_of

        if sources := self.sources():
            rows, columns = self.rows(sources), self.columns()
            names = {split: [path.name for one in found for path in one.paths] for split, found in sources.items()}
            splits = {split: found[0].split for split, found in sources.items() if found[0].split}
            forms = {split: format_of(found[0], columns, self.layout).told() for split, found in sources.items()}
            origin = {
                "files": names,
                "splits": splits,
                "tables": {split: told for split, told in forms.items() if told},
            }
            return rows, {key: facts for key, facts in origin.items() if facts}
        for split, addresses in elsewhere.items():
            sources[split] = tuple(Source(kind, (fetched(one, f"data={self.config.name}"),)) for one in addresses)
        return self.rows(sources), {"addresses": [one for addresses in elsewhere.values() for one in addresses]}

    def files(self) -> list[Path]:
        """Return the local files, after they were read into the cache; see :meth:`Dataset.files`."""
        sources = self.sources()
        self.rows(sources)
        return [path for split in sources.values() for source in split for path in source.paths]


class OwnData(FileData):
    """Rows of a user's own, from local files or from the hub."""

    Config = OwnDataConfig
    config: OwnDataConfig

    def __init__(self, config: OwnDataConfig, data_seed: int) -> None:
        super().__init__(config, data_seed)
        self.layout = config.layout(config.field)

    def sources(self) -> Sources:
        """Return the files of each split (:func:`split_files`)."""
        sides = tuple(name for _, name in self.columns().values()) if self.kind == "parallel" else ()
        return split_files(Path(self.config.path), self.config.splits.model_dump(), sides) if self.config.path else {}

    def load(self) -> "Corpus":
        """Read all rows, and take from train what has no data of its own; see :meth:`Dataset.load`."""
        from attncompare.data.corpus import Corpus, with_fractions, without_blank

        if self.config.hub is None:
            rows, origin = self.read({}, "lines")
        else:
            from attncompare.data.reading import HubData, require_layout_of

            require_layout_of("hub", self.layout, f"data.hub={self.config.hub}")
            hub, names = HubData(self.config.hub, self.config.subset), self.config.splits.model_dump()
            given = found_names({**names, "train": names["train"] or "train"}, hub.has)
            rows = {
                split: hub.read(name, self.columns(), self.blank_lines, self.first) for split, name in given.items()
            }
            origin = {**hub.origin, "splits": given}
        fractions = {"val": self.config.val_fraction, "test": self.config.test_fraction}
        rows, dropped = without_blank(rows) if self.blank_lines == "drop" else (rows, {})
        splits = with_fractions(rows, fractions, self.data_seed)
        return Corpus(splits, stream=self.kind == "text", origin=origin, dropped=dropped)


def split_files(path: Path, names: Mapping[str, str | None], sides: Sequence[str] = ()) -> Sources:
    """Return the files of each split that has files of its own.

    ``path`` is a folder, a file, or for text a pattern; ``sides``, of pairs, are the endings of two text files. Text without
    any name of a split is all in train. Refused if there are none, or if it is not clear which.
    """
    endings = OF_PAIRS if sides else OF_TEXT
    if sides and path.is_file() and _kind(path, endings) is None:
        raise Refused(f"data.path={path}: one file of pairs must be a table; valid endings: {', '.join(endings)}")
    if sides and not path.exists():
        raise Refused(f"data.path={path} is no folder and no file")
    alone = _saved(path) is not None or not path.is_dir()
    named = [
        split for split in (SPLITS[1:] if sides else SPLITS) if names[split]
    ]  # of pairs, train has a name by default
    if alone and named:
        instead = (f"data.splits.{split}=null" + f" data.{split}_fraction=0.05" * (split != "train") for split in named)
        raise Refused(
            f"data.splits.{named[0]}={names[named[0]]}: names of splits need a folder of files, and data.path={path} is one "
            f"table or text; use {' '.join(instead)}"
        )
    if alone:
        return {"train": (_all(path, endings),)}
    train = names["train"] or "train"
    of_hub = not _held(path, train, sides) and any(_PART.fullmatch(one.name) for one in (path / "data").glob("*"))
    path = path / "data" if of_hub else path
    if of_hub or (path / "dataset_dict.json").is_file():  # splits have names there, those of text too
        names = {**names, "train": train}
    if not (sides or any(names.values())):
        return {"train": (_all(path, endings),)}
    if names["train"] is None:
        raise Refused(f"data.splits.train=null: data.path={path} is a folder; name its files of the train split")
    given = found_names(names, lambda name: bool(_held(path, name, sides)))
    return {split: _named(path, split, name, sides) for split, name in given.items()}


def found_names(names: Mapping[str, str | None], there: Callable[[str], bool]) -> dict[str, str]:
    """Return what the data call each split that has a name: that name, or another usual one that is ``there`` instead.

    Refused if several others are.
    """
    given = {split: name for split, name in names.items() if name is not None}
    for split, others in _OTHER_NAMES.items():
        if given.get(split) == split and not there(split):
            found = [name for name in others if name not in given.values() and there(name)]
            if len(found) > 1:
                raise Refused(
                    f"data.splits.{split}={split}: is it {' or '.join(found)}? Say data.splits.{split}={found[0]}"
                )
            given[split] = found[0] if found else split
    return given


def two_texts(folder: Path, source: str, target: str) -> tuple[Source, Source]:
    """Return two files of lines in a folder; packed ones where only they are there."""

    def text(name: str) -> Source:
        packed = folder / f"{name}.gz"
        return Source("lines", (packed if packed.exists() and not (folder / name).exists() else folder / name,))

    return text(source), text(target)


def listed(folder: Path) -> str:
    """Return the names in a folder for a message, cut where they are many."""
    names = sorted(path.name for path in folder.glob("*"))
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"it holds {', '.join(names[:_MOST_NAMES])}{more}" if names else "it is empty"


def _kind(path: Path, endings: Mapping[str, Kind]) -> Kind | None:
    """Return what the ending of a file's name says that it is, packed by gzip or not; None: nothing that is read."""
    name = path.name.lower()
    return None if name.endswith(".parquet.gz") else endings.get(name.removesuffix(".gz").rpartition(".")[2])


def _held(folder: Path, name: str, sides: Sequence[str]) -> list[Path]:
    """Return what in a folder can hold the split ``name``: a folder, texts of lines, or tables, also in parts."""
    if (folder / name).is_dir() and (not sides or _saved(folder / name)):
        return [folder / name]
    texts = [text.paths[0] for text in two_texts(folder, *(f"{name}.{side}" for side in sides))] if sides else []
    there = [text for text in texts if text.exists()]
    endings = {ending: kind for ending, kind in (OF_PAIRS if sides else OF_TEXT).items() if not there or kind != "txt"}
    mine = re.compile(rf"{re.escape(name)}({_PART_NUMBER})?\.\w+(\.gz)?")
    tables = (path for path in folder.iterdir() if mine.fullmatch(path.name) and _kind(path, endings))
    return there + sorted(path for path in tables if path not in there)


def _named(folder: Path, split: str, name: str, sides: Sequence[str]) -> tuple[Source, ...]:
    """Return the files that hold the split ``name``: one, or its parts as the hub names them (train-00000-of-00002)."""
    here, endings, found = f"data.splits.{split}={name}", OF_PAIRS if sides else OF_TEXT, _held(folder, name, sides)
    texts = two_texts(folder, *(f"{name}.{side}" for side in sides)) if sides else ()
    there = [text.paths[0] for text in texts if text.paths[0] in found]
    if not found:
        raise Refused(f"{here}: {_needed(folder, split, name, [text.paths[0].name for text in texts], endings)}")
    if there and len(found) > len(there):
        raise Refused(f"{here}: is it {there[0]} or {found[len(there)]}? Keep one of them in the folder")
    _require_all_parts(found, name, here)
    if there:
        return tuple(text._replace(split=name) for text in texts)
    if found[0].is_dir():
        return (_all(found[0], endings)._replace(split=name),)
    return (_one_kind(found, f"{here}: {folder}", endings)._replace(split=name),)


def _needed(folder: Path, split: str, name: str, texts: Sequence[str], endings: Mapping[str, Kind]) -> str:
    """Return what is said where a folder has nothing for a split."""
    inside, tables = f"a folder {name}", f"{name}.{{{','.join(endings)}}}"
    files = [" and ".join(texts), tables] if texts else [tables, inside]
    if (folder / "dataset_dict.json").is_file():
        files = [inside]
    others = f", or the same of {' or '.join(_OTHER_NAMES[split])}" if name == split and split in _OTHER_NAMES else ""
    instead = f"; data.splits.{split}=null data.{split}_fraction=0.05 takes it from train" if split != "train" else ""
    return f"no file for it in data.path={folder}: {listed(folder)}; needed: {', or '.join(files)}{others}{instead}"


def _require_all_parts(found: Sequence[Path], name: str, here: str) -> None:
    """Refuse a split of which a part is missing, or that is there whole and in parts."""
    numbered = [re.match(rf"{re.escape(name)}{_PART_NUMBER}", path.name) for path in found]
    parts = [(int(one["part"]), int(one["parts"])) for one in numbered if one]
    if not parts:
        return
    if len(parts) < len(found) or len({count for _, count in parts}) > 1:
        raise Refused(f"{here}: is it {found[0]} or {found[-1]}? Keep one of them, or its parts, in the folder")
    if missing := sorted(set(range(parts[0][1])) - {number for number, _ in parts}):
        raise Refused(f"{here}: of {counted(parts[0][1], 'part')} number {missing[0]} is not in {found[0].parent}")


def _all(path: Path, endings: Mapping[str, Kind]) -> Source:
    """Return all that a folder, a file or a pattern stands for."""
    if saved := _saved(path):
        return saved
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.is_file() and _kind(one, endings))
    elif path.is_file():
        found = [path]
    else:
        found = _matching(path)
    unread = [one for one in found if _kind(one, endings) is None]
    if unread or not found:
        what = f"cannot tell what {unread[0]} holds" if unread else "no file there"
        raise Refused(f"data.path={path}: {what}; valid endings: {', '.join(endings)}, also packed (.gz)")
    return _one_kind(found, f"data.path={path}", endings)


def _matching(pattern: Path) -> list[Path]:
    """Return the files that a pattern stands for, in which ``**`` is folders at any depth, but not through links.

    Refused if more names would have to be looked at than any corpus has: ``glob`` would search a whole disk.
    """
    fixed = len(list(takewhile(lambda part: not any(sign in part for sign in "*?["), pattern.parts)))
    looked_at = 0

    def found(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
        nonlocal looked_at
        first, others = parts[0], parts[1:]
        if first == "**" and others:
            yield from found(folder, others)
        try:
            names = os.scandir(folder)
        except OSError:
            return
        with names:
            for entry in names:
                looked_at += 1
                if looked_at > _MOST_LOOKED_AT:
                    raise Refused(
                        f"data.path={pattern}: more than {_MOST_LOOKED_AT} files and folders would have to be looked at; "
                        "begin it with the folder of your data"
                    )
                if entry.name.startswith(".") and not first.startswith("."):
                    continue
                if first == "**":
                    if entry.is_dir(follow_symlinks=False):
                        yield from found(Path(entry), parts)
                    elif not others and entry.is_file():
                        yield Path(entry)
                elif fnmatch(entry.name, first):
                    if others and entry.is_dir():
                        yield from found(Path(entry), others)
                    elif not others and entry.is_file():
                        yield Path(entry)

    rest = pattern.parts[fixed:]
    return sorted(set(found(Path(*pattern.parts[:fixed]), rest))) if rest else []


def _saved(folder: Path) -> Source | None:
    """Return the rows in a folder that ``save_to_disk`` wrote, if it is one."""
    if not (folder / "state.json").is_file():
        return None
    if not (parts := tuple(sorted(folder.glob("*.arrow")))):
        raise Refused(f"{folder} is empty: no file of rows (.arrow) is in it")
    return Source("arrow", parts)


def _one_kind(paths: list[Path], where: str, endings: Mapping[str, Kind]) -> Source:
    kinds = {_kind(path, endings): path.name for path in paths}
    if len(kinds) > 1:
        raise Refused(f"{where} holds files of different kinds: {', '.join(sorted(kinds.values()))}; keep one kind")
    (kind,) = kinds
    assert kind is not None
    return Source(kind, tuple(paths))
