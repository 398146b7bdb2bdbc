"""The schema of ``data`` for corpora that are read: files, addresses, the hub; and which corpora serve which task."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from attncompare.config.data import CorpusConfig, LocaleConfig, PydocsConfig, RecallConfig, ReverseConfig
from attncompare.config.values import (
    LabelOrNull,
    PositiveOrNull,
    SplitFraction,
    SplitFractionOrNull,
    SplitFractionOrZero,
    Strict,
    wanted,
)

PathOrNull = Annotated[
    Annotated[str, StringConstraints(min_length=1)] | None, wanted("null, or a path of a folder or file")
]
# Below, no Unicode class is repeated a counted number of times: compiling such a pattern would cost each start 50 ms.
# Where text files hold the data it becomes a part of their names, so it holds no separators.
Column = Annotated[
    str,
    StringConstraints(max_length=100, pattern=r"^[^\s./\\\x00-\x1f][^/\\\x00-\x1f]*$"),
    wanted("1 to 100 characters without / or \\, of which the first is no dot or space"),
]
HubName = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95})?$")]
    | None,
    wanted("null, or the name of a dataset of the Hugging Face hub, such as owner/name"),
]


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


class OwnDataConfig(CorpusConfig):
    """What ``data=pairs`` and ``data=text`` have: a place, and splits by name or by fraction."""

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


class PairsConfig(OwnDataConfig):
    """``data=pairs``: parallel text from files or from the hub."""

    name: Literal["pairs"]
    source: Column
    target: Column
    keep_empty: bool

    @model_validator(mode="after")
    def _two_sides(self) -> "PairsConfig":
        if self.source == self.target:
            raise ValueError(f"source and target are both '{self.source}'; a pair has two sides")
        return self


class TextConfig(OwnDataConfig):
    """``data=text``: text from files or from the hub."""

    name: Literal["text"]
    column: Column
    streaming: bool
    max_documents: PositiveOrNull

    @model_validator(mode="after")
    def _streams_end(self) -> "TextConfig":
        if self.streaming and self.max_documents is None:
            raise ValueError("data.streaming=true needs data.max_documents: the first so many documents are taken")
        if not self.streaming and self.max_documents is not None:
            raise ValueError(f"data.max_documents={self.max_documents} needs data.streaming=true")
        return self


Language = Literal["en", "de", "fr", "cs"]


class Multi30kConfig(CorpusConfig):
    """``data=multi30k``: captions of images in four languages (Elliott et al. 2016)."""

    name: Literal["multi30k"]
    path: PathOrNull
    source: Language
    target: Language
    form: Literal["raw", "lc.norm.tok"]
    test: Literal["test_2016_flickr", "test_2017_flickr", "test_2017_mscoco", "test_2018_flickr"]

    @model_validator(mode="after")
    def _translated(self) -> "Multi30kConfig":
        if self.source == self.target:
            raise ValueError(f"source and target are both '{self.source}'; translation needs two languages")
        if self.test.startswith("test_2017") and "cs" in (self.source, self.target):
            raise ValueError(f"data.test={self.test} has no Czech; valid: test_2016_flickr, test_2018_flickr")
        return self


class TinyshakespeareConfig(CorpusConfig):
    """``data=tinyshakespeare``: 1,115,394 characters of Shakespeare's plays (Karpathy 2015)."""

    name: Literal["tinyshakespeare"]
    path: PathOrNull
    val_fraction: SplitFraction
    test_fraction: SplitFractionOrZero


Data = Annotated[
    LocaleConfig
    | ReverseConfig
    | PairsConfig
    | Multi30kConfig
    | PydocsConfig
    | RecallConfig
    | TextConfig
    | TinyshakespeareConfig,
    Field(discriminator="name"),
]
PAIRS = ("locale", "reverse", "pairs", "multi30k")
TEXT = ("pydocs", "recall", "text", "tinyshakespeare")
ReadConfig = PairsConfig | Multi30kConfig | TextConfig | TinyshakespeareConfig
"""The corpora whose data are read from files, addresses or the hub."""
