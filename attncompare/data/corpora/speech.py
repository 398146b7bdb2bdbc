"""The dataset ``speech``: wav files of the user's own, and tables that say what is said in them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import model_validator

from attncompare.data.audio import SoundConfig, changed, read_wav, vectors_of
from attncompare.data.dataset import PathOrNull
from attncompare.data.files import Column, FileData, OwnSplitsConfig, Sources, split_files
from attncompare.errors import Refused
from attncompare.text import counted

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset as Rows

    from attncompare.data.corpus import Corpus
    from attncompare.data.reading import Columns

_FORM = 1  # of what is cached
_AT_ONCE = 100  # files that are in memory at a time


class Speech(FileData):
    """``data=speech``: a table for each split, or one table, with the names of wav files and their texts."""

    kind = "speech"

    class Config(OwnSplitsConfig, SoundConfig):
        """Where the tables are, and the names of two of their columns."""

        path: PathOrNull
        file: Column
        text: Column

        @model_validator(mode="after")
        def _somewhere_and_two_columns(self) -> "Speech.Config":
            if self.path is None:
                raise ValueError("data.path=null: say where your tables are: data.path=FOLDER, or data.path=TABLE.csv")
            if self.file == self.text:
                raise ValueError(f"file and text are both '{self.file}'; each is a column of its own")
            return self

    config: Config

    def __init__(self, config: "Speech.Config", data_seed: int) -> None:
        super().__init__(config, data_seed)
        self.layout, self.path = config.layout(), Path(str(config.path))

    def sources(self) -> Sources:
        """Return the tables of each split, as those of pairs are found (:func:`attncompare.data.files.split_files`)."""
        return split_files(self.path, self.config.splits.model_dump(), (self.config.file, self.config.text))

    def columns(self) -> "Columns":
        """Return the two columns; by a file's name, all its texts go to one split."""
        return {"source": ("data.file", self.config.file), "target": ("data.text", self.config.text)}

    def load(self) -> "Corpus":
        """Read the tables, and the wav files that they name; see :meth:`Dataset.load`."""
        from datasets import DatasetDict

        from attncompare.data.corpus import Corpus, with_fractions

        tables, origin = self.read({}, "lines")
        fractions = {"val": self.config.val_fraction, "test": self.config.test_fraction}
        rows = {
            split: self._sound(one, split) for split, one in with_fractions(tables, fractions, self.data_seed).items()
        }
        splits = DatasetDict({split: one.select_columns(["wave", "name", "target"]) for split, one in rows.items()})
        return Corpus(splits, origin=origin, notes=self._notes(rows))

    def files(self) -> list[Path]:
        """Return the tables, after they were read, and the wav files that they name."""
        tables = super().files()
        names = [name for rows in self.rows(self.sources()).values() for name in rows["source"]]
        return [*tables, *map(self._wav, dict.fromkeys(names))]

    def _wav(self, name: str) -> Path:
        """Return where a file is: beside its table, unless its name says where."""
        return (self.path if self.path.is_dir() else self.path.parent) / name

    def _sound(self, table: "Rows", split: str) -> "Rows":
        """Return the rows with their sound, read into the cache where they are not there."""
        import pyarrow as pa

        from attncompare.data.cache import cached_rows

        pairs, state = list(zip(table["source"], table["target"], strict=True)), []
        for number, (name, text) in enumerate(pairs, start=1):
            path = self._wav(name)
            if not text.strip():
                raise Refused(f"data.path={self.path}: {split}, row {number}: {name} has no text (data.text)")
            if not path.is_file():
                raise Refused(f"data.path={self.path}: {split}, row {number}: no file {path} (data.file)")
            state.append([str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns, text])
        schema = pa.schema(
            {"wave": pa.list_(pa.int16()), "name": pa.string(), "target": pa.string()}
            | {"rate": pa.int32(), "channels": pa.int32()}
        )

        def made() -> "Iterator[pa.Table]":
            for start in range(0, len(pairs), _AT_ONCE):
                read = []
                for name, text in pairs[start : start + _AT_ONCE]:
                    wave_N, rate, channels = read_wav(self._wav(name), self.config.rate)
                    vectors_of(wave_N, self.config, str(self._wav(name)))  # refused here, where the file has its name
                    read.append({"wave": wave_N, "name": name, "target": text, "rate": rate, "channels": channels})
                yield pa.Table.from_pylist(read, schema)

        settings = [self.config.rate, self.config.frame_ms]
        return cached_rows(["speech", _FORM, settings, state], schema, made)

    def _notes(self, rows: "dict[str, Rows]") -> tuple[str, ...]:
        """Return in words how files were changed while they were read, a line for each kind of change."""
        counts: dict[str, int] = {}
        for one in rows.values():
            for rate, channels in zip(one["rate"], one["channels"], strict=True):
                what = changed(rate, channels, self.config.rate)
                counts[what] = counts.get(what, 0) + 1
        return tuple(f"{counted(many, 'wav file')}: {what}" for what, many in counts.items() if what)
