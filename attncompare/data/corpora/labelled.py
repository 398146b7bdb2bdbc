"""The dataset ``labelled``: texts of the user's own with a label each, from files or from the hub."""

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from attncompare.data.files import Column, OwnData, OwnDataConfig, Sources
from attncompare.errors import Refused

if TYPE_CHECKING:
    from attncompare.data.reading import Columns


class Labelled(OwnData):
    """``data=labelled``: a table for each split, or one table."""

    kind = "labelled"

    class Config(OwnDataConfig):
        """The names of two columns, and what happens to rows without a text or a label."""

        text_column: Column
        label_column: Column
        blank_lines: Literal["refuse", "drop"]

        @model_validator(mode="after")
        def _two_columns(self) -> "Labelled.Config":
            if self.text_column == self.label_column:
                raise ValueError(f"text_column and label_column are both '{self.text_column}'; a label is no text")
            return self

    config: Config

    def __init__(self, config: "Labelled.Config", data_seed: int) -> None:
        super().__init__(config, data_seed)
        self.blank_lines = config.blank_lines

    def sources(self) -> Sources:
        """Return the files of each split; refused if they are no tables."""
        found = super().sources()
        for split in found.values():
            if split[0].kind == "document":
                raise Refused(
                    f"data.path={self.config.path}: {split[0].paths[0].name} is plain text and has no columns; valid: tables, "
                    "of the endings csv, tsv, jsonl, json or parquet, also packed (.gz)"
                )
        return found

    def columns(self) -> "Columns":
        """Return the two columns."""
        return {
            "text": ("data.text_column", self.config.text_column),
            "label": ("data.label_column", self.config.label_column),
        }
