"""The files of parallel text: two text files for each split, or a table."""

from pathlib import Path

from attncompare.config import PairsConfig
from attncompare.data.files.lines import count_lines
from attncompare.data.files.source import TABLES, Source, files_of, kind_of, listed, one_kind
from attncompare.data.files.tables import check_table
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused
from attncompare.text import counted


def pair_files(config: PairsConfig) -> dict[str, tuple[Source, ...]]:
    """Return the files of each split that has files of its own, not yet checked.

    Raises:
        Refused: if there are none, or if it is not clear which.
    """
    assert config.path is not None
    path, names = Path(config.path), config.splits
    if path.is_file():
        return {"train": (_only_file(config, path),)}
    if not path.is_dir():
        raise Refused(f"data.path={config.path} is no folder and no file")
    if names.train is None:
        raise Refused(f"data.splits.train=null: data.path={config.path} is a folder; name its files of the train split")
    given = {split: getattr(names, split) for split in SPLITS}
    return {split: _in_folder(config, path, split, name) for split, name in given.items() if name is not None}


def check_pairs(
    sources: dict[str, tuple[Source, ...]], source: str, target: str, keep_empty: bool = False
) -> dict[str, tuple[Source, ...]]:
    """Read all files once, and return ``sources``.

    Raises:
        Refused: if a file is missing, empty, not UTF-8, has no such columns, is of another length than its partner, or
            holds a blank line (unless ``keep_empty``).
    """
    for parts in sources.values():
        if len(parts) == 1:
            check_table(parts[0], {"data.source": source, "data.target": target})
            continue
        (source_file,), (target_file,) = (part.paths for part in parts)
        counts = count_lines(source_file, keep_empty), count_lines(target_file, keep_empty)
        if counts[0] != counts[1]:
            raise Refused(
                f"{source_file} has {counted(counts[0], 'line')} but {target_file} has {counts[1]}; "
                "line by line they must translate"
            )
    return sources


def two_texts(folder: Path, source: str, target: str) -> tuple[Source, Source]:
    """Return two files of lines in a folder as the sources of a split; packed ones where only they are there."""
    return Source("lines", (_plain_or_packed(folder, source),)), Source("lines", (_plain_or_packed(folder, target),))


def _plain_or_packed(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    return packed if packed.exists() and not (folder / name).exists() else folder / name


def _only_file(config: PairsConfig, path: Path) -> Source:
    for split in ("val", "test"):
        if name := getattr(config.splits, split):
            raise Refused(
                f"data.splits.{split}={name}: data.path={path} is one file; take {split} from it with "
                f"data.splits.{split}=null data.{split}_fraction=0.05"
            )
    if kind_of(path) not in TABLES.values():
        raise Refused(f"data.path={path}: one file of pairs must be a table; valid endings: {', '.join(TABLES)}")
    return one_kind([path], str(path))


def _in_folder(config: PairsConfig, folder: Path, split: str, name: str) -> tuple[Source, ...]:
    texts = two_texts(folder, f"{name}.{config.source}", f"{name}.{config.target}")
    there = [text.paths[0] for text in texts if text.paths[0].exists()]
    tables = [path for path in files_of(folder, name) if kind_of(path) in TABLES.values() and path not in there]
    if there and tables:
        raise Refused(f"data.splits.{split}={name}: is it {there[0]} or {tables[0]}? Keep one of them in the folder")
    if tables:
        return (one_kind(tables, f"data.splits.{split}={name}: {folder}"),)
    if there:
        return texts
    raise Refused(
        f"data.splits.{split}={name}: no file for it in data.path={folder}: {listed(folder)}; needed: "
        f"{name}.{config.source} and {name}.{config.target}, or {name}.{{{','.join(TABLES)}}}"
    )
