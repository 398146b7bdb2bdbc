"""The dataset ``stdlib_modules``: docstrings of the Python standard library, and the module that each comes from."""

import random
import re
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from attncompare.config.values import AtLeastTwo, SplitFraction
from attncompare.data.corpora.pydocs import docstrings
from attncompare.data.dataset import Dataset, DatasetConfig
from attncompare.errors import Refused

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus


class StdlibModules(Dataset):
    """``data=stdlib_modules``: the modules with the most docstrings; no text stands in two splits.

    The names of these modules are taken out of all texts, whatever their case, so that no label can be read off.
    """

    kind = "labelled"

    class Config(DatasetConfig):
        """How many modules, and the shares of their docstrings that become val and test."""

        modules: AtLeastTwo
        val_fraction: SplitFraction
        test_fraction: SplitFraction

    config: Config

    def load(self) -> "Corpus":
        """Read the docstrings; refused if there are not so many modules with some."""
        from attncompare.data.corpus import corpus

        folder, config = Path(sysconfig.get_path("stdlib")), self.config
        found = docstrings(folder)
        if len(found) < config.modules:
            raise Refused(f"data.modules={config.modules}: {folder} has source of {len(found)} modules with docstrings")
        names = sorted(found, key=lambda name: (-len(found[name]), name))[: config.modules]
        rows = without_names({name: found[name] for name in names})
        random.Random(f"stdlib_modules {self.data_seed}").shuffle(rows)
        val, test = (round(len(rows) * share) for share in (config.val_fraction, config.test_fraction))
        splits = {"val": rows[:val], "test": rows[val : val + test], "train": rows[val + test :]}
        if not all(splits.values()):
            raise Refused(
                f"data.val_fraction and data.test_fraction: too little for {len(rows)} docstrings; raise them"
            )
        return corpus(
            {
                split: {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
                for split, rows in splits.items()
            }
        )


def without_names(texts: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Return each text without the names that are the keys, and its key; what is equal then once, without letters never."""
    whole = re.compile(
        rf"(?<![^\W_])_*({'|'.join(sorted(re.escape(name.strip('_')) for name in texts))})(?![^\W_])", re.I
    )
    rows: dict[str, str] = {}
    for name, own in texts.items():
        for text in own:
            left = whole.sub("", text)
            if re.search(r"[^\W\d_]", left):
                rows.setdefault(left, name)
    return list(rows.items())
