"""Data of a user's own: which local files hold which split, told by their names; and the dataset that reads them."""

import glob
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import StringConstraints, model_validator

from attncompare.config.values import LabelOrNull, SplitFractionOrNull, Strict, must_be
from attncompare.data.dataset import SPLITS, Dataset, DatasetConfig, PathOrNull
from attncompare.errors import Refused

if TYPE_CHECKING:
    from datasets import Dataset as Rows

    from attncompare.data.corpus import Corpus
    from attncompare.data.reading import Columns

Kind = Literal["lines", "document", "tsv", "csv", "jsonl", "parquet", "arrow"]
TABLES: dict[str, Kind] = {"tsv": "tsv", "csv": "csv", "jsonl": "jsonl", "json": "jsonl", "parquet": "parquet"}
TEXTS: dict[str, Kind] = {"txt": "document", "md": "document"}
_MOST_NAMES = 12  # in a message


# Below, no Unicode class is repeated a counted number of times: compiling such a pattern would cost each start 50 ms.
# Where text files hold the data it becomes a part of their names, so it holds no separators.
Column = Annotated[
    str,
    StringConstraints(max_length=100, pattern=r"^[^\s./\\\x00-\x1f][^/\\\x00-\x1f]*$"),
    must_be("1 to 100 characters without / or \\, of which the first is no dot or space"),
]
HubName = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95})?$")]
    | None,
    must_be("null, or the name of a dataset of the Hugging Face hub, such as owner/name"),
]


class Source(NamedTuple):
    """Files of one kind that hold the rows of one split, one after another.

    Attributes:
        kind: ``lines``: each line is a row; ``document``: each file is a row; ``arrow``: the files of one folder that
            ``save_to_disk`` of ``datasets`` wrote; else tables with named columns.
        paths: in the order of their rows.
    """

    kind: Kind
    paths: tuple[Path, ...]


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


class OwnDataConfig(DatasetConfig):
    """What ``data=pairs`` and ``data=text`` have."""

    path: PathOrNull
    hub: HubName
    subset: LabelOrNull
    splits: SplitNames
    val_fraction: SplitFractionOrNull
    test_fraction: SplitFractionOrNull

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

    @model_validator(mode="after")
    def _by_name_or_by_fraction(self) -> "OwnDataConfig":
        for split in ("val", "test"):
            name, fraction = getattr(self.splits, split), getattr(self, f"{split}_fraction")
            if (name is None) == (fraction is None):
                raise ValueError(
                    f"data.splits.{split}={'null' if name is None else name} and data.{split}_fraction="
                    f"{'null' if fraction is None else fraction}: give one of them, null for the other: the name of "
                    f"what stands for {split}, or the share of train that is taken for it"
                )
        return self


class FileData(Dataset):
    """Rows that are read from files.

    Attributes:
        blank: whether a text may be blank.
        first: at most so many rows of each split are read; None: all.
    """

    blank: bool = True
    first: int | None = None

    def sources(self) -> dict[str, tuple[Source, ...]]:
        """Return the local files of each split that has files of its own; empty: the data are elsewhere."""
        raise NotImplementedError

    def columns(self) -> "Columns":
        """Return the columns that are read (:data:`attncompare.data.reading.Columns`)."""
        raise NotImplementedError

    def rows(self, sources: Mapping[str, tuple[Source, ...]]) -> dict[str, "Rows"]:
        """Return the rows of each split, read into the cache where they are not there."""
        from attncompare.data.reading import read

        return {split: read(found, self.columns(), self.blank, self.first) for split, found in sources.items()}

    def files(self) -> list[Path]:
        """Return the local files, after they were read into the cache; see :meth:`Dataset.files`."""
        sources = self.sources()
        self.rows(sources)
        return [path for split in sources.values() for source in split for path in source.paths]


class OwnData(FileData):
    """Rows of a user's own, from local files or from the hub."""

    Config = OwnDataConfig
    config: OwnDataConfig

    def names(self) -> dict[str, str | None]:
        """Return what the data call each split."""
        return {split: getattr(self.config.splits, split) for split in SPLITS}

    def load(self) -> "Corpus":
        """Read all rows, and take from train what has no data of its own; see :meth:`Dataset.load`."""
        from attncompare.data.corpus import Corpus, with_fractions

        if self.config.hub is None:
            sources = self.sources()
            rows, origin = self.rows(sources), origin_of(sources)
        else:
            rows, origin = self._from_hub(self.config.hub)
        fractions = {"val": self.config.val_fraction, "test": self.config.test_fraction}
        return Corpus(with_fractions(rows, fractions, self.data_seed), stream=self.kind == "text", origin=origin)

    def _from_hub(self, hub: str) -> tuple[dict[str, "Rows"], dict[str, Any]]:
        from attncompare.data.hub import hub_builder, hub_rows

        builder, origin = hub_builder(hub, self.config.subset)
        names = {**self.names(), "train": self.config.splits.train or "train"}
        rows = {
            split: hub_rows(builder, origin, name, self.columns(), self.blank, self.first)
            for split, name in names.items()
            if name is not None
        }
        return rows, origin


def origin_of(sources: Mapping[str, tuple[Source, ...]]) -> dict[str, Any]:
    """Return the names of local files by split, for the record."""
    return {"files": {split: [path.name for one in found for path in one.paths] for split, found in sources.items()}}


def pair_files(path: Path, names: Mapping[str, str | None], source: str, target: str) -> dict[str, tuple[Source, ...]]:
    """Return the files of each split that has files of its own: one table, or two texts of lines, source and target.

    Args:
        path: a folder or a table.
        names: of the splits.
        source, target: the endings of text files.

    Raises:
        Refused: if there are none, or if it is not clear which.
    """
    if path.is_file():
        if kind_of(path) not in TABLES.values():
            raise Refused(f"data.path={path}: one file of pairs must be a table; valid endings: {', '.join(TABLES)}")
        return {"train": (_alone(path, names),)}
    if not path.is_dir():
        raise Refused(f"data.path={path} is no folder and no file")
    if saved := _saved(path):
        return {"train": (_alone(path, names, saved),)}
    if names["train"] is None:
        raise Refused(f"data.splits.train=null: data.path={path} is a folder; name its files of the train split")
    return {split: _pair(path, split, name, source, target) for split, name in names.items() if name is not None}


def text_files(path: Path, names: Mapping[str, str | None]) -> dict[str, tuple[Source, ...]]:
    """Return the files of each split that has files of its own; arguments and errors as of :func:`pair_files`."""
    given = {split: name for split, name in names.items() if name is not None}
    if not given:
        return {"train": (_all(path),)}
    if not path.is_dir():
        split, name = next(iter(given.items()))
        raise Refused(f"data.splits.{split}={name}: names of splits need a folder, and data.path={path} is none")
    if "train" not in given:
        raise Refused("data.splits.train=null takes all files, those of val and test among them; name those of train")
    return {split: (_named(path, split, name),) for split, name in given.items()}


def two_texts(folder: Path, source: str, target: str) -> tuple[Source, Source]:
    """Return two files of lines in a folder; packed ones where only they are there."""

    def text(name: str) -> Source:
        packed = folder / f"{name}.gz"
        return Source("lines", (packed if packed.exists() and not (folder / name).exists() else folder / name,))

    return text(source), text(target)


def kind_of(path: Path) -> Kind | None:
    """Return what the ending of a file's name says that it is, packed by gzip or not; None: nothing that is read."""
    name = path.name.lower()
    ending = name.removesuffix(".gz").rpartition(".")[2]
    return None if name.endswith(".parquet.gz") else {**TABLES, **TEXTS}.get(ending)


def listed(folder: Path) -> str:
    """Return the names in a folder for a message, cut where they are many."""
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"it holds {', '.join(names[:_MOST_NAMES])}{more}" if names else "it is empty"


def _alone(path: Path, names: Mapping[str, str | None], saved: Source | None = None) -> Source:
    for split in SPLITS[1:]:
        if names[split]:
            raise Refused(
                f"data.splits.{split}={names[split]}: data.path={path} is one table; take {split} from it with "
                f"data.splits.{split}=null data.{split}_fraction=0.05"
            )
    return saved or _one_kind([path], str(path))


def _pair(folder: Path, split: str, name: str, source: str, target: str) -> tuple[Source, ...]:
    if saved := _saved(folder / name):
        return (saved,)
    texts = two_texts(folder, f"{name}.{source}", f"{name}.{target}")
    there = [text.paths[0] for text in texts if text.paths[0].exists()]
    found = [path for path in _files_of(folder, name) if kind_of(path) in TABLES.values() and path not in there]
    if there and found:
        raise Refused(f"data.splits.{split}={name}: is it {there[0]} or {found[0]}? Keep one of them in the folder")
    if found:
        return (_one_kind(found, f"data.splits.{split}={name}: {folder}"),)
    if there:
        return texts
    raise Refused(
        f"data.splits.{split}={name}: no file for it in data.path={folder}: {listed(folder)}; needed: "
        f"{name}.{source} and {name}.{target}, or {name}.{{{','.join(TABLES)}}}"
    )


def _all(path: Path) -> Source:
    if saved := _saved(path):
        return saved
    if path.is_file():
        found = [path]
    elif path.is_dir():
        found = sorted(one for one in path.iterdir() if one.is_file() and kind_of(one))
    else:
        found = sorted(one for name in glob.glob(str(path), recursive=True) if (one := Path(name)).is_file())  # noqa: PTH207
    unread = [one for one in found if kind_of(one) is None]
    if unread or not found:
        what = f"cannot tell what {unread[0]} holds" if unread else "no file there"
        raise Refused(f"data.path={path}: {what}; valid endings: {', '.join((*TEXTS, *TABLES))}, also packed (.gz)")
    return _one_kind(found, f"data.path={path}")


def _named(folder: Path, split: str, name: str) -> Source:
    if (folder / name).is_dir():
        return _all(folder / name)
    found = _files_of(folder, name)
    if not found:
        raise Refused(
            f"data.splits.{split}={name}: no file for it in data.path={folder}: {listed(folder)}; needed: "
            f"{name}.{{{','.join((*TEXTS, *TABLES))}}}, or a folder {name}"
        )
    return _one_kind(found, f"data.splits.{split}={name}: {folder}")


def _files_of(folder: Path, name: str) -> list[Path]:
    """Return the files that hold the split ``name``: one, or its parts as the hub names them (train-00000-of-00002)."""
    mine = re.compile(rf"{re.escape(name)}(-\d+-of-\d+)?\.\w+(\.gz)?")
    return sorted(path for path in folder.iterdir() if mine.fullmatch(path.name) and kind_of(path))


def _saved(folder: Path) -> Source | None:
    """Return the rows in a folder that ``save_to_disk`` wrote, if it is one."""
    return Source("arrow", tuple(sorted(folder.glob("*.arrow")))) if (folder / "state.json").is_file() else None


def _one_kind(paths: Iterable[Path], where: str) -> Source:
    paths = tuple(paths)
    kinds = {kind_of(path): path.name for path in paths}
    if len(kinds) > 1:
        raise Refused(f"{where} holds files of different kinds: {', '.join(sorted(kinds.values()))}; keep one kind")
    (kind,) = kinds
    assert kind is not None
    return Source(kind, paths)
