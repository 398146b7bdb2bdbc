"""The corpus ``pairs``: parallel text from files, ``{train,val,test}.{source,target}``, one sentence a line."""

import glob
from pathlib import Path

import datasets

from attncompare.config import PairsConfig
from attncompare.data.corpus import Corpus
from attncompare.data.pair_files import checked_pair_files


def load(config: PairsConfig) -> Corpus:
    """Check all files, then read them.

    Raises:
        Refused: as :func:`attncompare.data.pair_files.checked_pair_files` says.
    """
    files = checked_pair_files(config)
    return Corpus(datasets.DatasetDict({split: _pair(*sides) for split, sides in files.items()}))


def _pair(source: Path, target: Path) -> datasets.Dataset:
    sides = [_read_lines(source).rename_column("text", "source"), _read_lines(target).rename_column("text", "target")]
    return datasets.concatenate_datasets(sides, axis=1)


def _read_lines(path: Path) -> datasets.Dataset:
    """Return the lines of a checked file as column ``text``, memory-mapped from the cache of ``datasets``."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        # Not load_dataset("text", ...), the same reader, which tells the hub of every load.
        return datasets.Dataset.from_text(glob.escape(str(path)), encoding="utf-8-sig")
    finally:
        if shown:
            datasets.enable_progress_bars()
