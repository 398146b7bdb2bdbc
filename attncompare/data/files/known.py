"""The files of published corpora, by the names that their authors gave them."""

from pathlib import Path

from attncompare.config import Multi30kConfig
from attncompare.data.files.pairs import two_texts
from attncompare.data.files.source import Source, listed
from attncompare.errors import Refused

SHAKESPEARE = "input.txt"


def multi30k_names(config: Multi30kConfig) -> dict[str, tuple[str, str]]:
    """Return the names of the source's and the target's file of each split."""
    form = "" if config.form == "raw" else f"{config.form}."
    splits = {"train": "train", "val": "val", "test": config.test}
    return {split: (f"{name}.{form}{config.source}", f"{name}.{form}{config.target}") for split, name in splits.items()}


def multi30k_files(config: Multi30kConfig, folder: Path) -> dict[str, tuple[Source, ...]]:
    """Return the files in ``folder``, not yet checked.

    Raises:
        Refused: if it is no folder, or lacks one of them.
    """
    if not folder.is_dir():
        raise Refused(f"data.path={folder} is no folder")
    found = {split: two_texts(folder, *names) for split, names in multi30k_names(config).items()}
    for path in (source.paths[0] for sources in found.values() for source in sources):
        if not path.exists():
            raise Refused(f"data.path={folder} lacks {path.name}: {listed(folder)}")
    return dict(found)


def shakespeare_file(path: Path) -> dict[str, tuple[Source, ...]]:
    """Return the one file, which is ``path`` or stands in it, not yet checked."""
    file = path / SHAKESPEARE if path.is_dir() else path
    return {"train": (Source("document", (file,)),)}
