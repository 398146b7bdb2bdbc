"""The files of text: plain ones, each a document, or tables with a column of documents."""

import glob
from pathlib import Path

from attncompare.config import TextConfig
from attncompare.data.files.lines import check_whole
from attncompare.data.files.source import TABLES, TEXTS, Source, files_of, kind_of, listed, one_kind
from attncompare.data.files.tables import check_table
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused

_LARGEST = 2**30  # bytes of a document: Arrow keeps at most 2 GiB of text in one value


def text_files(config: TextConfig) -> dict[str, tuple[Source, ...]]:
    """Return the files of each split that has files of its own, not yet checked.

    Raises:
        Refused: if there are none, or if it is not clear which.
    """
    assert config.path is not None
    path = Path(config.path)
    given = {split: name for split in SPLITS if (name := getattr(config.splits, split)) is not None}
    if not given:
        return {"train": (_all(path, config.path),)}
    if not path.is_dir():
        split, name = next(iter(given.items()))
        raise Refused(f"data.splits.{split}={name}: names of splits need a folder, and data.path={config.path} is none")
    if "train" not in given:
        raise Refused("data.splits.train=null takes all files, those of val and test among them; name those of train")
    return {split: (_named(path, split, name),) for split, name in given.items()}


def check_texts(sources: dict[str, tuple[Source, ...]], column: str = "text") -> dict[str, tuple[Source, ...]]:
    """Read all files once, and return ``sources``.

    Raises:
        Refused: if a file is missing, empty, not UTF-8, or has no such column.
    """
    for (source,) in sources.values():
        if source.kind != "document":
            check_table(source, {"data.column": column})
            continue
        if column != "text":
            raise Refused(f"data.column={column}: {source.paths[0]} is plain text, without columns; set it to text")
        for path in source.paths:
            check_whole(path, _LARGEST)
    return sources


def _all(path: Path, written: str) -> Source:
    if path.is_file():
        found = [path]
    elif path.is_dir():
        found = sorted(one for one in path.iterdir() if one.is_file() and kind_of(one))
    else:
        found = sorted(one for name in glob.glob(written, recursive=True) if (one := Path(name)).is_file())  # noqa: PTH207
    unread = [one for one in found if kind_of(one) is None]
    if unread or not found:
        what = f"cannot tell what {unread[0]} holds" if unread else "no file there"
        raise Refused(f"data.path={written}: {what}; valid endings: {', '.join((*TEXTS, *TABLES))}, also packed (.gz)")
    return one_kind(found, f"data.path={written}")


def _named(folder: Path, split: str, name: str) -> Source:
    inside = folder / name
    if inside.is_dir():
        return _all(inside, str(inside))
    found = files_of(folder, name)
    if not found:
        raise Refused(
            f"data.splits.{split}={name}: no file for it in data.path={folder}: {listed(folder)}; needed: "
            f"{name}.{{{','.join((*TEXTS, *TABLES))}}}, or a folder {name}"
        )
    return one_kind(found, f"data.splits.{split}={name}: {folder}")
