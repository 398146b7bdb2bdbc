"""The corpus ``pairs``: parallel text from files, ``{train,val,test}.{source,target}``, one sentence a line."""

from pathlib import Path

import datasets

from attncompare.config import PairsConfig
from attncompare.data.corpora.text_file import count_lines, read_lines
from attncompare.data.corpus import SPLITS, Corpus
from attncompare.errors import Refused


def load(config: PairsConfig) -> Corpus:
    """Check all files, then read them.

    Raises:
        Refused: if a file is missing, empty, of another length than its partner, not UTF-8, or holds a blank line.
    """
    if config.path is None:
        raise Refused("data.path=null; give the folder of the files")
    folder = Path(config.path)
    if not folder.is_dir():
        raise Refused(f"data.path={config.path} is no folder")
    files = {split: (folder / f"{split}.{config.source}", folder / f"{split}.{config.target}") for split in SPLITS}
    for source, target in files.values():
        counts = count_lines(source), count_lines(target)
        if counts[0] != counts[1]:
            raise Refused(
                f"{source} has {counts[0]} lines but {target} has {counts[1]}; line by line they must translate"
            )
    return Corpus(datasets.DatasetDict({split: _pair(*files[split]) for split in SPLITS}))


def _pair(source: Path, target: Path) -> datasets.Dataset:
    sides = [read_lines(source).rename_column("text", "source"), read_lines(target).rename_column("text", "target")]
    return datasets.concatenate_datasets(sides, axis=1)
