"""The local files of a corpus, found and checked as bytes before anything is loaded or started. Imports nothing heavy."""

from pathlib import Path

from attncompare.config import CorpusConfig, Multi30kConfig, PairsConfig, TextConfig, TinyshakespeareConfig
from attncompare.data.files.known import multi30k_files, shakespeare_file
from attncompare.data.files.pairs import check_pairs, pair_files
from attncompare.data.files.source import Source
from attncompare.data.files.texts import check_texts, text_files


def checked_files(config: CorpusConfig) -> list[Path]:
    """Return the local files that ``config`` reads, after checking them; none for what is fetched or generated.

    Raises:
        Refused: in one line, if a file is missing, damaged or does not hold what the config names.
    """
    if getattr(config, "path", None) is None:
        return []
    sources = checked_sources(config)
    return [path for split in sources.values() for source in split for path in source.paths]


def checked_sources(config: CorpusConfig) -> dict[str, tuple[Source, ...]]:
    """Return by split what ``config.path`` holds, checked; for pairs of text files the source's first, then the target's.

    Raises:
        Refused: see :func:`checked_files`.
    """
    match config:
        case PairsConfig():
            return check_pairs(pair_files(config), config.source, config.target, config.keep_empty)
        case Multi30kConfig(path=str(folder)):
            return check_pairs(multi30k_files(config, Path(folder)), config.source, config.target)
        case TextConfig():
            return check_texts(text_files(config), config.column)
        case TinyshakespeareConfig(path=str(path)):
            return check_texts(shakespeare_file(Path(path)))
    raise TypeError(f"{type(config).__name__} has no local files")
